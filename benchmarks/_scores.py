"""What the benchmarks of quality share: models as `run` fits them, figures of one, and the difference between two with its interval."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import StratifiedKFold

from arxiv_nbclf.classifiers.base import Classifier, new_classifier
from arxiv_nbclf.preprocessing import LABELS, label_ids, paper_labels
from arxiv_nbclf.runs import MIN_PAPERS_OF_GROUPS

# What `run` learns where a table has categories: hybrid both levels, the others groups alone.
BOTH_LEVELS: dict[str, Any] = {"level": "group", "learn": "both", "min_papers": MIN_PAPERS_OF_GROUPS}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "hybrid_groups": ("hybrid", {}),
    "hybrid": ("hybrid", BOTH_LEVELS),
}

METRICS = ("accuracy", "macro_f1", "weighted_f1")


def fitted(variant: str, papers: pd.DataFrame, validation: pd.DataFrame | None = None) -> Classifier:
    """A classifier of groups, as `run` fits it."""
    family, settings = VARIANTS[variant]

    def named(some: pd.DataFrame) -> list[str]:
        return paper_labels(some, "category" if settings else "group").tolist()

    held = None if validation is None else (validation, named(validation))
    return new_classifier(family, **settings).fit(papers, named(papers), validation=held)


def five_fold(variant: str, papers: pd.DataFrame) -> np.ndarray:
    """Probabilities of groups out of fold (stratified, shuffled, seed 0); the family's own choices are made anew inside each fold's papers."""
    labels = label_ids(papers)
    probabilities = np.empty((len(labels), len(LABELS)))
    for fit, held_out in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
        probabilities[held_out] = fitted(variant, papers.iloc[fit]).predict_proba(papers.iloc[held_out])
    return probabilities


def figures(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Accuracy, F1 and log loss, rounded; scikit-learn computes them."""
    predicted = probabilities.argmax(axis=1)
    per_class = f1_score(labels, predicted, average=None, labels=range(len(LABELS)), zero_division=0)
    return {
        "accuracy": round(accuracy_score(labels, predicted), 4),
        "macro_f1": round(f1_score(labels, predicted, average="macro"), 4),
        "weighted_f1": round(f1_score(labels, predicted, average="weighted"), 4),
        "log_loss": round(log_loss(labels, probabilities, labels=range(len(LABELS))), 4),
        "f1": dict(zip(LABELS, per_class.round(3).tolist(), strict=True)),
    }


def metrics(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Accuracy, macro F1 over the groups that occur, and weighted F1, quick enough to be computed thousands of times."""
    n = len(LABELS)
    confusion = np.bincount(labels * n + predicted, minlength=n * n).reshape(n, n)
    right, true, met = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = 2 * right / np.maximum(met, 1)
    return np.array([right.sum() / true.sum(), f1[met > 0].mean(), (f1 * true).sum() / true.sum()])


def gains(labels: np.ndarray, before: np.ndarray, after: np.ndarray, resamples: int = 2000) -> dict:
    """What one prediction has over another, each metric with the ends of its 95 % interval: both on the same resampled papers."""

    def gain(rows: np.ndarray) -> np.ndarray:
        return metrics(labels[rows], after[rows]) - metrics(labels[rows], before[rows])

    rng, everyone = np.random.default_rng(0), np.arange(len(labels))
    drawn = [gain(rng.integers(0, len(labels), len(labels))) for _ in range(resamples)]
    whole, ends = gain(everyone).round(4).tolist(), np.quantile(drawn, [0.025, 0.975], axis=0).round(4).T.tolist()
    return {name: {"difference": whole[i], "interval": ends[i]} for i, name in enumerate(METRICS)}
