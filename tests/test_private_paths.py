"""What is passed on (bundles, records, reports, exports) names folders of this machine by their last name alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from short_reports import short_reports

pytest.importorskip("torch")
from tiny_models import tiny_encoder

from arxiv_nbclf import runs
from arxiv_nbclf.classifiers.base import load_classifier
from arxiv_nbclf.core.basics import CannotWrite, FolderExists
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.deployment.export import export_model
from arxiv_nbclf.preprocessing import paper_texts

TABLE = read_papers(sample(300)).papers
PRIVATE = "home-of-ann"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARXIV_NBCLF_CACHE", str(tmp_path / "cache"))


def encoder(place: Path, **options: Any) -> str:
    return str(tiny_encoder(place / PRIVATE / "encoder", paper_texts(TABLE)[:100], **options).folder)


def leaks(folder: Path) -> list[str]:
    """The files that hold the path, as text or inside of a graph or a database."""
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and PRIVATE.encode() in path.read_bytes()]


def test_a_run_its_export_and_its_evaluation(tmp_path: Path) -> None:
    given = encoder(tmp_path)
    run = runs.run(TABLE, tmp_path / PRIVATE / "hybrid", family="hybrid", encoder=given, settings={"folds": 2, "offsets": False}, learn="group")
    assert leaks(run.folder) == []
    assert run.record["asked"]["encoder"] == run.record["encoder"] == run.record["settings"]["encoder"] == "encoder"
    export = export_model(run.folder, "onnx", tmp_path / PRIVATE / "export")
    assert leaks(export.folder) == []
    scored = runs.evaluate_bundle(TABLE, run.folder, tmp_path / "scored")
    assert leaks(scored.folder) == [] and scored.record["asked"]["model"] == "hybrid"
    assert load_classifier(run.folder).predict_proba(TABLE[:3]).shape == (3, 8), "the encoder is in the bundle"


def test_members_and_searches(tmp_path: Path) -> None:
    given = encoder(tmp_path)
    settings = {"members": ["linear", "hybrid"], "settings": {"hybrid": {"encoder": given, "folds": 2, "offsets": False}, "linear": {"C": 1.0}}}
    trained = runs.train(TABLE, tmp_path / "ensemble", family="ensemble", settings=settings)
    assert leaks(trained.folder) == []
    words = ["C=0.1..1:log", "encoder_weight=0.5", "components=8"]
    tuned = runs.tune(TABLE, tmp_path / "tuned", family="hybrid", encoder=given, trials=1, check_folds=0, space=words)
    assert leaks(tuned.folder) == []
    assert json.loads((tuned.folder / "run.json").read_text())["asked"]["search"]["encoder"] == "encoder"
    again = runs.tune(TABLE, tmp_path / "tuned", family="hybrid", encoder=given, trials=1, check_folds=0, space=words)
    assert again.record == tuned.record, "the same request is recognised"


@short_reports()
def test_folders_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, other = encoder(tmp_path / "one"), encoder(tmp_path / "two", seed=1)
    options = {"family": "hybrid", "settings": {"folds": 2, "offsets": False}}

    def full_disk(*_: Any, **__: Any) -> None:
        raise CannotWrite("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(runs, "write_report", full_disk)
        with pytest.raises(CannotWrite):
            runs.run(TABLE, tmp_path / "run", encoder=given, **options)
    fitted = (tmp_path / "run.partial" / "model" / "bundle.json").stat().st_mtime_ns
    with pytest.raises(FolderExists, match="encoder_digest was"):
        runs.run(TABLE, tmp_path / "run", encoder=other, **options)
    Path(given).rename(tmp_path / "encoder")  # moved, but the same
    runs.run(TABLE, tmp_path / "run", encoder=str(tmp_path / "encoder"), **options)
    assert (tmp_path / "run" / "model" / "bundle.json").stat().st_mtime_ns == fitted, "the model is taken over"
