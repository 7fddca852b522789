"""Options of runs, from the command line: a file of options, a run again, a time limit, the hub, and tracking."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports
from tiny_models import tiny_encoder

from arxiv_nbclf import runs
from arxiv_nbclf.classifiers.base import load_classifier
from arxiv_nbclf.cli import main
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.data.tables import write_table
from arxiv_nbclf.deployment.export import hub_files, push_model
from arxiv_nbclf.preprocessing import paper_texts

SETTINGS = {"bits": 12, "C": 1.0, "folds": 2}
LINEAR = ("--family", "linear", "--set", "bits=12", "--set", "C=1.0", "--set", "folds=2")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic papers in a file."""
    path = tmp_path_factory.mktemp("papers") / "papers.csv"
    write_table(sample(400), path)
    return path


@pytest.fixture(scope="module")
def linear_run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the linear family."""
    out = tmp_path_factory.mktemp("runs") / "linear"
    runs.run(table, out, "linear", split="stable", seed=7, settings=SETTINGS)
    return out


@pytest.fixture(scope="module")
def encoder(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny transformer with random weights."""
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", paper_texts(read_papers(table).papers), layers=1).folder


def one_error(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a refused command."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("arxiv-nbclf: ")]
    assert (out, len(errors)) == ("", 1), err
    return errors[0]


def test_a_file_of_options(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "options.toml"
    config.write_text(
        f'seed = 3\nsplit = "stable"\n[train]\npapers = "{table}"\nfamily = "linear"\nmin_papers = 4\nset = ["bits=12", "C=1.0", "folds=2"]\n'
        f'[run]\nfamily = "hybrid"\n'
    )
    assert main(["--config", str(config), "train", "--out", str(tmp_path / "a")]) == 0
    assert main(["train", f"--config={config}", "--seed", "4", "--out", str(tmp_path / "b")]) == 0
    first, second = (json.loads((tmp_path / name / "run.json").read_text())["asked"] for name in "ab")
    assert [first[name] for name in ("family", "split", "seed", "settings")] == ["linear", "stable", 3, SETTINGS]
    assert second | {"seed": 3} == first
    capsys.readouterr()
    config.write_text('[train]\nfamily = "linear"\n\nsed = 3\n')
    assert "[train] has no option 'sed'; did you mean" in one_error(capsys, "train", table, "--out", tmp_path / "c", "--config", config)
    config.write_text('[train]\nfamily = "linear\n')
    assert "at line 2" in one_error(capsys, "train", table, "--out", tmp_path / "c", "--config", config)
    assert not (tmp_path / "c").exists()


@short_reports()
def test_a_run_again_predicts_the_same(linear_run: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = one_error(capsys, "run", "--again", linear_run, "--out", tmp_path / "a")
    assert re.search(r"made from papers.csv \(sha256 [0-9a-f]{12}…\), 400 rows: give this table too", message)
    assert main(["run", "--again", str(linear_run), str(table), "--out", str(tmp_path / "a")]) == 0
    one, other = (pd.read_parquet(folder / "predictions.parquet") for folder in (linear_run, tmp_path / "a"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    records = [json.loads((folder / "run.json").read_text()) for folder in (linear_run, tmp_path / "a")]
    assert records[0]["asked"] == records[1]["asked"]
    capsys.readouterr()
    write_table(sample(400, seed=1), tmp_path / "other.csv")
    assert main(["run", "--again", str(linear_run), str(tmp_path / "other.csv"), "--out", str(tmp_path / "b")]) == 0
    assert re.search(r"other.csv \(sha256 .* is not what the record names, papers.csv", capsys.readouterr().err)
    assert "--seed is that of the run with --again" in one_error(
        capsys, "run", "--again", linear_run, table, "--seed", 1, "--out", tmp_path / "c"
    )
    assert "No such file" in one_error(capsys, "run", "--again", tmp_path / "nowhere", table, "--out", tmp_path / "c")


@short_reports()
def test_an_encoder_in_a_folder_is_given_again(table: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"max_length": 16, "components": 8, "C": 0.25, "offsets": False, "folds": 2, "bits": 10}
    first = runs.train(table, tmp_path / "hybrid", "hybrid", encoder=str(encoder), settings=settings)
    message = one_error(capsys, "run", "--again", first.folder, table, "--out", tmp_path / "a")
    assert "the encoder was the folder tiny (digest " in message
    again = runs.repeat_run(first.folder, tmp_path / "a", table, encoder=str(encoder))
    assert again.record["asked"] == first.record["asked"]
    papers = read_papers(table).papers
    one, other = (load_classifier(folder).predict_proba(papers) for folder in (first.folder, again.folder))
    assert (one == other).all()


def test_a_tiny_budget_ends_with_a_linear_model(table: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(table), "--encoder", str(encoder), "--minutes", "0.000001"]
    assert main([*words, "--out", str(tmp_path / "quick")]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"hybrid needs about .* minutes, more than minutes=1e-06: not taken", err)
    assert "family linear (auto: what fits into 1e-06 minutes)" in err
    assert "the fit took" in err
    record = json.loads((tmp_path / "quick" / "run.json").read_text())
    assert (record["family"], record["asked"]["family"], record["asked"]["minutes"]) == ("linear", "linear", 1e-06)
    assert load_classifier(tmp_path / "quick").family == "linear"
    assert "hybrid needs about" in one_error(capsys, *words, "--family", "hybrid", "--out", tmp_path / "no")
    assert "not for the family ensemble" in one_error(capsys, *words, "--family", "ensemble", "--out", tmp_path / "no")
    assert "--minutes -1" in one_error(capsys, "run", table, "--minutes", -1, "--family", "linear", "--out", tmp_path / "no")
    assert not list(tmp_path.glob("no*"))


def test_fine_tuning_stops_in_time(table: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--set", "epochs=50", "--set", "max_length=16", "--set", "tokens_per_batch=512", "--set", "patience=50")
    words = ("train", str(table), "--family", "finetuned", "--encoder", str(encoder), *settings)
    assert main([*words, "--minutes", "0.02", "--out", str(tmp_path / "short")]) == 0
    err = capsys.readouterr().err
    assert re.search(r"time is over after \d+\.\d+ of 50 epochs", err)
    record = json.loads((tmp_path / "short" / "run.json").read_text())
    assert 1 <= len(record["training"]) < 50
    assert record["settings"]["minutes"] == 0.02
    assert load_classifier(tmp_path / "short").predict(["quark"]).shape == (1,)


def test_the_hub_gets_the_model_and_its_card_alone(
    linear_run: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    push = ("export", linear_run, "--to", "hub", "--repo", "someone/groups")
    assert main([*map(str, push), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    dry = push_model(linear_run, "someone/groups", dry_run=True)
    assert out == f"{dry}\n"
    named = json.loads((linear_run / "model" / "bundle.json").read_text())["files"]
    assert {name for name in dry.sizes if not name.startswith("figures/")} == {"README.md", "bundle.json", *named}
    head = yaml.safe_load(dry.card.split("---")[1])
    assert {"license", "tags", "metrics", "model-index", "pipeline_tag"} <= {*head}
    scores = {metric["name"]: metric["value"] for metric in head["model-index"][0]["results"][0]["metrics"]}
    report = json.loads((linear_run / "report" / "report.json").read_text())
    assert scores["Accuracy"] == round(report["accuracy"], 4)
    assert 'snapshot_download("someone/groups")' in dry.card
    texts = [content if isinstance(content, str) else content.read_bytes().decode(errors="replace") for content in hub_files(linear_run, "a/b").values()]
    titles = read_papers(table).papers.title
    for text in texts:
        assert str(linear_run.parent) not in text
        assert not any(title in text for title in titles if len(title) > 20)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "there is no token of the hub" in one_error(capsys, *push)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_none")
    assert "the hub has not taken it" in one_error(capsys, *push)
    assert "cannot be a repository" in one_error(capsys, *push[:-1], "a b")
    assert "holds no model" in one_error(capsys, "export", tmp_path, *push[2:])


def read_events(folder: Path):
    """The events that TensorBoard has written."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return read


def test_tensorboard_gets_epochs_scores_and_report(table: Path, encoder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    settings = {"epochs": 2, "max_length": 16, "tokens_per_batch": 512}
    done = runs.run(table, tmp_path / "tracked", "finetuned", encoder=str(encoder), settings=settings, track="tensorboard")
    read = read_events(done.folder / "logs")
    rows = done.record["training"]
    for tag, column in {"validation_accuracy": "accuracy", "training_loss": "training loss"}.items():
        assert [event.step for event in read.Scalars(tag)] == [1, 2]
        assert [event.value for event in read.Scalars(tag)] == pytest.approx([row[column] for row in rows])
    assert done.scores is not None
    assert read.Scalars("test_macro_f1")[0].value == pytest.approx(done.scores.macro_f1)
    card = read.Tensors("report")[0].tensor_proto.string_val[0].decode()
    assert card == (done.folder / "report" / "README.md").read_text()


def test_mlflow_gets_parameters_scores_and_report(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("papers", artifact_location=(tmp_path / "artifacts").as_uri()))
    done = runs.run(table, tmp_path / "tracked", "linear", settings=SETTINGS, track="mlflow")
    (found,) = mlflow.search_runs(output_format="list", search_all_experiments=True)
    assert (found.info.run_name, found.info.status) == ("tracked", "FINISHED")
    assert (found.data.params["family"], found.data.params["settings.bits"]) == ("linear", "12")
    assert done.scores is not None
    assert found.data.metrics["test_accuracy"] == pytest.approx(done.scores.accuracy)
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(found.info.run_id, "report")}
    assert {"report/report.json", "report/README.md"} <= names
    (tmp_path / "full").write_text("")
    with pytest.raises(Exception, match="full is there already"):
        runs.run(table, tmp_path / "full", "linear", track="mlflow")
    assert len(mlflow.search_runs(output_format="list", search_all_experiments=True)) == 1


def test_a_missing_tracker_is_one_line(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from arxiv_nbclf.training import tracking

    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    for verb in ("run", "train", "tune"):
        words = (verb, table, "--family", "linear", "--out", tmp_path / "a", "--track", "mlflow")
        assert "mlflow is not installed: pip install mlflow" in one_error(capsys, *words)
    assert "'abacus'" in one_error(capsys, "run", table, "--out", tmp_path / "a", "--track", "abacus")
    assert not list(tmp_path.iterdir())
