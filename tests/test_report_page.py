"""The report page of real runs: what its first screen says, its commands, and one interval for a run everywhere."""

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from html_checks import html_errors

from arxiv_nbclf import sample, write_table
from arxiv_nbclf.cli import app, main
from arxiv_nbclf.core.pages import interval_text
from arxiv_nbclf.data.taxonomy import GROUP_NAMES
from arxiv_nbclf.evaluation.intervals import compare_runs
from arxiv_nbclf.evaluation.metrics import scores_from_confusion
from arxiv_nbclf.report.model_card import build_report
from arxiv_nbclf.report.page import next_actions, report_page

MATRIX = [[900, 2, 20, 30, 20, 3, 1, 9], [4, 9, 0, 1, 1, 0, 1, 1], [30, 0, 60, 8, 2, 0, 0, 1], [28, 1, 7, 363, 17, 0, 0, 5],
          [14, 0, 4, 21, 752, 3, 0, 1], [9, 0, 1, 1, 2, 7, 0, 1], [3, 1, 0, 1, 0, 0, 4, 1], [11, 1, 2, 7, 2, 1, 1, 26]]
SCORES = scores_from_confusion(MATRIX)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one table, in whose file the papers are not in the order of their ids, and one of categories."""
    folder = tmp_path_factory.mktemp("runs")
    table = sample(700, seed=5).sample(frac=1, random_state=1)
    write_table(table, folder / "my papers.csv")
    for name, options in {"one": [], "two": ["--set", "C=0.05"], "codes": ["--level", "category"]}.items():
        words = ["run", folder / "my papers.csv", "--out", folder / name, "--family", "linear", *options]
        assert main(["--quiet", *map(str, words)]) == 0
    return folder


def report_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))


def page_of(run: Path) -> str:
    return (run / "report" / "report.html").read_text(encoding="utf-8")


def first_screen(page: str) -> str:
    return re.search('<section id="summary".*?</section>', page, re.S)[0]


def compared(verdicts: dict[str, str]) -> dict[str, Any]:
    """What a report holds of a comparison with linear that decided so."""
    return {"against_linear": {"metrics": {name: {"difference": 0.0, "low": 0.0, "high": 0.0, "verdict": verdict} for name, verdict in verdicts.items()}}}


@pytest.mark.parametrize(("accuracy", "macro_f1", "said", "take_linear"), [
    ("better", "better", "it is better in accuracy and macro F1", False),
    ("better", "undecided", "it is better in accuracy, undecided in macro F1", False),
    ("identical", "identical", "it is identical in accuracy and macro F1, so take linear, which is simpler", True),
    ("undecided", "worse", "it is undecided in accuracy, worse in macro F1, so take linear, which is simpler", True),
])
def test_the_verdict_follows_the_comparison(accuracy: str, macro_f1: str, said: str, take_linear: bool) -> None:
    record = {"family": "hybrid", "n_train": 1} | compared({"accuracy": accuracy, "macro_f1": macro_f1})
    report = build_report(record, SCORES, SCORES)
    page = report_page(report, SCORES, SCORES)
    right = sum(row[place] for place, row in enumerate(MATRIX))
    assert f"It puts {right:,} of {SCORES.n:,} test papers into the right one of 8 groups" in page
    assert f"; against the linear baseline {said}; weak: " in page or f"; against the linear baseline {said}." in page
    assert ("Take the linear family" in first_screen(page)) is take_linear
    assert page.count(f"<td>{accuracy}</td>") >= 1


def test_a_run_that_predicts_the_same_is_identical(place: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("run.json", "predictions.parquet"):
            (tmp_path / name / file).write_bytes((place / "one" / file).read_bytes())
    found = compare_runs([tmp_path / "a", tmp_path / "b"], resamples=100)
    assert set(found.comparisons["b"].metrics["verdict"]) == {"identical"}


def test_the_title_names_family_file_and_papers(place: Path) -> None:
    assert "<title>Linear classifier on my papers.csv, 700 papers</title>" in page_of(place / "one")
    assert "<h1>Linear classifier of categories on my papers.csv, 700 papers</h1>" in page_of(place / "codes")
    assert report_of(place / "one")["table"] == "my papers.csv"  # as commands to copy name it


@pytest.mark.parametrize("run", ["one", "codes"])
def test_no_group_stands_without_its_name(place: Path, run: str) -> None:
    screen = first_screen(page_of(place / run))
    screen = re.sub("<pre>.*?</pre>", "", screen, flags=re.S)  # lines to copy
    screen = re.sub('<thead>.*?</thead>', "", screen, count=1, flags=re.S)  # columns are the rows, which have names
    named = re.sub(r'<abbr title="([^"]+)">[^<]*</abbr><span>[^<]*</span>', r"\1", screen)
    text = html.unescape(re.sub("<[^>]+>", " ", named))
    for code, name in GROUP_NAMES.items():
        assert f"{code} ({name})" in text
        alone = re.findall(rf"(?<![\w.-]){re.escape(code)}(?![\w.-])(?! \()", text)
        assert not alone, f"{code} without its name: {text}"


@pytest.mark.parametrize("run", ["one", "codes"])
def test_the_same_interval_everywhere(place: Path, run: str) -> None:
    record, report = json.loads((place / run / "run.json").read_text()), report_of(place / run)
    other = {"one": "two", "codes": "codes"}[run]
    assert record["intervals"] == report["intervals"]
    if other != run:
        found = compare_runs([place / other, place / run]).intervals[run].to_dict()
        assert found == json.loads(json.dumps(report["intervals"]))
    page, card = page_of(place / run), (place / run / "report" / "README.md").read_text(encoding="utf-8")
    for key in ("accuracy", "macro_f1"):
        ends = report["intervals"][key]["low"], report["intervals"][key]["high"]
        assert f'<dd class="what">{interval_text(*ends)}</dd>' in first_screen(page)
        assert f"| {interval_text(*ends)} |" in card


def test_a_comparison_does_not_depend_on_the_order_of_papers(place: Path, tmp_path: Path) -> None:
    (tmp_path / "turned").mkdir()
    (tmp_path / "turned" / "run.json").write_bytes((place / "two" / "run.json").read_bytes())
    pd.read_parquet(place / "two" / "predictions.parquet")[::-1].to_parquet(tmp_path / "turned" / "predictions.parquet")
    known, turned = (compare_runs([place / "one", other]).to_dict() for other in (place / "two", tmp_path / "turned"))
    assert known["runs"]["two"] == turned["runs"]["turned"]
    assert known["against_baseline"]["two"] == turned["against_baseline"]["turned"]


MEASURED: dict[str, Any] = {
    "name": "first run", "folder": "runs/first run", "n_train": 900, "rows": 1000, "near_duplicates_across": 12,
    "created": "2026-11-30T03:05:12+00:00", "source": [{"file": "it's mine.xlsx"}],
    "learning_curve": {"groups": [{"group": "econ", "learnt": 70, "test": 17, "per_doubling": 0.09, "error": 0.02}]},
    "data_quality": {"issues": [{"name": "dates", "severity": "high", "count": 90, "share": 0.09, "of": "papers", "action": "add dates"}]},
    "label_issues": {"found": 12, "papers": 950}, "abstention": {"threshold": 0.61, "coverage": 0.9, "accuracy": 0.96},
}


@pytest.mark.parametrize("family", ["linear", "hybrid", "finetuned", "ensemble"])
@pytest.mark.parametrize(("level", "synthetic"), [("group", False), ("category", False), ("group", True)])
def test_every_command_is_understood(family: str, level: str, synthetic: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of each action is parsed by the command line itself."""
    monkeypatch.chdir(tmp_path)
    for name in ("it's mine.xlsx", "new.csv", "PAPERS"):
        Path(name).touch()
    Path("runs/first run").mkdir(parents=True)
    record = MEASURED | {"family": family, "level": level, "synthetic": synthetic} | ({"source": []} if synthetic else {}) | compared({"accuracy": "worse", "macro_f1": "worse"})
    base = None if family == "linear" else SCORES
    actions = next_actions(build_report(record, SCORES, base), most=99)
    assert len(actions) == (1 if synthetic else 4 if family == "ensemble" else 5)
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for action in actions:
        program, verb, *words = shlex.split(action.command)
        assert program == "arxiv-nbclf"
        verbs[verb].make_context(verb, list(words))  # raises if a word or a value is not known
        assert html.escape(action.command.split()[1]) in report_page(build_report(record, SCORES, base), SCORES, base) or action not in actions[:3]


def test_only_what_was_measured_has_a_figure() -> None:
    report = build_report({"family": "linear", "n_train": 1}, SCORES)
    assert [action.command.split()[1] for action in next_actions(report)] == ["run", "run"]
    assert not any(re.search(r"\d", action.text) for action in next_actions(report))
    assert next_actions(build_report({"family": "ensemble", "n_train": 1}, SCORES)) == []
    assert "<h2>Next</h2>" not in report_page(build_report({"family": "ensemble", "n_train": 1}, SCORES), SCORES)
    ranked = next_actions(build_report(MEASURED | {"family": "linear"}, SCORES), most=9)
    gains = [(action.macro_f1, action.share) for action in ranked]
    assert gains == sorted(gains, reverse=True) and gains[0][0] == pytest.approx(0.09 / 8) and gains[-1] == (0, 0)


def test_figures_follow_the_page(place: Path) -> None:
    """Drawn in the page's ink, no name twice, and small enough to mail."""
    page = page_of(place / "one")
    assert html_errors(page) == [] and len(page) < 1_000_000
    drawings = re.findall("<svg .*?</svg>", page, re.S)
    assert len(drawings) >= 5 and "<img" not in page
    assert not [drawing for drawing in drawings if re.search("#000000|#ffffff;|font-family|<style", drawing)]
    names = re.findall(' id="(.*?)"', page)
    assert len(names) == len(set(names))
    used = set(re.findall(r'(?:url\(#|xlink:href="#)([\w-]+)', page))
    assert used <= set(names)
    files = {path.stem for path in (place / "one" / "report" / "figures").glob("*.png")}
    assert files == {path.stem for path in (place / "one" / "report" / "figures").glob("*.svg")}


def test_every_section_is_in_the_contents(place: Path) -> None:
    page = page_of(place / "one")
    listed = re.findall('<li><a href="#(.*?)">', page)
    assert listed == ["summary", *re.findall(r'</summary>\n<div id="(.*?)">', page)]
    assert {"calibration", "abstention", "mistakes", "label_issues", "usage", "making"} <= set(listed)
    folded = re.findall(r"<details><summary><h2>.*?</h2>(.*?)</summary>", page)
    assert all("<span" in one for one in folded), "each has a sentence that is visible while it is folded"
