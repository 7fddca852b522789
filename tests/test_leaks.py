"""Nothing of the test papers reaches a model, and validation is chosen by, never learnt from: both are poisoned, for every family.

What validation may change: calibration and thresholds of all families; of finetuned the best epoch and how much of the prior is given back;
of an ensemble the blend (temperatures, weights and offsets). The learnt weights it may not.
"""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from short_reports import short_reports

from arxiv_nbclf import label_ids, new_classifier, read_papers, runs, sample
from arxiv_nbclf.classifiers.base import SKETCH_FILE, Classifier, HeldOut
from arxiv_nbclf.classifiers.calibration import (
    Temperature,
    cross_calibrate,
    fit_thresholds,
)
from arxiv_nbclf.classifiers.hybrid import hybrid_builder
from arxiv_nbclf.classifiers.linear import tfidf_builder
from arxiv_nbclf.preprocessing import LABELS, PreparedPapers, prepare

FAMILIES = ["linear", "hybrid", "finetuned", "ensemble"]
POISON = "zyzzyva quixotic " * 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedPapers:
    """Synthetic papers, split."""
    from arxiv_nbclf import write_table

    path = tmp_path_factory.mktemp("papers") / "papers.parquet"
    write_table(sample(260, seed=3), path)
    return prepare(path, split="stable")


@pytest.fixture(scope="module")
def settings(prepared: PreparedPapers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Small models of every family."""
    pytest.importorskip("torch")
    from tiny_models import tiny_encoder

    encoder = str(tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", prepared.papers.title, width=16, layers=1).folder)
    linear = {"bits": 10, "C": 0.5}
    hybrid = {"encoder": encoder, "max_length": 24, "bits": 10, "folds": 2, "precision": "fp32"}
    finetuned = {"encoder": encoder, "max_length": 24, "epochs": 1, "patience": 0, "precision": "fp32"}
    members = {"linear": linear, "hybrid": hybrid, "finetuned": finetuned}
    return members | {"ensemble": {"members": [*members], "settings": members}}


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No features of another test are found on disk."""
    monkeypatch.setenv("ARXIV_NBCLF_CACHE", str(tmp_path / "cache"))


def poisoned(prepared: PreparedPapers, name: str) -> PreparedPapers:
    """The same papers; those of one split have other texts, categories and labels."""
    papers, labels, own = prepared.papers.copy(), prepared.labels.copy(), (prepared.split == name).to_numpy()
    papers.loc[own, ["title", "summary"]] = POISON
    papers.loc[own, ["categories", "main_category"]] = "econ.GN"
    labels[own] = LABELS.index("econ")
    return replace(prepared, papers=papers, labels=labels)


def description(bundle: Path) -> dict[str, Any]:
    """What bundle.json says, but for the digests of its files, and for the time that a training took."""
    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(one) for key, one in value.items() if "second" not in key and key != "files"}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    return timeless(json.loads((bundle / "bundle.json").read_text()))


def files(bundle: Path, *ignored: str) -> dict[str, bytes]:
    """The other files of a bundle, and of its members; those of some names, or at some paths, may be ignored."""
    paths = (path for path in bundle.rglob("*") if path.is_file() and path.name != "bundle.json")
    found = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in paths}
    return {name: content for name, content in found.items() if not {name, Path(name).name} & {*ignored}}


def fitted(prepared: PreparedPapers, family: str, settings: dict[str, Any], folder: Path) -> tuple[Classifier, Path]:
    """A model fitted as a run fits it, and its bundle."""
    classifier = new_classifier(family, **settings).fit(*prepared.subset("train"), validation=prepared.subset("validation"))
    return classifier, classifier.save(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_test_papers_change_nothing(prepared: PreparedPapers, settings: dict[str, Any], tmp_path: Path, family: str) -> None:
    _, one = fitted(prepared, family, settings[family], tmp_path / "one")
    _, other = fitted(poisoned(prepared, "test"), family, settings[family], tmp_path / "other")
    assert files(one) == files(other) and description(one) == description(other)


@pytest.mark.parametrize("decide", [None, "macro_f1"])
@pytest.mark.parametrize("family", ["linear", "hybrid"])
def test_test_papers_change_no_blend(
    prepared: PreparedPapers, settings: dict[str, Any], tmp_path: Path, family: str, decide: str | None
) -> None:
    """Groups beside categories: neither the weights nor what they are blended, decided and calibrated by."""
    own = settings[family] | {"learn": "both", "level": "group", "min_papers": 2, "decide": decide}
    bundles = []
    for name, some in (("one", prepared), ("other", poisoned(prepared, "test")), ("learnt", poisoned(prepared, "train"))):
        (train, _), (held, _) = (some.subset(part) for part in ("train", "validation"))
        pairs = [(papers, papers["main_category"].tolist()) for papers in (train, held)]
        if name == "learnt":
            pairs[0] = (train.assign(title=held["title"].iloc[0]), prepared.subset("train")[0]["main_category"].tolist())
        bundles.append(new_classifier(family, **own).fit(*pairs[0], validation=pairs[1]).save(tmp_path / name))
    one, other, learnt = bundles
    assert files(one) == files(other) and description(one) == description(other)
    assert "groups.safetensors" in files(one) and files(one) != files(learnt)


@pytest.mark.parametrize("family", FAMILIES)
def test_train_papers_do(prepared: PreparedPapers, settings: dict[str, Any], tmp_path: Path, family: str) -> None:
    """Or else the tests around this one would show nothing."""
    half = prepared.labels.copy()
    half[::2] = np.roll(half[::2], 1)
    _, one = fitted(prepared, family, settings[family], tmp_path / "one")
    _, other = fitted(replace(prepared, labels=half), family, settings[family], tmp_path / "other")
    assert files(one) != files(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_validation_is_not_learnt(prepared: PreparedPapers, settings: dict[str, Any], tmp_path: Path, family: str) -> None:
    (first, one), (second, other) = (
        fitted(papers, family, settings[family], tmp_path / name)
        for name, papers in (("one", prepared), ("other", poisoned(prepared, "validation")))
    )
    chosen = [SKETCH_FILE, "offsets.safetensors", "members/finetuned/offsets.safetensors"]  # how much of the prior to give back
    chosen += ["weights.safetensors"] if family == "ensemble" else []  # of the blend; its members' are compared
    assert files(one, *chosen) == files(other, *chosen) and len(files(one, *chosen)) >= 1
    assert description(one)["settings"] == description(other)["settings"]
    if family in ("linear", "hybrid"):  # C and offsets come from folds of the training papers
        assert first.fitted_ == second.fitted_
    assert description(one)["calibration"] != description(other)["calibration"], "it is what they are calibrated by"


@pytest.mark.parametrize("family", ["linear", "hybrid"])
def test_features_of_a_fold_know_nothing_of_the_others(family: str) -> None:
    """Document frequencies and the whitener are of the papers that are fitted on."""
    rng = np.random.default_rng(0)
    counts, dense = rng.poisson(0.3, (40, 64)).astype(np.float32), rng.normal(size=(40, 12))
    fit, others = np.arange(0, 40, 2), np.arange(1, 40, 2)

    def of_fit(counts: np.ndarray, dense: np.ndarray) -> np.ndarray:
        sparse = csr_matrix(counts)
        builder = tfidf_builder(sparse) if family == "linear" else hybrid_builder(sparse, dense, 0.7, None)
        return builder(fit, others)[0].toarray()

    worse, strange = counts.copy(), dense.copy()
    worse[others], strange[others] = rng.poisson(9, (20, 64)), 1e3 * rng.normal(size=(20, 12)) + 50
    assert np.array_equal(of_fit(counts, dense), of_fit(worse, strange))


def test_a_paper_is_calibrated_by_others() -> None:
    scores, labels, met = np.arange(64.0).reshape(16, 4), np.tile(np.arange(4), 4), []

    def fit(values: np.ndarray, ids: np.ndarray) -> Any:
        assert len(values) == len(ids)
        known = {tuple(row) for row in values}

        def calibrate(rows: np.ndarray) -> np.ndarray:
            met.extend(tuple(row) in known for row in rows)
            return Temperature()(rows)

        return calibrate

    cross_calibrate(scores, labels, fit=fit)
    assert len(met) == len(scores) and not any(met)


@pytest.mark.parametrize("family", FAMILIES)
def test_thresholds_promise_nothing_for_noise(family: str) -> None:
    """A calibration that has seen the labels is sure of itself even where the scores are noise."""
    rng = np.random.default_rng(1)
    labels = rng.integers(8, size=300)
    noise, signal = rng.normal(size=(300, 8)), 2.5 * np.eye(8)[labels]
    classifier = new_classifier(family)
    for scores in (noise, noise + signal):
        classifier._calibrate(HeldOut(scores, labels))
        held_out, in_sample = cross_calibrate(scores, labels), classifier.calibration_(scores)
        assert np.array_equal(classifier.held_out_proba_, held_out)  # type: ignore[arg-type]
        assert classifier.thresholds_ == fit_thresholds(held_out, labels)
        rows = np.arange(len(labels)), labels
        assert held_out[rows].mean() < in_sample[rows].mean()
    assert classifier.thresholds_ and classifier.thresholds_ != fit_thresholds(in_sample, labels)


def test_a_run_tests_on_what_it_did_not_fit(prepared: PreparedPapers) -> None:
    split = prepared.split.to_numpy()
    parts = {name: set(prepared.subset(name)[0].aid) for name in np.unique(split)}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == len(split)
    assert isinstance(prepared.papers, pd.DataFrame) and label_ids(prepared.papers).tolist() == prepared.labels.tolist()
    assert read_papers(prepared.papers).papers.aid.tolist() == prepared.papers.aid.tolist()


# From here on a file of papers goes through the functions that a user calls.
# What may follow from other papers in validation: calibration (in bundle.json), and
CHOSEN_BY_VALIDATION = {
    "linear": [SKETCH_FILE],  # names the papers that calibrated it
    "hybrid": [SKETCH_FILE, "listed.safetensors"],  # how codes are listed is calibration, too
    "finetuned": [SKETCH_FILE, "offsets.safetensors"],  # how much of the prior to give back; the epoch is held fixed, there is one
    "ensemble": [SKETCH_FILE, "weights.safetensors", "members/finetuned/offsets.safetensors"],  # the blend; members' weights stay
}
LINEAR_SEARCH: dict[str, Any] = {"trials": 4, "space": ["C=0.1..1:log"], "check_folds": 0}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tables that differ in texts and labels of one side of the split alone, which goes by time."""
    from arxiv_nbclf import write_table
    from arxiv_nbclf.preprocessing import split_papers

    folder = tmp_path_factory.mktemp("tables")
    papers, others = (read_papers(sample(260, seed=seed)).papers for seed in (3, 8))
    split = split_papers(papers, plan="time")
    found = {"same": folder / "same.parquet"}
    write_table(papers, found["same"])
    for side in ("train", "validation", "test"):
        changed, own = papers.copy(), (split == side).to_numpy()
        for name in ("title", "summary", "main_category", "categories"):
            # the other papers' order is turned, so that their labels do not fit their texts
            turned = np.roll(others[name].to_numpy(), 7 if "categor" in name else 0)
            changed.loc[own, name] = turned[own]
        found[side] = folder / f"{side}.parquet"
        write_table(changed, found[side])
        assert (label_ids(changed)[own] != label_ids(papers)[own]).mean() > 0.3
        assert (split_papers(changed, plan="time") == split).all()
    return found


@pytest.fixture(scope="module")
def bundle(tables: dict[str, Path], settings: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes the model of a table, once; a linear one is also scored and reported on."""
    import torch

    torch.set_num_threads(1)
    made: dict[Any, Path] = {}

    def make(table: str, family: str, **search: Any) -> Path:
        key = table, family, repr(search)
        if key not in made:
            out = tmp_path_factory.mktemp(f"{family}-{table}") / "run"
            function = runs.tune if search else runs.run if family == "linear" else runs.train
            fixed = {"bits": 10} if search else settings[family]
            with short_reports() if search else nullcontext():
                function(tables[table], out, family=family, split="time", settings=fixed, **search)
            made[key] = out / "model"
        return made[key]

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_knows_nothing_of_test(bundle: Any, family: str) -> None:
    one, other = bundle("same", family), bundle("test", family)
    assert files(one) == files(other) and description(one) == description(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_know_nothing_of_validation(bundle: Any, family: str) -> None:
    one, other, learnt = (bundle(table, family) for table in ("same", "validation", "train"))
    chosen = CHOSEN_BY_VALIDATION[family]
    assert files(one, *chosen) == files(other, *chosen) and files(one, *chosen)
    assert description(one)["calibration"] != description(other)["calibration"], "it is what they are calibrated by"
    assert files(one, *chosen) != files(learnt, *chosen), "or else the tests show nothing"


@pytest.mark.parametrize("folds", [0, 2])
def test_a_search_knows_nothing_of_test(bundle: Any, folds: int) -> None:
    pytest.importorskip("optuna")
    one, other = (bundle(table, "linear", folds=folds, **LINEAR_SEARCH) for table in ("same", "test"))
    assert files(one) == files(other) and description(one) == description(other)
    assert trials(one) == trials(other)


def test_a_search_by_folds_knows_nothing_of_validation(bundle: Any) -> None:
    pytest.importorskip("optuna")
    one, other = (bundle(table, "linear", folds=2, **LINEAR_SEARCH) for table in ("same", "validation"))
    assert files(one, SKETCH_FILE) == files(other, SKETCH_FILE) and trials(one) == trials(other)
    by_validation = (bundle(table, "linear", folds=0, **LINEAR_SEARCH) for table in ("same", "validation"))
    assert len({str(trials(folder)) for folder in by_validation}) == 2, "or else the tests show nothing"


def trials(bundle: Path) -> list[Any]:
    """What a search has tried, and the scores."""
    found = json.loads((bundle.parent / "run.json").read_text())["tuning"]["table"]
    return [[row["trial"], row["value"], row["C"]] for row in found]


@pytest.mark.parametrize("family", ["linear", "hybrid"])
def test_scores_out_of_fold_gain_nothing_from_noise(family: str, settings: dict[str, dict[str, Any]]) -> None:
    """C and offsets that are chosen on the papers that they score make labels without any meaning look learnable."""
    texts, right = [f"word{i} of{i}" for i in range(240)], []
    ids = np.repeat(np.arange(8), 30)
    for seed in range(4):
        classifier = new_classifier(family, **settings[family] | {"seed": seed, "C": None, "folds": 2})
        scores = classifier.out_of_fold_scores(texts, np.random.default_rng(seed).permutation(ids))
        right.append(np.mean(scores.argmax(axis=1) == np.random.default_rng(seed).permutation(ids)))  # type: ignore[union-attr]
    assert np.mean(right) < 0.125 + 0.02


@pytest.mark.parametrize("family", ["finetuned", "ensemble"])
def test_what_validation_chooses_is_cross_fitted(
    prepared: PreparedPapers, settings: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """The papers of validation that calibrate are scored by what the others of them choose."""
    from arxiv_nbclf.classifiers import ensemble
    from arxiv_nbclf.training import finetuned

    n, met, calibrate = (prepared.split == "validation").sum(), [], Classifier._calibrate
    monkeypatch.setattr(Classifier, "_calibrate", lambda self, held_out: (met.append(held_out), calibrate(self, held_out))[1])
    # whoever sees all of validation chooses something absurd
    monkeypatch.setattr(finetuned, "choose_tau", lambda scores, labels, prior: 99.0 * (len(labels) == n))
    monkeypatch.setattr(ensemble, "fit_offsets", lambda scores, labels, grid: np.full(8, 99.0 * (len(labels) == n)))
    own = settings[family] | ({"thresholds": True} if family == "ensemble" else {})
    classifier, _ = fitted(prepared, family, own, tmp_path / "model")
    assert len(met[-1].scores) == n and np.abs(classifier.offsets_).max() >= 99
    assert np.abs(met[-1].scores).max() < 90
