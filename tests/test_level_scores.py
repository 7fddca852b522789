"""Scores of the category level: each figure beside scikit-learn's, or beside a slow definition, at 20 to 148 classes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    ndcg_score,
    top_k_accuracy_score,
)

from arxiv_nbclf.classifiers.calibration import BadScores
from arxiv_nbclf.data.taxonomy import ALIASES, CATEGORIES, GROUPS, group_of
from arxiv_nbclf.evaluation.intervals import (
    compare_levels,
    level_intervals,
    resampled_terms,
)
from arxiv_nbclf.evaluation.metrics import (
    LEVEL_METRICS,
    LevelScores,
    level_values,
    score_level,
)

CODES = sorted(set(CATEGORIES) - {pair.alias for pair in ALIASES})
SIZES = (20, 60, 148)


def invented(classes: int, papers: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    """Labels, probabilities, listed codes and decisions of invented papers; some classes are rare, absent or never predicted."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, classes + 1)
    labels = rng.choice(classes, papers, p=frequency / frequency.sum())
    shares = rng.dirichlet(np.full(classes, 0.1), papers)
    shares = 0.5 * shares + 0.5 * np.eye(classes)[np.where(rng.random(papers) < 0.5, labels, rng.integers(0, classes, papers))]
    shares[:, -3:] = 0  # never predicted
    shares /= shares.sum(axis=1, keepdims=True)
    listed = rng.random((papers, classes)) < 1.5 / classes
    listed[np.arange(papers), labels] = True
    chances = np.maximum(shares, np.clip(shares + 0.3 * listed + 0.1 * rng.random(shares.shape), 0, 1))
    return {"labels": labels, "shares": shares, "listed": listed, "chances": chances, "decided": chances > 0.35}


def scored(data: dict[str, np.ndarray], rows: np.ndarray | slice = slice(None)) -> LevelScores:
    """Scores of some of the papers, each as often as it is named."""
    labels, shares, *others = (values[rows] for values in data.values())
    return score_level(labels, shares, CODES[: shares.shape[1]], *others)


def expected_calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """Guo et al. 2017, bin by bin."""
    error = 0.0
    for low in range(15):
        of = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if of.any():
            error += of.mean() * abs(right[of].mean() - confidence[of].mean())
    return error


def slow_figures(data: dict[str, np.ndarray]) -> dict[str, float]:
    """Every score of the level by scikit-learn, or paper by paper."""
    labels, shares, listed, chances, decided = data.values()
    classes = shares.shape[1]
    predicted, group = shares.argmax(axis=1), np.array([GROUPS.index(group_of(code)) for code in CODES[:classes]])
    sums = np.stack([shares[:, group == number].sum(axis=1) for number in range(8)], axis=1)
    of_group, group_predicted = group[labels], sums.argmax(axis=1)
    half = [(int(one == two) + int(group[one] == group[two])) / 2 for one, two in zip(labels, predicted, strict=True)]
    hits = sizes = sizes_predicted = found = secondaries = 0
    for paper in range(len(labels)):
        true = {int(code) for code in np.flatnonzero(listed[paper])}
        given = {int(code) for code in np.flatnonzero(decided[paper])}
        true_nodes = true | {GROUPS[group[code]] for code in true}
        given_nodes = given | {GROUPS[group[code]] for code in given}
        hits, sizes, sizes_predicted = hits + len(true_nodes & given_nodes), sizes + len(true_nodes), sizes_predicted + len(given_nodes)
        first = sorted(range(classes), key=lambda code: (-chances[paper, code], code))[:5]
        found += len((true - {int(labels[paper])}) & set(first))
        secondaries += len(true) - 1
    order = np.argsort(-chances, axis=1, kind="stable")
    ranked = np.take_along_axis(listed, order, axis=1)
    undefined = {"average": "macro", "zero_division": np.nan}
    return {
        "accuracy": accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "weighted_f1": f1_score(labels, predicted, average="weighted"),
        "log_loss": log_loss(labels, shares, labels=range(classes)),
        "top_3": top_k_accuracy_score(labels, shares, k=3, labels=range(classes)),
        "top_5": top_k_accuracy_score(labels, shares, k=5, labels=range(classes)),
        "calibration_error": expected_calibration_error(predicted == labels, shares.max(axis=1)),
        "hierarchical_f1": np.mean(half),
        "group_accuracy": accuracy_score(of_group, group_predicted),
        "group_macro_f1": f1_score(of_group, group_predicted, average="macro"),
        "group_calibration_error": expected_calibration_error(group_predicted == of_group, sums.max(axis=1)),
        "listed_accuracy": np.mean([listed[paper, predicted[paper]] for paper in range(len(labels))]),
        "cross_list_recall_5": found / secondaries,
        "listed_micro_f1": f1_score(listed, decided, average="micro"),
        "listed_macro_f1": f1_score(listed, decided, **undefined),
        "listed_samples_f1": f1_score(listed, decided, average="samples"),
        **{f"listed_precision_{k}": ranked[:, :k].mean() for k in (1, 3, 5)},
        "listed_ndcg_5": ndcg_score(listed, chances, k=5, ignore_ties=True),
        "listed_hierarchical_precision": hits / sizes_predicted,
        "listed_hierarchical_recall": hits / sizes,
        "listed_hierarchical_f1": 2 * hits / (sizes + sizes_predicted),
    }


@pytest.mark.parametrize("classes", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_every_score_is_that_of_its_definition(classes: int, seed: int) -> None:
    data = invented(classes, seed=seed)
    found, slow = scored(data).values, slow_figures(data)
    assert set(found.index) == set(slow) == set(LEVEL_METRICS)
    for name, value in slow.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("classes", SIZES)
def test_micro_f1_of_the_primary_is_accuracy(classes: int) -> None:
    data = invented(classes)
    micro = f1_score(data["labels"], data["shares"].argmax(axis=1), average="micro")
    assert scored(data).values["accuracy"] == pytest.approx(micro)


@pytest.mark.parametrize("classes", SIZES)
def test_a_resample_is_scored_like_its_papers(classes: int) -> None:
    """Weighted sums give what the papers give when each is repeated as often as it was drawn."""
    data = invented(classes)
    scores, rng = scored(data), np.random.default_rng(0)
    for _ in range(5):
        drawn = np.concatenate([rng.choice(of, len(of)) for label in np.unique(data["labels"]) for of in [np.flatnonzero(data["labels"] == label)]])
        times = np.bincount(drawn, minlength=len(data["labels"]))
        weighted = pd.Series(level_values(scores.terms, scores.terms.columns.T @ times), list(LEVEL_METRICS))
        repeated = scored(data, drawn).values
        # classes that a resample has lost count as 0 in the mean, and scikit-learn would leave them out
        rest = [name for name in LEVEL_METRICS if "macro" not in name]
        pd.testing.assert_series_equal(weighted[rest], repeated[rest])


def test_draws_are_stratified_and_repeatable() -> None:
    scores = scored(invented(60))
    (sums,) = resampled_terms(scores.terms, resamples=200, seed=1)
    true = scores.terms.blocks["classes"]
    support = sums[:, true].reshape(200, 3, -1)[:, 1]
    assert (support == np.bincount(scores.terms.labels, minlength=60)).all()
    assert (sums == resampled_terms(scores.terms, resamples=200, seed=1)[0]).all()
    assert (sums != resampled_terms(scores.terms, resamples=200, seed=2)[0]).any()


def test_many_draws_are_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = scored(invented(20))
    whole = level_intervals(scores, 600).scores
    monkeypatch.setattr("arxiv_nbclf.evaluation.intervals.MAX_DRAWS", 40_000)  # 100 resamples at once
    blocks = level_intervals(scores, 600).scores
    width = (whole["high"] - whole["low"]).clip(lower=1e-9)
    assert ((whole["low"] - blocks["low"]).abs() < 0.15 * width).all()
    assert (whole["value"] == blocks["value"]).all()


def test_an_interval_covers_what_it_claims() -> None:
    """Accuracy, top 5, hierarchical F1 and group accuracy of 200 test sets drawn within each category."""
    whole = invented(60, papers=20_000, seed=5)
    names = ["accuracy", "top_5", "hierarchical_f1", "group_accuracy", "listed_micro_f1"]
    truth, rng, held = scored(whole).values[names], np.random.default_rng(0), []
    share = 0.04
    for _ in range(200):
        rows = np.concatenate(
            [
                rng.choice(of, max(1, round(share * len(of))), replace=False)
                for label in np.unique(whole["labels"])
                for of in [np.flatnonzero(whole["labels"] == label)]
            ]
        )
        found = level_intervals(scored(whole, rows), 200).scores.loc[names]
        held.append((found["low"] <= truth) & (truth <= found["high"]))
    assert (np.mean(held, axis=0) > 0.88).all(), dict(zip(names, np.mean(held, axis=0), strict=True))


def test_a_better_model_is_called_better_and_the_same_one_identical() -> None:
    data = invented(148, papers=1500)
    better = dict(data)
    lift = np.eye(148)[data["labels"]]
    better["shares"] = np.where(np.random.default_rng(3).random((1500, 1)) < 0.1, lift, data["shares"])
    found = compare_levels(scored(data), scored(better), 500).metrics
    assert (found.loc[["accuracy", "top_3", "top_5", "macro_f1", "group_accuracy", "log_loss"], "verdict"] == "better").all()
    assert (found.loc["listed_micro_f1", "difference"]) == 0
    assert found.loc["listed_micro_f1", "verdict"] == "identical"
    assert set(compare_levels(scored(data), scored(data), 100).metrics["verdict"]) == {"identical"}
    back = compare_levels(scored(better), scored(data), 500).metrics
    assert back.loc["accuracy", "verdict"] == "worse"
    assert np.allclose(back["low"], -found["high"])


def test_groups_as_classes_are_their_own_groups() -> None:
    scores = score_level([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], ["cs", "math"])
    assert scores.values["accuracy"] == scores.values["group_accuracy"] == scores.groups.accuracy == 2 / 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"listed": np.ones((2, 2), dtype=bool)}, "listed: shape"),
        ({"listed": np.ones((3, 2))}, "bool is needed"),
        ({"listed": np.ones((3, 2), dtype=bool), "listed_probabilities": np.full((3, 2), np.nan)}, "numbers from 0 to 1"),
        ({"listed": np.ones((3, 2), dtype=bool), "decided": np.ones((3, 2))}, "bool is needed"),
    ],
)
def test_bad_input_is_one_line(given: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BadScores, match=message) as caught:
        score_level([0, 1, 0], [[0.5, 0.5]] * 3, ["cs.CL", "cs.CV"], **given)
    assert "\n" not in str(caught.value)
