"""What the pictures of the results page show: confusion matrices, reliability and coverage; prints one JSON line.

    python benchmarks/in_detail.py PAPERS.xlsx [--families linear hybrid]

On the test side of the seed split, each family (fitted on train, calibrated on validation) and the model that comes with the package:
scores with 95 % intervals, and the confusion matrix. Over all papers, out of fold (the family's own five folds, every paper calibrated by
others): reliability in 15 bins, and the accuracy of the answers at each hundredth of coverage.
"""

import argparse
import json
from time import perf_counter
from typing import Any

import numpy as np
from _origin import origin
from _scores import fitted, five_fold

from arxiv_nbclf.classifiers.calibration import (
    calibration_error,
    coverage_curve,
    reliability,
)
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import load_packaged
from arxiv_nbclf.evaluation.intervals import score_intervals
from arxiv_nbclf.evaluation.metrics import score
from arxiv_nbclf.preprocessing import LABELS, label_ids, split_papers

HEADLINE_METRICS = ("accuracy", "macro_f1", "weighted_f1", "log_loss")


def tested(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Scores with their intervals, and the confusion matrix: rows are true, columns predicted."""
    scores, table = score(labels, probabilities), score_intervals(labels, probabilities).scores
    rounded = {name: [round(value, 4) for value in table.loc[name, ["value", "low", "high"]]] for name in HEADLINE_METRICS}
    return {"scores": rounded, "confusion": scores.confusion.to_numpy().tolist()}


def believed(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Reliability and coverage."""
    bins = reliability(labels, probabilities).round(4)
    curve = coverage_curve(labels, probabilities)
    steps = np.arange(0.02, 1.001, 0.02).round(2)
    nearest = np.searchsorted(curve["coverage"].to_numpy(), steps - 1e-9).clip(max=len(curve) - 1)
    return {
        "calibration_error": round(calibration_error(labels, probabilities), 4),
        "reliability": bins.astype(object).where(bins.notna(), None).to_dict(orient="records"),
        "coverage": curve.iloc[nearest][["threshold", "coverage", "accuracy"]].round(4).to_dict(orient="records"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--families", nargs="+", default=["linear", "hybrid"])
    arguments = parser.parse_args()
    papers, begin = read_papers(arguments.papers).papers, perf_counter()
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    train, validation, test = (papers[split == name] for name in ("train", "validation", "test"))
    true = labels[split == "test"]
    on_test = {name: fitted(name, train, validation).predict_proba(test) for name in arguments.families}
    on_test["packaged"] = load_packaged().predict_proba(test)
    out_of_fold = {name: believed(labels, five_fold(name, papers)) for name in arguments.families}
    result = {
        "benchmark": "in_detail",
        "papers": len(papers),
        "n_test": len(test),
        "labels": list(LABELS),
        "test": {name: tested(true, probabilities) for name, probabilities in on_test.items()},
        "out_of_fold": out_of_fold,
        "seconds": round(perf_counter() - begin, 1),
    }
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
