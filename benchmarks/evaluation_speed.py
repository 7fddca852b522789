"""Seconds of all metrics with their bootstrap intervals, beside a plain loop over scikit-learn: prints one JSON line.

    python benchmarks/evaluation_speed.py [--papers 2471] [--resamples 2000] [--loop 2000]

Made-up predictions for as many papers as the original's test split, in its mixture of eight groups. `score_intervals` is timed
whole: checks, metrics, intervals. The loop draws the same kind of resamples, stratified, and calls scikit-learn's functions for the
same metrics, once each.
"""

import argparse
import json
from collections.abc import Callable
from time import perf_counter

import numpy as np
from _origin import origin
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from arxiv_nbclf.evaluation.intervals import compare_predictions, score_intervals
from arxiv_nbclf.preprocessing import LABELS

SHARES = (1051, 17, 105, 423, 795, 20, 9, 51)  # papers of each group in the original's test split


def made_up(papers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels in the original's mixture, and probabilities that are right for most of them."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(LABELS), size=papers, p=np.array(SHARES) / sum(SHARES))
    guessed = np.where(rng.random(papers) < 0.86, labels, rng.choice(len(LABELS), size=papers))
    return labels, 0.4 * rng.dirichlet(np.full(len(LABELS), 0.5), size=papers) + 0.6 * np.eye(len(LABELS))[guessed]


def loop(labels: np.ndarray, probabilities: np.ndarray, resamples: int) -> np.ndarray:
    """The headline metrics of each resample, one after the other."""
    rng, groups, found = np.random.default_rng(0), range(len(LABELS)), []
    of_group = [np.flatnonzero(labels == group) for group in groups]
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(own, len(own)) for own in of_group])
        true, shares = labels[rows], probabilities[rows]
        predicted = shares.argmax(axis=1)
        _, _, f1, support = precision_recall_fscore_support(true, predicted, labels=groups, zero_division=0)
        found.append([
            accuracy_score(true, predicted), f1.mean(), np.average(f1, weights=support), log_loss(true, shares, labels=groups),
            *(top_k_accuracy_score(true, shares, k=k, labels=groups) for k in (2, 3)),
        ])
    return np.array(found)


def seconds(task: Callable[[], object], repeats: int = 3) -> float:
    """The quickest of some runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        task()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ignored", nargs="*", help="a table, as the other benchmarks take one")
    parser.add_argument("--papers", type=int, default=sum(SHARES))
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--loop", type=int, default=2000, help="resamples of the loop; fewer are extended to all")
    arguments = parser.parse_args()
    labels, probabilities = made_up(arguments.papers, seed=0)
    others = made_up(arguments.papers, seed=1)[1]
    found = score_intervals(labels, probabilities, arguments.resamples)
    ours = seconds(lambda: score_intervals(labels, probabilities, arguments.resamples))
    compared = seconds(lambda: compare_predictions(labels, probabilities, others, arguments.resamples))
    ends = np.quantile(loop(labels, probabilities, arguments.loop), [0.025, 0.975], axis=0).T
    theirs = seconds(lambda: loop(labels, probabilities, arguments.loop), repeats=1) * arguments.resamples / arguments.loop
    widths = (found.scores["high"] - found.scores["low"]).to_numpy(), ends[:, 1] - ends[:, 0]
    result = {
        "benchmark": "evaluation_speed",
        "papers": arguments.papers,
        "groups": len(LABELS),
        "resamples": arguments.resamples,
        "seconds": round(ours, 3),
        "seconds_of_a_paired_comparison": round(compared, 3),
        "loop": {
            "resamples": arguments.loop,
            "seconds_for_all": round(theirs, 1),
            "times_as_long": round(theirs / ours, 1),
            "width_of_its_intervals": dict(zip(found.scores.index, (widths[1] / widths[0]).round(2).tolist(), strict=True)),
        },
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
