"""Whether groups are learnt better through categories: prints one JSON line.

    python benchmarks/groups_by_categories.py PAPERS [--family linear hybrid]

Five-fold out of fold: each paper is scored by a model that has not seen it, calibrated by other papers. Once groups are learnt directly, once
categories, whose probabilities are summed, and once both are blended (the mean of their logarithms, half and half). Each is judged as it is,
and with offsets of the groups for accuracy plus macro F1, which are fitted without the fold that they are judged on. Papers of categories
with fewer than five papers are left out of all three.
"""

import argparse
import json
from collections.abc import Callable
from time import perf_counter

import numpy as np
from _origin import origin
from _scores import gains
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.classifiers.calibration import cross_fit
from arxiv_nbclf.classifiers.ensemble import OFFSET_GRID
from arxiv_nbclf.classifiers.linear import fit_offsets
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import (
    LABELS,
    class_ids,
    group_matrix,
    label_classes,
    label_ids,
    paper_labels,
)


def scores(labels: np.ndarray, logs: np.ndarray) -> dict[str, list[float]]:
    """Accuracy and macro F1, as they are and with offsets that other folds chose."""

    def choose(others: np.ndarray, known: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        offsets = fit_offsets(others, known, OFFSET_GRID)
        return lambda own: own + offsets

    found = {"plain": logs.argmax(axis=1), "with_offsets": cross_fit(logs, labels, choose).argmax(axis=1)}
    return {
        name: [round(float(accuracy_score(labels, some)), 4), round(float(f1_score(labels, some, average="macro")), 4)]
        for name, some in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--family", nargs="+", default=["linear", "hybrid"])
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    names = paper_labels(papers, "category")
    classes = label_classes(names)
    kept = class_ids(names, classes) >= 0
    papers, names = papers[kept], names[kept]
    labels, codes, sums = label_ids(papers), class_ids(names, classes), group_matrix(classes)
    result: dict[str, object] = {"benchmark": "groups_by_categories", "papers": len(papers), "classes": len(classes)}
    for family in arguments.family:
        start = perf_counter()
        direct = new_classifier(family).out_of_fold_proba(papers, labels)
        middle = perf_counter()
        through = new_classifier(family).out_of_fold_proba(papers, names.tolist())
        assert direct is not None and through is not None
        logs = [np.log(np.maximum(found, 1e-9)) for found in (direct, through @ sums)]
        tried = {"groups": logs[0], "categories": logs[1], "blend": (logs[0] + logs[1]) / 2}
        result[family] = {
            **{name: scores(labels, found) for name, found in tried.items()},
            "gains": {
                f"{name} over groups": gains(labels, logs[0].argmax(axis=1), tried[name].argmax(axis=1)) for name in ("categories", "blend")
            },
            "category_top_1": round(float(accuracy_score(codes, through.argmax(axis=1))), 4),
            "category_top_5": round(float(top_k_accuracy_score(codes, through, k=5, labels=range(len(classes)))), 4),
            "seconds": {"groups": round(middle - start, 1), "categories": round(perf_counter() - middle, 1)},
        }
    print(json.dumps(result | {"labels": list(LABELS)} | origin()))


if __name__ == "__main__":
    main()
