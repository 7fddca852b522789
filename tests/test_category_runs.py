"""Runs, searches and predictions at category level, from the command line to the files that they leave."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from short_reports import short_reports

from arxiv_nbclf.classifiers.base import BadSettings, load_classifier
from arxiv_nbclf.cli import main
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.data.taxonomy import group_of
from arxiv_nbclf.deployment.export import export_model
from arxiv_nbclf.deployment.onnx import BadExport
from arxiv_nbclf.deployment.prediction import MAX_CROSS_LISTS, predict
from arxiv_nbclf.evaluation.metrics import evaluate_level
from arxiv_nbclf.preprocessing import LABELS
from arxiv_nbclf.runs import run, train

CODES = ["cs.CV", "cs.CL", "cs.LG", "quant-ph", "hep-ph", "math.AP", "stat.ML"]
FAST = ["--family", "linear", "--set", "bits=12", "--set", "C=1.0", "--set", "folds=2"]
SETTINGS = {"bits": 12, "C": 1.0, "folds": 2}
Shell = Callable[..., tuple[int, str, str]]


def papers_of(rows: int, seed: int) -> pd.DataFrame:
    """Synthetic papers of few categories, some with cross-lists, three with codes of the past, one of a category that is rare."""
    table = sample(rows, seed=seed)
    table = table[table.main_category.isin(CODES)].reset_index(drop=True)
    beside = table.main_category.map({"cs.LG": "stat.ML", "cs.CL": "cs.LG"}).where(table.index % 3 > 0)
    table["categories"] = [f"{code},{other}" if isinstance(other, str) else code for code, other in zip(table.main_category, beside, strict=True)]
    for row, code in {0: "cs.SY", 1: "q-bio", 2: "math.HO", 3: "astro-ph"}.items():
        table.loc[row, ["main_category", "categories"]] = code
    return table


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables, and a run at each level on the first of them."""
    place = tmp_path_factory.mktemp("levels")
    papers_of(2500, 3).to_csv(place / "papers.csv", index=False)
    papers_of(900, 5).to_csv(place / "new.csv", index=False)
    for level, learn in (("group", None), ("category", None), ("group", "category")):
        options = {"level": level, "learn": learn, "split": "stable", "settings": SETTINGS}
        run(place / "papers.csv", place / f"{learn or 'as'}-{level}", "linear", **options)
    return place


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_a_run_of_categories_leaves_codes_in_its_files(place: Path) -> None:
    folder = place / "as-category"
    found, splits = record(folder), pd.read_parquet(folder / "splits.parquet")
    assert (found["level"], found["asked"]["level"], found["asked"]["min_papers"]) == ("category", "category", 5)
    assert found["left_out_classes"].keys() >= {"q-bio", "astro-ph", "math.HO"}
    assert set(splits.label) >= {*CODES, "eess.SY", ""}  # an alias is the code of today, a divided archive none
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert predictions.columns[:5].tolist() == ["aid", "label", "predicted", "probability", "split"]
    shares = predictions.filter(regex="^p_")
    assert predictions.predicted.tolist() == shares.idxmax(axis=1).str.removeprefix("p_").tolist()
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["level"] == "category"
    assert report["accuracy"] == pytest.approx((predictions.predicted == predictions.label).mean())
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "quant-ph" in page


def test_levels_split_the_papers_alike(place: Path) -> None:
    group, category = (pd.read_parquet(place / f"as-{level}" / "splits.parquet") for level in ("group", "category"))
    assert group.split.tolist() == category.split.tolist()
    assert group.label.dtype.kind == "i"


def test_a_request_names_levels_only_where_they_count(place: Path) -> None:
    assert not {"level", "learn", "min_papers"} & record(place / "as-group")["asked"].keys()
    asked = record(place / "category-group")["asked"]
    assert (asked["level"], asked["learn"]) == ("group", "category")


def test_groups_are_learnt_through_categories(place: Path) -> None:
    model = load_classifier(place / "category-group")
    assert model.learnt_level == "category"
    assert model.answer_level() == "group"
    assert record(place / "category-group")["level"] == "group"
    predictions = pd.read_parquet(place / "category-group" / "predictions.parquet")
    assert predictions.columns[:3].tolist() == ["aid", "label", "p_cs"]
    # papers without a category of today have a group: the same are scored as by a model of groups
    assert predictions.aid.tolist() == pd.read_parquet(place / "as-group" / "predictions.parquet").aid.tolist()


def test_both_levels_are_learnt_on_request(place: Path) -> None:
    for level in ("group", "category"):
        found = run(place / "papers.csv", place / f"both-{level}", "linear", level=level, learn="both", split="stable", settings=SETTINGS)
        asked = found.record["asked"]
        assert (asked["level"], asked["learn"], asked["settings"]["learn"]) == (level, "both", "both")
        assert found.record["level"] == level
    one, other = (predict(pd.read_csv(place / "new.csv"), model=place / f"both-{level}", level="category") for level in ("group", "category"))
    assert one.predicted.map(group_of).tolist() == one.group.tolist()
    assert other.predicted.map(group_of).tolist() == other.group.tolist()


@pytest.mark.parametrize("model", ["as-group", "as-category", "category-group"])
def test_predict_says_what_the_run_wrote(place: Path, model: str) -> None:
    """On the test papers: the same class with the same probability, in the table, in the report and from predict."""
    written = pd.read_parquet(place / model / "predictions.parquet")
    papers = read_papers(place / "papers.csv").papers.set_index("aid", drop=False).loc[written.aid]
    answers = predict(papers.reset_index(drop=True), model=place / model)
    shares = written.filter(regex="^p_")
    if model == "as-category":
        assert answers.predicted.tolist() == written.predicted.tolist()
        assert np.allclose(answers.probability, written.probability, atol=2e-6)
    assert answers.predicted.tolist() == shares.idxmax(axis=1).str.removeprefix("p_").tolist()
    report = json.loads((place / model / "report" / "report.json").read_text(encoding="utf-8"))
    truth = written.label if model == "as-category" else np.array(LABELS)[written.label]
    assert report["accuracy"] == pytest.approx((answers.predicted.to_numpy() == np.asarray(truth)).mean())


def test_the_report_lists_codes_by_the_thresholds_of_the_model(place: Path) -> None:
    model = load_classifier(place / "as-category")
    report = json.loads((place / "as-category" / "report" / "report.json").read_text(encoding="utf-8"))
    written = pd.read_parquet(place / "as-category" / "predictions.parquet")
    papers = read_papers(place / "papers.csv").papers.set_index("aid", drop=False).loc[written.aid]
    assert model.listed_ is not None and not np.allclose(model.listed_.thresholds, 0.5)
    assert report["listed_micro_f1"] == pytest.approx(evaluate_level(model, papers).to_dict()["listed_micro_f1"], abs=1e-4)


def test_decisions_and_mixtures_from_the_command_line(place: Path, shell: Shell) -> None:
    words = ("train", place / "papers.csv", "--split", "stable", *FAST)
    prior = place / "new.csv"
    for name, more in {
        "decided": ("--decide", "macro_f1"),
        "natural": ("--level", "category", "--prior", "natural"),
        "counted": ("--level", "category", "--prior", prior, "--decide", "macro_f1"),
    }.items():
        status, _, err = shell(*words, "--out", place / name, *more)
        assert status == 0, err
    assert record(place / "decided")["settings"]["decide"] == "macro_f1"
    assert record(place / "counted")["asked"]["prior"]["name"] == "new.csv"
    assert str(place) not in json.dumps(record(place / "counted")["asked"]["prior"])
    plain, natural = (predict(pd.read_csv(prior), model=place / name, level="category") for name in ("as-category", "natural"))
    assert not np.allclose(plain.probability, natural.probability)
    for more, problem in (
        (("--decide", "recall"), "'recall' is not one of"),
        (("--learn", "all"), "'all' is not one of"),
        (("--prior", "natural"), "--prior 'natural' is of categories, and groups are learnt"),
        (("--level", "category", "--prior", "nature"), "--prior 'nature' is not known: take natural, training"),
        (("--set", "learn=both"), "learn is an option of a run"),
    ):
        status, out, err = shell(*words, "--out", place / "none", *more)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert problem in err and not (place / "none").exists()


def test_an_interrupted_run_continues_at_its_level_alone(place: Path, shell: Shell) -> None:
    partial = place / "half.partial"
    partial.mkdir()
    asked = record(place / "as-group")["asked"]
    (partial / "run.json").write_text(json.dumps({"asked": asked}))
    words = ("run", place / "papers.csv", "--out", place / "half", "--split", "stable", *FAST)
    status, _, err = shell(*words, "--level", "category")
    assert (status, err.splitlines()[-1].count("level was null, now")) == (2, 1)
    assert shell(*words)[0] == 0  # a request without a level, as older versions wrote it
    assert record(place / "half")["level"] == "group"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--level", "field"), "'field' is not one of 'group', 'category'"),
        (("--level", "category", "--learn", "group"), "--learn 'group' leaves no categories to answer in"),
        (("--level", "category", "--min-papers", "0"), "'--min-papers'"),
        (("--level", "category", "--min-papers", "5000"), "--min-papers 5000: 0 categories with so many training papers"),
        (("--set", "level=category"), "level is an option of a run"),
    ],
)
def test_a_level_that_cannot_be_is_one_line(place: Path, shell: Shell, words: tuple[str, ...], problem: str) -> None:
    for verb in ("run", "train", "tune"):
        status, out, err = shell(verb, place / "papers.csv", "--out", place / "none", "--split", "stable", *FAST, *words)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert problem in err
    assert not [*place.glob("none*")]


@pytest.mark.parametrize("folds", [0, 2])
@pytest.mark.parametrize("levels", [("--level", "category"), ("--learn", "category")])
@short_reports()
def test_a_search_scores_what_is_answered(place: Path, shell: Shell, levels: tuple[str, str], folds: int) -> None:
    out = place / f"tuned-{levels[0][2:]}-{folds}"
    words = ["tune", place / "papers.csv", "--out", out, "--family", "linear", "--split", "stable", "--set", "folds=2"]
    words += ["--trials", 2, "--space", "bits=12", "--space", "C=0.5,1.0", "--check-folds", 2, "--folds", folds, *levels]
    status, _, err = shell(*words)
    assert status == 0, err
    found = record(out)
    assert found["level"] == ("category" if levels[0] == "--level" else "group")
    assert found["settings"]["min_papers"] == 5
    assert 0 < found["tuning"]["check"]["value"] <= 1
    assert load_classifier(out).learnt_level == "category"
    assert shell(*words)[0] == 0  # nothing is left to do
    status, _, err = shell(*words[:-2])
    assert (status, "was" in err.splitlines()[-1]) == (2, True)


def predicted(shell: Shell, *words: object) -> pd.DataFrame:
    """Predictions as JSON lines."""
    status, out, err = shell("predict", *words)
    assert status == 0, err
    return pd.read_json(io.StringIO(out), lines=True, dtype={"aid": str, "cross_lists": str})


def test_predictions_agree_with_each_other(place: Path, shell: Shell) -> None:
    table, model = place / "new.csv", place / "as-category"
    few = predicted(shell, table, "--model", model)
    assert few.columns.tolist() == [
        *("aid", "predicted", "probability", "abstained", "reason", "group", "group_probability", "cross_lists"),
        *(f"top_{k}" for k in range(2, 6)),
    ]
    assert few.predicted.map(group_of).tolist() == few.group.tolist()
    assert (few.group_probability >= few.probability - 1e-5).all()
    listed = few.cross_lists.str.split(",")
    assert (listed.str.len() <= MAX_CROSS_LISTS).all()
    assert not any(code in codes for code, codes in zip(few.predicted, listed, strict=True))
    assert (few.cross_lists != "").any()
    every = predicted(shell, table, "--model", model, "--probabilities", "--top", 1)
    shares = every.filter(regex="^p_")
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4)
    assert not every.columns.str.startswith("top_").any()
    sums = shares.T.groupby(lambda name: group_of(name[2:])).sum().T
    assert sums.idxmax(axis=1).tolist() == few.group.tolist()
    groups = predicted(shell, table, "--model", model, "--level", "group")
    assert groups.predicted.tolist() == few.group.tolist()
    assert [name for name in groups if name.startswith("p_")][:2] == ["p_cs", "p_econ"]
    flagged = predicted(shell, table, "--model", model, "--abstain-below", "0.6")
    assert flagged.abstained.tolist() == ((few.probability < 0.6) | (flagged.reason == "too few known words")).tolist()


def test_files_shards_and_streams_hold_the_same(place: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    table, model = place / "new.csv", place / "as-category"
    assert shell("predict", table, "--model", model, "--out", place / "one.parquet")[0] == 0
    whole = pd.read_parquet(place / "one.parquet")
    assert shell("predict", table, "--model", model, "--out", place / "shards", "--top", 5)[0] == 0
    shards = pd.read_parquet(place / "shards")
    words = ["predicted", "group", "cross_lists", "top_2", "top_5"]
    assert shards.columns.tolist() == whole.columns.tolist()
    pd.testing.assert_frame_equal(shards[words], whole[words])
    assert np.allclose(shards.probability, whole.probability, atol=2e-6)
    lines = pd.read_csv(table)[["aid", "title", "summary"]].to_json(orient="records", lines=True)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert predicted(shell, "-", "--model", model).predicted.tolist() == whole.predicted.tolist()
    asked = json.loads((place / "shards" / "_run.json").read_text())["asked"]
    assert (asked["level"], asked["probabilities"], asked["top"]) == ("category", False, 5)
    assert shell("predict", table, "--model", place / "as-group", "--out", place / "of-groups")[0] == 0
    assert "level" not in json.loads((place / "of-groups" / "_run.json").read_text())["asked"]


def test_one_paper(place: Path) -> None:
    paper = pd.read_csv(place / "new.csv").iloc[10]
    answer = predict(paper.title, paper.summary, model=place / "as-category")
    assert (answer.level, group_of(answer.predicted)) == ("category", answer.group)
    assert answer.top(1) == [(answer.predicted, answer.probability)]
    assert answer.predicted in answer._repr_html_()
    assert "Group: " in answer._repr_html_()
    assert sum(answer.group_probabilities.values()) == pytest.approx(1)
    assert predict(paper.title, paper.summary, model=place / "category-group").level == "group"


@pytest.mark.parametrize(
    ("model", "words", "problem"),
    [
        ("as-group", ("--level", "category"), "has learnt groups and knows no categories"),
        ("as-group", ("--level", "field"), "'field' is not one of"),
        ("as-category", ("--top", "300"), "--top 300 is out of range: name 1 to"),
        ("as-category", ("--abstain-below", "often"), "is no probability"),
    ],
)
def test_predictions_that_cannot_be_are_one_line(place: Path, shell: Shell, model: str, words: tuple[str, ...], problem: str) -> None:
    status, out, err = shell("predict", place / "new.csv", "--model", place / model, *words)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert problem in err


def test_evaluation_takes_the_level_of_the_model(place: Path, shell: Shell) -> None:
    for model, level in (("as-category", "category"), ("category-group", "group"), ("as-group", "group")):
        out = place / f"evaluated-{model}"
        status, _, err = shell("evaluate", place / "new.csv", "--model", place / model, "--out", out)
        assert status == 0, err
        assert record(out)["level"] == level
    divided = pd.read_csv(place / "new.csv").head(20).assign(main_category="astro-ph", categories="astro-ph")
    divided.to_csv(place / "divided.csv", index=False)
    words = ("evaluate", place / "divided.csv", "--model", place / "as-category", "--out", place / "never")
    status, _, err = shell(*words)
    assert (status, "no paper has a category of today" in err) == (2, True)
    assert not (place / "never").exists()


def test_runs_of_one_level_are_compared(place: Path, shell: Shell) -> None:
    other = place / "again"
    run(place / "papers.csv", other, "linear", level="category", split="stable", settings=SETTINGS | {"C": 0.1})
    status, out, err = shell("compare", place / "as-category", other)
    assert status == 0, err
    found = json.loads(out)
    assert sorted(found["category"]["ranking"]) == ["again", "as-category"]
    assert {"group", "category"} <= {*found} and len(found["group"]["runs"]["again"]["scores"]["per_class"]) == 8
    assert shell("compare", place / "as-group", place / "category-group")[0] == 0
    mixed = json.loads(shell("compare", place / "as-group", other)[1])  # of groups, as sums over categories
    assert ("category" in mixed, sorted(mixed["group"]["ranking"])) == (False, ["again", "as-group"])


def test_categories_are_not_exported(place: Path) -> None:
    from arxiv_nbclf.deployment.onnx import refuse_categories

    with pytest.raises(BadExport):
        export_model(place / "as-category", "onnx", place / "graph")
    with pytest.raises(BadExport, match="has learnt categories"):
        refuse_categories(load_classifier(place / "as-category"))
    assert not (place / "graph").exists()


def test_train_checks_levels_before_it_reads(place: Path) -> None:
    with pytest.raises(BadSettings, match="level='field' is not known"):
        train(place / "nowhere.csv", place / "none", "linear", level="field")


@pytest.mark.parametrize(
    ("family", "levels"),
    [
        ("hybrid", {"learn": "category"}),
        ("hybrid", {}),  # both, where nothing is asked for
        ("finetuned", {"level": "category"}),
        ("ensemble", {"level": "category"}),
    ],
)
def test_families_with_an_encoder(place: Path, tmp_path: Path, family: str, levels: dict[str, str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tiny_models import tiny_encoder

    papers = pd.read_csv(place / "papers.csv")
    encoder = str(tiny_encoder(tmp_path / "tiny", papers.title.head(200)).folder)
    own = {"finetuned": {"epochs": 1, "max_length": 32}, "hybrid": {"bits": 10, "folds": 2, "max_length": 32}}
    own["ensemble"] = {"members": ["linear", "hybrid"], "settings": {"hybrid": own["hybrid"], "linear": SETTINGS}}
    options = {"split": "stable", "encoder": encoder, "settings": own[family], **levels}
    finished = run(place / "papers.csv", tmp_path / "run", family, **options)
    assert finished.record["level"] == levels.get("level", "group")
    assert finished.baseline is not None
    assert finished.baseline.labels == finished.scores.labels
    model = load_classifier(tmp_path / "run")
    assert model.learnt_level == "category"
    assert model.learn == (None if levels else "both")
    answers = predict(papers.head(20), model=model, level="category")
    assert answers.predicted.map(group_of).tolist() == answers.group.tolist()
    assert answers.group.tolist() == predict(papers.head(20), model=model, level="group").predicted.tolist()
