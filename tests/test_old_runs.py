"""Run folders and models of version 0.1.0 still load: their JSON is written out here as that version wrote it."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports

from arxiv_nbclf import (
    label_ids,
    load_classifier,
    new_classifier,
    read_papers,
    sample,
    split_papers,
    write_table,
)
from arxiv_nbclf.cli import main
from arxiv_nbclf.preprocessing import split_digest

LABELS = ["cs", "econ", "eess", "math", "physics", "q-bio", "q-fin", "stat"]
BUNDLE_KEYS = ["format", "library_version", "family", "level", "labels", "settings", "fitted", "calibration", "thresholds", "files"]


def old_bundle(folder: Path, papers: pd.DataFrame, split: pd.Series) -> None:
    """A model with the description of version 0.1.0; only its numbers come from this version."""
    train, validation = (papers[split == name] for name in ("train", "validation"))
    classifier = new_classifier("linear", bits=12, C=0.5, class_weight=0.75)
    classifier.fit(train, label_ids(train), validation=(validation, label_ids(validation)))
    classifier.learnt_from_ = None  # old bundles have no sketch of their papers
    classifier.save(folder)
    saved = json.loads((folder / "bundle.json").read_text())
    assert list(saved) == BUNDLE_KEYS
    settings = {"C": 0.5, "bits": 12, "class_weight": 0.75, "folds": 5, "offsets": True, "pairs": False, "seed": 42, "text_plan": "raw"}
    weights = sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    old = {
        "format": 1, "library_version": "0.1.0", "family": "linear", "level": "group", "labels": LABELS, "settings": settings,
        "fitted": {"C": 0.5, "offsets": dict.fromkeys(LABELS, 0.0)}, "calibration": {"method": "temperature", "temperature": 0.5},
        "thresholds": [{"accuracy": 0.94, "threshold": 0.7, "coverage": 0.8}], "files": {"weights.safetensors": weights},
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(old))


def request(verb: str, source: list[dict], **more: object) -> dict:
    """What version 0.1.0 kept of a request."""
    return {"verb": verb, "family": "linear", "split": "seed", "seed": 42, "encoder": None, "settings": {}, "source": source, **more}


def searched() -> dict:
    """What version 0.1.0 kept of a search."""
    return {
        "family": "linear", "encoder": None, "settings": {"bits": 12}, "objective": "macro_f1", "judged by": "validation", "sampler": "tpe",
        "pruner": "median", "search seed": 42, "space.C": "0.1..2:log", "space.class_weight": "0..1.25",
    }  # fmt: skip


def old_study(path: Path, asked: dict) -> None:
    """Two finished trials, as version 0.1.0 left them."""
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="search", direction="maximize")
    study.set_user_attr("asked", asked)
    ranges = {
        "C": optuna.distributions.FloatDistribution(0.1, 2.0, log=True),
        "class_weight": optuna.distributions.FloatDistribution(0.0, 1.25),
    }
    for number, value in enumerate((0.6, 0.7)):
        params = {"C": 0.5, "class_weight": 0.25 + number / 2}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=ranges, value=value, user_attrs={"home": number}))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a run of it."""
    place = tmp_path_factory.mktemp("old")
    write_table(sample(600, seed=5), place / "papers.csv")
    papers = read_papers(place / "papers.csv").papers
    content = (place / "papers.csv").read_bytes()
    source = [{"file": "papers.csv", "bytes": len(content), "sha256": sha256(content).hexdigest()}]
    split = split_papers(papers)
    run = place / "run"
    old_bundle(run / "model", papers, split)
    write_table(pd.DataFrame({"aid": papers.aid, "split": split, "label": label_ids(papers)}), run / "splits.parquet")
    counts = {f"n_{name}": int((split == name).sum()) for name in ("train", "validation", "test")}
    record = {
        "asked": request("run", source), "created": "2026-11-01T12:00:00+00:00", "family": "linear", "level": "group", "encoder": None,
        "settings": {"C": 0.5, "bits": 12}, "training": None, "source": source, "synthetic": False, "rows": len(papers), "rejects": 0,
        "split": "seed", "seed": 42, "split_digest": split_digest(papers, split), **counts, "near_duplicates_across": 0,
        "versions": {"arxiv_nbclf": "0.1.0"}, "machine": "no accelerator; 2 CPU cores (x86_64)", "timings": {"findings: silence": 0.1},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(record))
    return place


def command(*words: object) -> int:
    """The exit status of a command."""
    return main(["--quiet", *map(str, words)])


def test_an_old_model_predicts(old: Path, tmp_path: Path) -> None:
    assert command("predict", old / "papers.csv", "--model", old / "run", "--out", tmp_path / "predictions.csv") == 0
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 600


def test_an_old_model_is_evaluated_on_its_test_papers_alone(old: Path, tmp_path: Path) -> None:
    assert command("evaluate", old / "papers.csv", "--model", old / "run", "--out", tmp_path / "again") == 0
    report = json.loads((tmp_path / "again" / "report" / "report.json").read_text())
    assert report["n_test"] == json.loads((old / "run" / "run.json").read_text())["n_test"]


@short_reports()
def test_an_old_interrupted_run_is_continued(old: Path, tmp_path: Path) -> None:
    shutil.copytree(old / "run", tmp_path / "run.partial")
    asked = json.loads((old / "run" / "run.json").read_text())["asked"]
    (tmp_path / "run.partial" / "run.json").write_text(json.dumps({"asked": asked}))
    assert command("run", old / "papers.csv", "--out", tmp_path / "run", "--family", "linear") == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["bits"] == 16, "nothing says by what the old model was fitted, and it has other settings: it is fitted anew"
    assert command("run", old / "papers.csv", "--out", tmp_path / "run", "--family", "linear") == 2, "it is finished"


@short_reports()
def test_an_old_search_is_continued(old: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    shutil.copytree(old / "run", out)
    record = json.loads((out / "run.json").read_text())
    record["asked"] = request("tune", record["source"], search=searched())
    record["tuning"] = {"best": {"trial": 1, "value": 0.7, "settings": {"C": 0.5, "class_weight": 0.75}}, "finished": 2}
    (out / "run.json").write_text(json.dumps(record))
    of_papers = {"split": "seed", "split_digest": record["split_digest"], "papers": [record["source"][0]["sha256"]]}
    old_study(out / "study.db", searched() | of_papers)
    space = ("--space", "bits=12", "--space", "C=0.1..2:log", "--check-folds", 0)
    words = ("tune", old / "papers.csv", "--out", out, "--family", "linear", *space)
    assert command(*words, "--trials", 2) == 0, "as many are finished already"
    assert json.loads((out / "run.json").read_text()) == record
    assert command(*words, "--trials", 3) == 0
    tuning = json.loads((out / "run.json").read_text())["tuning"]
    assert tuning["finished"] == 3 and [row["value"] for row in tuning["table"] if row["trial"] == 1] == [0.7]
    assert command(*words, "--trials", 3, "--objective", "accuracy") == 2, "another search is refused"


def test_an_old_hybrid_model_keeps_its_settings(tmp_path: Path) -> None:
    """Version 0.1.0 wrote `window` and `keep` where `max_length` and `truncation` stand now."""
    pytest.importorskip("torch")
    from tiny_models import tiny_encoder

    papers = read_papers(sample(80, seed=1)).papers
    encoder = tiny_encoder(tmp_path / "tiny", papers.title, layers=1)
    hybrid = new_classifier("hybrid", encoder=str(encoder.folder), window=24, keep="head+tail", folds=2)
    assert hybrid.get_params()["max_length"] == 24, "the old names are accepted"
    hybrid.fit(papers, label_ids(papers)).save(tmp_path / "model")
    path = tmp_path / "model" / "bundle.json"
    record = json.loads(path.read_text())
    settings = record["settings"]
    record["settings"] = settings | {"window": settings.pop("max_length"), "keep": settings.pop("truncation")}
    path.write_text(json.dumps(record))
    again = load_classifier(tmp_path / "model")
    assert again.get_params() == hybrid.get_params() | {"encoder": "tiny"}, "a bundle names the folder of its encoder without the path"
    assert (again.predict_proba(papers) == hybrid.predict_proba(papers)).all()


def test_an_old_ensemble_keeps_its_members_settings(tmp_path: Path) -> None:
    from arxiv_nbclf.classifiers.ensemble import EnsembleClassifier

    ensemble = EnsembleClassifier(("linear", "hybrid"), settings={"hybrid": {"window": 24, "keep": "head+tail"}})
    member = ensemble._new_members()[1].get_params()
    assert (member["max_length"], member["truncation"]) == (24, "head+tail")
    tuned = new_classifier("finetuned", goal="accuracy", window=64)
    assert (tuned.metric_for_best, tuned.max_length) == ("accuracy", 64)
