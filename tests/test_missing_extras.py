"""A command that lacks an extra says so before it reads a table, in one line with what to install, and leaves nothing behind."""

from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports
from tiny_models import tiny_encoder

from arxiv_nbclf import run, sample
from arxiv_nbclf.cli import main
from arxiv_nbclf.core import basics

HIDDEN = {
    "hybrid": ("torch", "run TABLE --out new --family hybrid"),
    "finetuned": ("accelerate", "train TABLE --out new --family finetuned"),
    "ensemble": ("datasets", "run TABLE --out new --family ensemble"),
    "a stream": ("transformers", "train TABLE --out new --family hybrid --level category"),
    "tune": ("optuna", "tune TABLE --out new --family linear"),
    "tune hybrid": ("torch", "tune TABLE --out new --family hybrid"),
    "run --tune": ("optuna", "run TABLE --out new --family linear --tune 2"),
    "track": ("tensorboard", "train TABLE --out new --family linear --track tensorboard"),
    "hf": ("transformers", "export FOLDER --to hf --out new --papers TABLE"),
    "onnx": ("onnxruntime", "export FOLDER --to onnx --out new --papers TABLE"),
    "cascade": ("onnx", "export FOLDER --to onnx-cascade --out new --papers TABLE"),
    "ray": ("ray", "predict TABLE --engine ray --out new"),
    "harvest": ("defusedxml", "harvest --categories cs --from 2025-04 --to 2025-04 --api http://127.0.0.1:9/x --out new"),
    "ids": ("urllib3", "predict 2504.15253 --api http://127.0.0.1:9/x"),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_missing_package_is_named_first(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, line = HIDDEN[case]
    known = basics._installed
    monkeypatch.setattr(basics, "_installed", lambda name: name != module and known(name))
    monkeypatch.setattr("arxiv_nbclf.training.tracking.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    table, folder = tmp_path / "papers.csv", tmp_path / "model"
    table.write_text("this is no table", encoding="utf-8")  # whoever reads it complains of it
    folder.mkdir()
    words = [{"TABLE": str(table), "FOLDER": str(folder)}.get(word, word) for word in line.split()]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    assert f"{module} is not installed: pip install " in err and module in err.split("pip install ")[1]
    assert not list(tmp_path.glob("new*"))


@short_reports()
def test_a_saved_model_names_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    papers = sample(400)
    encoder = tiny_encoder(tmp_path / "tiny", papers.title)
    run(papers, tmp_path / "run", "hybrid", encoder=str(encoder.folder), settings={"folds": 2, "C": 1.0}, learn="group")
    (tmp_path / "new.csv").write_text("this is no table", encoding="utf-8")
    monkeypatch.setattr(basics, "_installed", lambda name: name != "torch")
    capsys.readouterr()
    for verb in ("predict", "review", "queue"):
        assert main([verb, str(tmp_path / "new.csv"), "--model", str(tmp_path / "run"), "--out", str(tmp_path / "answers.csv")]) == 2
        assert "torch is not installed: pip install torch" in capsys.readouterr().err


def test_no_hint_names_an_index_that_lacks_the_package() -> None:
    """The library is installed from its repository or a wheel, so a bare `pip install arxiv_nbclf` brings nothing."""
    package = Path(basics.__file__).parents[1]
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*") if path.suffix in (".py", ".md", ".html")}
    assert texts
    for path, text in texts.items():
        found = [line for line in text.splitlines() if "pip install" in line and "arxiv_nbclf" in line]
        assert all("git+https://" in line for line in found), (path.name, found)


def test_one_thing_is_not_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "papers.csv"
    pd.DataFrame(sample(1)).to_csv(table, index=False)
    assert main(["predict", str(table), "--out", str(tmp_path / "answers.csv")]) == 0
    assert "1 paper predicted" in capsys.readouterr().err
