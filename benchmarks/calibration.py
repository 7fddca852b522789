"""How far probabilities can be believed, and how many papers can be answered at 0.94 accuracy: prints one JSON line.

    python benchmarks/calibration.py PAPERS.xlsx [--families linear hybrid] [--accuracy 0.94]

Every paper is scored by a model that has not seen it (the family's own five folds). Each calibration is then fitted on four fifths of
these papers and judged on the fifth that it has not seen, in turn: the temperature that every classifier has, isotonic curves,
and for reference matrix scaling (a multinomial logistic regression of the scores). `accuracy` and `macro_f1` go by the calibrated
probabilities; `predict` goes by the scores, which a temperature leaves in their order. `keeping_decisions` judges each paper's group
by the scores and its confidence by the calibrated probability of that group. Thresholds for the wanted accuracy are chosen on the
same four fifths and kept on the fifth: `coverage_kept` and `accuracy_kept`.
"""

import argparse
import json
from time import perf_counter
from typing import Any

import numpy as np

from arxiv_nbclf.calibration import WAYS, brier_score, calibration_error, coverage_curve, cross_fit, fit_temperature, threshold_for
from arxiv_nbclf.classifier import new_classifier
from arxiv_nbclf.evaluation import BadScores, score
from arxiv_nbclf.papers import read_papers
from arxiv_nbclf.preprocessing import LABELS, label_ids
from arxiv_nbclf.runs import machine, versions


def fit_matrix(scores: np.ndarray, labels: np.ndarray) -> Any:
    """Matrix scaling (Guo et al. 2017): every class's score has a say in every class's probability."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1, max_iter=2000).fit(scores, labels)

    def calibrated(scores: np.ndarray) -> np.ndarray:
        found = np.zeros((len(scores), len(LABELS)))
        found[:, model.classes_] = model.predict_proba(scores)
        return found

    return calibrated


def kept(labels: np.ndarray, probabilities: np.ndarray, accuracy: float, folds: int = 5) -> dict:
    """Coverage and accuracy of a threshold on papers that it was not chosen on."""
    place = np.random.default_rng(1).permutation(len(labels)) % folds
    answered = np.zeros(len(labels), dtype=bool)
    for fold in range(folds):
        own = place == fold
        answered[own] = probabilities[own].max(axis=1) >= threshold_for(labels[~own], probabilities[~own], accuracy).threshold
    right = probabilities.argmax(axis=1) == labels
    return {"coverage_kept": round(float(answered.mean()), 4), "accuracy_kept": round(float(right[answered].mean()), 4)}


def by_decision(labels: np.ndarray, probabilities: np.ndarray, decided: np.ndarray, bins: int = 15) -> float:
    """Calibration error of the calibrated probability of the group that the scores decide for."""
    confidence, right = probabilities[np.arange(len(labels)), decided], decided == labels
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    return float(np.abs(np.bincount(place, weights=confidence - right, minlength=bins)).sum() / len(labels))


def judged(labels: np.ndarray, scores: np.ndarray, probabilities: np.ndarray, accuracy: float) -> dict:
    """The figures of one calibration."""
    scored, curve = score(labels, probabilities), coverage_curve(labels, probabilities)
    reached = curve[curve["accuracy"] >= accuracy]
    try:
        held = kept(labels, probabilities, accuracy)
    except BadScores:
        held = {"coverage_kept": None, "accuracy_kept": None}
    return {
        "calibration_error": round(calibration_error(labels, probabilities), 4),
        "calibration_error_keeping_decisions": round(by_decision(labels, probabilities, scores.argmax(axis=1)), 4),
        "brier_score": round(brier_score(labels, probabilities), 4),
        "log_loss": round(scored.log_loss, 4),
        "accuracy": round(scored.accuracy, 4),
        "macro_f1": round(scored.macro_f1, 4),
        "coverage": round(float(reached["coverage"].max()), 4) if len(reached) else None,
        **held,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--families", nargs="+", default=["linear", "hybrid"], help="families with out-of-fold probabilities")
    parser.add_argument("--accuracy", type=float, default=0.94, help="wanted of the answers")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, begin = label_ids(papers), perf_counter()
    families: dict[str, dict] = {}
    for family in arguments.families:
        probabilities = new_classifier(family).out_of_fold_proba(papers, labels)
        assert probabilities is not None  # both families make such
        scores = np.log(probabilities.clip(np.finfo(float).tiny))  # as good as the scores: a temperature is all between them
        ways = {**WAYS, "matrix": fit_matrix}
        found = {name: cross_fit(fit, scores, labels, folds=5) for name, fit in ways.items()}
        families[family] = {name: judged(labels, scores, of, arguments.accuracy) for name, of in found.items()}
        families[family]["as_it_comes"] = judged(labels, scores, probabilities, arguments.accuracy)
        families[family]["temperature_in_it"] = round(fit_temperature(scores, labels).temperature, 3)
    result = {
        "benchmark": "calibration",
        "papers": len(papers),
        "bins": 15,
        "accuracy_wanted": arguments.accuracy,
        "families": families,
        "seconds": round(perf_counter() - begin, 1),
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
