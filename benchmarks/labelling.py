"""How many labels does the queue save? Prints one JSON line.

    python benchmarks/labelling.py PAPERS.xlsx MORE.parquet

The training side of the seed split is the pool. A linear model of 300 labels at random picks the next 150, learns from all, and so on up to
1,200 labels, from five different beginnings. Five ways to pick: at random; the most `uncertain`; the most `diverse`, by their words alone;
the most uncertain of each predicted class in `turns`; and the `queue` itself, which also keeps picks apart by their words. Macro F1 and
accuracy are those of 8,000 papers of the other table (`validation`, which chose the default) and of the test split. Differences from random
picks are paired by beginning, with 95 % intervals of Student's t over the five. `same_as_random` is the number of labels with which a way has
the macro F1 that random picks have in the end, on the mean curve. No paper is named.
"""

import argparse
import json
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin
from _scores import metrics
from scipy.sparse import csr_matrix
from scipy.stats import t

from arxiv_nbclf.classifiers.linear import LinearClassifier, count_features, tfidf
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.labelling import (
    CANDIDATES,
    by_turns,
    diverse_picks,
    margin_uncertainty,
)
from arxiv_nbclf.preprocessing import label_ids, paper_texts, split_papers

WAYS = ("random", "uncertain", "diverse", "turns", "queue")
BEGINNING, ROUND, LABELS_IN_ALL, SEEDS, VALIDATION = 300, 150, 1_200, 5, 8_000


def counts_of(papers: pd.DataFrame, model: LinearClassifier) -> csr_matrix:
    """Words of papers, counted once for all models."""
    return count_features(paper_texts(papers, model.text_plan, model.separator), model.bits, model.pairs)


def probabilities(model: LinearClassifier, counts: csr_matrix) -> np.ndarray:
    """What `predict_proba` returns, from counts."""
    scores = tfidf(counts, model.idf_) @ model.weights_.T.astype(float) + model.intercepts_
    return model.calibration_(scores)


def picks(way: str, pool: pd.DataFrame, shares: np.ndarray, free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of the next papers to label."""
    if way == "random":
        return rng.choice(free, ROUND, replace=False)
    unsure, classes = margin_uncertainty(shares[free]), shares[free].argmax(axis=1)
    if way == "uncertain":
        return free[np.argsort(-unsure, kind="stable")[:ROUND]]
    if way == "diverse":
        return free[diverse_picks(pool.iloc[free], np.zeros(len(free)), np.ones(len(free)), ROUND)]
    order = by_turns(pd.Series(classes), pd.Series(unsure))
    if way == "turns":
        return free[order[:ROUND]]
    best = order[: CANDIDATES * ROUND]
    return free[best[diverse_picks(pool.iloc[free[best]], classes[best], unsure[best], ROUND)]]


def curve(way: str, seed: int, pool: pd.DataFrame, labels: np.ndarray, counts: csr_matrix, judges: dict[str, tuple]) -> list[dict]:
    """Scores after each round."""
    rng, rows = np.random.default_rng(seed), []
    labelled = rng.permutation(len(pool))[:BEGINNING]
    while True:
        model = LinearClassifier().fit(pool.iloc[labelled], labels[labelled])
        for name, (words, truth) in judges.items():
            accuracy, macro_f1, _ = metrics(truth, probabilities(model, words).argmax(axis=1))
            rows.append({"way": way, "seed": seed, "labels": len(labelled), "papers": name, "accuracy": accuracy, "macro_f1": macro_f1})
        if len(labelled) >= LABELS_IN_ALL:
            return rows
        free = np.setdiff1d(np.arange(len(pool)), labelled)
        labelled = np.concatenate([labelled, picks(way, pool, probabilities(model, counts), free, rng)])


def interval(differences: np.ndarray) -> dict[str, Any]:
    """The mean of paired differences, with its 95 % interval."""
    mean, n = float(differences.mean()), len(differences)
    half = float(t.ppf(0.975, n - 1) * differences.std(ddof=1) / n**0.5)
    return {"difference": round(mean, 4), "interval": [round(mean - half, 4), round(mean + half, 4)]}


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Mean curves, differences from random picks, and labels saved."""
    found: dict[str, Any] = {}
    tables = {metric: rows.pivot_table(index=["way", "seed"], columns="labels", values=metric) for metric in ("macro_f1", "accuracy")}
    means = {metric: table.groupby("way").mean() for metric, table in tables.items()}
    goal, labels = means["macro_f1"].loc["random"].max(), means["macro_f1"].columns.to_numpy(dtype=float)
    for way in WAYS:
        found[way] = {metric: dict(zip(map(str, mean), mean.loc[way].round(4).tolist(), strict=True)) for metric, mean in means.items()}
        if way == "random":
            continue
        gains = {metric: table.loc[way] - table.loc["random"] for metric, table in tables.items()}
        found[way]["in_the_end"] = {metric: interval(gain.iloc[:, -1].to_numpy()) for metric, gain in gains.items()}
        found[way]["all_rounds"] = {metric: interval(gain.iloc[:, 1:].mean(axis=1).to_numpy()) for metric, gain in gains.items()}
        rising = np.maximum.accumulate(means["macro_f1"].loc[way].to_numpy())
        found[way]["same_as_random"] = round(float(np.interp(goal, rising, labels))) if rising[-1] >= goal else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("more", help="another table, whose papers choose the default")
    arguments = parser.parse_args()
    begin, papers, model = process_time(), read_papers(arguments.papers).papers, LinearClassifier()
    split = split_papers(papers, plan="seed").to_numpy()
    pool, test = (papers[split == name].reset_index(drop=True) for name in ("train", "test"))
    more = read_papers(arguments.more).papers
    more = more.sample(min(VALIDATION, len(more)), random_state=1)
    judges = {name: (counts_of(some, model), label_ids(some)) for name, some in (("validation", more), ("test", test))}
    labels, counts = label_ids(pool), counts_of(pool, model)
    rows = pd.DataFrame([row for way in WAYS for seed in range(SEEDS) for row in curve(way, seed, pool, labels, counts, judges)])
    result = {
        "benchmark": "labelling",
        "family": "linear",
        "level": "group",
        "pool": len(pool),
        "seeds": SEEDS,
        **{name: summary(rows[rows["papers"] == name]) for name in judges},
        "processor_seconds": round(process_time() - begin, 1),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
