"""How far probabilities can be believed, and how many papers can be answered at 0.94 accuracy: prints one JSON line.

    python benchmarks/calibration.py PAPERS.xlsx [--families linear hybrid] [--accuracy 0.94]

Every paper is scored by a model that has not seen it (the family's own five folds). Each calibration is then fitted on four fifths of
these papers and judged on the fifth that it has not seen, in turn: the temperature alone, isotonic curves per group (scikit-learn's), and
the matrix that every classifier uses. All keep the decision that the scores make, so accuracy and F1 are the same for all. Thresholds for
the wanted accuracy are chosen on the same four fifths and kept on the fifth: `coverage_kept` and `accuracy_kept`.

`shrinkage` is what the matrix's default was chosen by: on the train side of the seed split alone, the log loss of papers that were not
calibrated on, for several strengths and numbers of papers to calibrate on (mean of six draws), beside temperature and isotonic curves.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
from _origin import origin

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.classifiers.calibration import (
    BadCalibration,
    brier_score,
    calibration_error,
    coverage_curve,
    cross_calibrate,
    fit_matrix_scaling,
    fit_temperature,
    preserve_predictions,
    threshold_for,
)
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.metrics import score
from arxiv_nbclf.preprocessing import label_ids, split_papers

Way = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
STRENGTHS = (0.3, 3.0, 10.0, 30.0, 100.0)


def fit_isotonic(scores: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A rising curve per group on top of a temperature (Zadrozny & Elkan 2002)."""
    from sklearn.isotonic import IsotonicRegression

    way, min_answers = fit_temperature(scores, labels), 0.5 / len(labels)
    columns = way(scores).T
    curves = [IsotonicRegression(out_of_bounds="clip", y_min=min_answers).fit(column, labels == group) for group, column in enumerate(columns)]

    def calibrated(scores: np.ndarray) -> np.ndarray:
        shares = np.column_stack([curve.predict(column) for curve, column in zip(curves, way(scores).T, strict=True)])
        return preserve_predictions(shares / shares.sum(axis=1, keepdims=True), scores.argmax(axis=1))

    return calibrated


WAYS: dict[str, Way] = {"temperature": fit_temperature, "isotonic": fit_isotonic, "matrix": fit_matrix_scaling}


def shrinkage(scores: np.ndarray, labels: np.ndarray, draws: int = 6) -> dict[str, dict[str, float]]:
    """Mean log loss on the papers that were not calibrated on, by number of papers that were."""
    ways: dict[str, Way] = {name: WAYS[name] for name in ("temperature", "isotonic")}
    ways |= {f"matrix {strength:g}": partial(fit_matrix_scaling, shrinkage=strength) for strength in STRENGTHS}
    rng, found = np.random.default_rng(0), {}
    for papers in (60, 200, 1000, 4000):
        orders = [rng.permutation(len(labels)) for _ in range(draws)]
        found[str(papers)] = {
            name: round(float(np.mean([
                score(labels[order[papers:]], fit(scores[order[:papers]], labels[order[:papers]])(scores[order[papers:]])).log_loss
                for order in orders
            ])), 4)
            for name, fit in ways.items()
        }  # fmt: skip
    return found


def kept(labels: np.ndarray, probabilities: np.ndarray, accuracy: float, folds: int = 5) -> dict:
    """Coverage and accuracy of a threshold on papers that it was not chosen on."""
    place = np.random.default_rng(1).permutation(len(labels)) % folds
    answered = np.zeros(len(labels), dtype=bool)
    for fold in range(folds):
        own = place == fold
        answered[own] = probabilities[own].max(axis=1) >= threshold_for(labels[~own], probabilities[~own], accuracy).threshold
    right = probabilities.argmax(axis=1) == labels
    return {"coverage_kept": round(float(answered.mean()), 4), "accuracy_kept": round(float(right[answered].mean()), 4)}


def judged(labels: np.ndarray, probabilities: np.ndarray, accuracy: float) -> dict:
    """The figures of one calibration."""
    scored, curve = score(labels, probabilities), coverage_curve(labels, probabilities)
    reached = curve[curve["accuracy"] >= accuracy]
    try:
        held = kept(labels, probabilities, accuracy)
    except BadCalibration:
        held = {"coverage_kept": None, "accuracy_kept": None}
    return {
        "calibration_error": round(calibration_error(labels, probabilities), 4),
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
    labels, train, begin = label_ids(papers), (split_papers(papers, plan="seed") == "train").to_numpy(), perf_counter()
    families: dict[str, dict] = {}
    for family in arguments.families:
        scores = new_classifier(family).out_of_fold_scores(papers, labels)
        assert scores is not None  # both families make such
        families[family] = {name: judged(labels, cross_calibrate(scores, labels, fit), arguments.accuracy) for name, fit in WAYS.items()}
        learnt = new_classifier(family).out_of_fold_scores(papers[train], labels[train])
        assert learnt is not None
        families[family]["shrinkage"] = shrinkage(learnt, labels[train])
    result = {
        "benchmark": "calibration",
        "papers": len(papers),
        "bins": 15,
        "accuracy_wanted": arguments.accuracy,
        "families": families,
        "seconds": round(perf_counter() - begin, 1),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
