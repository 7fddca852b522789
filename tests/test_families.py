"""The families with an encoder on the command line: what is chosen, what a bundle carries, and a training that is killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports
from tiny_models import tiny_encoder

from arxiv_nbclf import sample, write_table
from arxiv_nbclf.cli import main
from arxiv_nbclf.preprocessing import paper_texts

Predictions = pytest.CaptureFixture[str]


def shell(capsys: Predictions, *words: object) -> tuple[int, list[str]]:
    """Exit status and the lines of stderr of a command line."""
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err.splitlines()


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of synthetic papers, one of which no tokeniser likes."""
    table = sample(400)
    table.loc[0, "summary"] = "A very long abstract. " * 5_000
    path = tmp_path_factory.mktemp("papers") / "papers.parquet"
    write_table(table, path)
    return path


@pytest.fixture(scope="module")
def tiny(papers: Path) -> Path:
    """A small encoder with random weights."""
    return tiny_encoder(papers.parent / "tiny", paper_texts(pd.read_parquet(papers))[1:200]).folder


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the features of another, or of a user."""
    monkeypatch.setenv("ARXIV_NBCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_auto_takes_the_packaged_encoder_and_its_bundle_needs_nothing_else(
    papers: Path, tmp_path: Path, capsys: Predictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a setting that linear lacks: so linear is not compared on validation
    status, said = shell(capsys, "run", papers, "--out", tmp_path / "run", "--split", "stable", "--set", "encoder_weight=0.7")
    assert status == 0 and any("family hybrid (auto: " in line and "encoder minilm" in line for line in said), said
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert (report["family"], report["encoder"]) == ("hybrid", "minilm") and report["baseline"]["accuracy"] > 0
    predictions, few = [], tmp_path / "few.parquet"
    pd.read_parquet(papers).head(60).to_parquet(few)
    for cache in ("one", "another"):  # a cache may vanish, and so may the package that the encoder came from
        monkeypatch.setenv("ARXIV_NBCLF_CACHE", str(tmp_path / cache))
        monkeypatch.setattr("arxiv_nbclf.classifiers.encoders.MINILM_PACKAGE", "no_such_package")
        out = tmp_path / f"{cache}.parquet"
        assert shell(capsys, "--quiet", "predict", few, "--model", tmp_path / "run", "--out", out) == (0, [])
        predictions.append(pd.read_parquet(out))
    pd.testing.assert_frame_equal(*predictions, check_exact=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--family", "hybrid", "--encoder", "nowhere/at-all"), "nowhere/at-all"),
        (("--family", "auto", "--encoder", "nowhere/at-all"), "nowhere/at-all"),
        (("--family", "finetuned", "--set", "epochs=many"), "epochs='many' must be int"),
        (("--family", "finetuned", "--set", "loss=hinge"), "cross_entropy"),
        (("--family", "finetuned", "--recipe", "slow"), "fast, original"),
        (("--family", "hybrid", "--set", "max_length"), "name=value"),
        (("--family", "hybrid", "--recipe", "fast"), "has no setting 'recipe'"),
        (("--family", "ensemble", "--set", "members=linear"), "two or more"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_line_and_leaves_nothing(
    papers: Path, tmp_path: Path, capsys: Predictions, words: tuple[str, ...], says: str
) -> None:
    begun = time.monotonic()
    status, said = shell(capsys, "--quiet", "run", papers, "--out", tmp_path / "out", "--split", "stable", *words)
    assert status == 2 and len(said) == 1 and says in said[0], said
    assert time.monotonic() - begun < 30
    assert not list(tmp_path.glob("out*"))


@short_reports()
def test_a_killed_training_goes_on_to_the_same_result(papers: Path, tiny: Path, tmp_path: Path, capsys: Predictions) -> None:
    words = ["--family", "finetuned", "--encoder", tiny, "--split", "stable", "--set", "epochs=3", "--set", "max_length=64"]
    words += ["--set", "learning_rate=1e-3", "--set", "patience=0"]
    assert shell(capsys, "--quiet", "run", papers, "--out", tmp_path / "whole", *words)[0] == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", "import sys; from arxiv_nbclf.cli import main; sys.exit(main())", "run", papers, "--out", killed]
    with subprocess.Popen([*map(str, command), *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        checkpoints = tmp_path / "killed.partial" / "work" / "checkpoints"
        for _ in range(1200):
            if list(checkpoints.glob("checkpoint-*/trainer_state.json")) or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert list(checkpoints.glob("checkpoint-*")) and not killed.exists()
    assert shell(capsys, "--quiet", "run", papers, "--out", killed, *words)[0] == 0
    again, first = (json.loads((tmp_path / name / "report" / "report.json").read_text()) for name in ("killed", "whole"))
    assert again["confusion"] == first["confusion"] and again["log_loss"] == first["log_loss"]
    assert not (killed / "work").exists()
