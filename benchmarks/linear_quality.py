"""How good the linear family is, and how long it takes, on a table of papers: prints one JSON line.

    python benchmarks/linear_quality.py PAPERS.xlsx

Five-fold out of fold (stratified, shuffled, seed 0): every paper is scored by a model that has not seen it; the family's own
choices (C, group offsets, calibration) are made anew inside each fold's training papers. Then the main job's own figures:
the seed split's train papers fitted, its test papers scored, and the seconds of both once the table is read.
"""

import argparse
import json
from time import perf_counter

import numpy as np
from _origin import origin
from _scores import figures, metrics
from sklearn.model_selection import StratifiedKFold

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.metrics import score
from arxiv_nbclf.preprocessing import LABELS, label_ids, split_papers


def macro_f1_interval(labels: np.ndarray, predicted: np.ndarray, resamples: int = 2000) -> list[float]:
    """Ends of the 95 % bootstrap interval of macro F1: how far another test split of this size could lead."""
    rng, scores = np.random.default_rng(0), []
    for _ in range(resamples):
        rows = rng.integers(0, len(labels), len(labels))
        scores.append(metrics(labels[rows], predicted[rows])[1])
    return np.quantile(scores, [0.025, 0.975]).round(3).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--family", default="linear")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")

    out_of_fold = np.empty((len(labels), len(LABELS)))
    for fit, held_out in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
        classifier = new_classifier(arguments.family).fit(papers.iloc[fit], labels[fit])
        out_of_fold[held_out] = classifier.predict_proba(papers.iloc[held_out])

    side = {name: (split == name).to_numpy() for name in ("train", "validation", "test")}
    start = perf_counter()
    validation = papers[side["validation"]], labels[side["validation"]]
    classifier = new_classifier(arguments.family).fit(papers[side["train"]], labels[side["train"]], validation=validation)
    fitted = perf_counter()
    probabilities = classifier.predict_proba(papers[side["test"]])
    scores = score(labels[side["test"]], probabilities)
    evaluated = perf_counter()
    result = {
        "benchmark": "linear_quality",
        "family": arguments.family,
        "papers": len(papers),
        "n_test": scores.n,
        "five_fold": figures(labels, out_of_fold),
        "seed_split": {
            "chosen": classifier.fitted_,
            "accuracy": round(scores.accuracy, 4),
            "macro_f1": round(scores.macro_f1, 4),
            "weighted_f1": round(scores.weighted_f1, 4),
            "macro_f1_interval": macro_f1_interval(labels[side["test"]], probabilities.argmax(axis=1)),
            "fit_s": round(fitted - start, 2),
            "evaluate_s": round(evaluated - fitted, 2),
        },
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
