"""The command line from table to predictions, and what happens when something breaks on the way."""

import html
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from html_checks import html_errors
from short_reports import short_reports

from arxiv_nbclf import group_of, sample, write_table
from arxiv_nbclf.cli import main

ROWS = 600
Predictions = pytest.CaptureFixture[str]


def shell(capsys: Predictions, *words: object) -> tuple[int, str, list[str]]:
    """Exit status, stdout and the lines of stderr of a command line."""
    status = main([str(word) for word in words])
    said = capsys.readouterr()
    return status, said.out, said.err.splitlines()


def in_shell(*words: object, **options: object) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-c", "import sys; from arxiv_nbclf.cli import main; sys.exit(main())", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with odd but legal texts among the synthetic ones."""
    table = sample(ROWS)
    table.loc[0, "title"] = "<script>alert(1)</script> & <b>markup</b>"
    table.loc[1, "title"] = "=cmd()"
    table.loc[2, "summary"] = "NUL \x00 inside, emoji 😀, Erdős and $\\alpha_{s}$"
    table.loc[3, "summary"] = "A very long abstract. " * 50_000
    path = tmp_path_factory.mktemp("papers") / "papers.csv"
    write_table(table, path)
    return path


@pytest.fixture(scope="module")
def finished(papers: Path) -> Path:
    """A finished run on that table."""
    out = papers.parent / "runs" / "first"
    assert main(["--quiet", "run", str(papers), "--out", str(out), "--family", "linear"]) == 0
    return out


def test_a_run_holds_what_it_promises(finished: Path) -> None:
    files = {"run.json", "rejects.parquet", "splits.parquet", "predictions.parquet"}
    assert {p.name for p in finished.iterdir()} == files | {"model", "report"}
    report_files = {"report.json", "report.html", "README.md", "figures", "mistakes.csv", "label_issues.csv"}
    assert {p.name for p in (finished / "report").iterdir()} == report_files
    report = json.loads((finished / "report" / "report.json").read_text())
    counts = {"n_train", "n_validation", "n_test", "confusion", "per_class"}
    scores = {"accuracy", "macro_f1", "weighted_f1", "log_loss"}
    assert {"family", "level", "encoder", "labels", "baseline"} | counts | scores <= report.keys()
    assert report["labels"] == ["cs", "econ", "eess", "math", "physics", "q-bio", "q-fin", "stat"]
    assert sum(map(sum, report["confusion"])) == report["n_test"]
    assert report["n_train"] + report["n_validation"] + report["n_test"] == ROWS
    record = json.loads((finished / "run.json").read_text())
    assert record["source"][0]["file"] == "papers.csv" and len(record["source"][0]["sha256"]) == 64
    page = (finished / "report" / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and html_errors(page) == []
    assert page.count("<script") == 1, "its own, which sorts tables"
    answered = {"calibration", "abstention", "scores_by", "surest_mistakes", "label_issues", "ambiguity", "learning_curve", "temporal_drift"}
    assert answered <= report.keys() and report["skipped"] == {}


def test_only_the_page_names_papers(papers: Path, finished: Path) -> None:
    table = pd.read_csv(papers, dtype={"aid": str})
    page = html.unescape((finished / "report" / "report.html").read_text())
    assert table.title.map(page.__contains__).any(), "the user's own page shows the papers that it is about"
    for path in finished.rglob("*"):
        if path.is_file() and path.name not in ("report.html", "rejects.parquet"):
            content = path.read_bytes()
            assert not [title for title in table.title if len(title) > 12 and title.encode() in content], path.name


def odd_tables() -> dict[str, tuple[pd.DataFrame, set[str]]]:
    """Tables that can be trained on, and the questions of a report that they do not answer."""
    table = sample(400)
    group = table.main_category.map(group_of)
    two = table[group.isin(["cs", "math"])].groupby(group, group_keys=False).head(30)
    return {
        "no dates": (table.drop(columns=["published"]), {"temporal_drift"}),
        "no cross-lists": (table.assign(categories=table.main_category), set()),
        "two groups": (two, set()),
        "every group right": (two.assign(summary=two.main_category.map(group_of).map({"cs": "alpha", "math": "omega"})), set()),
        "one text": (two.assign(title="Same", summary="All say the same."), set()),
        "one month": (table.assign(published="2025-04-01"), {"temporal_drift"}),
    }


@pytest.mark.parametrize("case", ["no dates", "no cross-lists", "two groups", "every group right", "one text", "one month"])
def test_odd_tables_cost_answers_and_never_the_run(tmp_path: Path, case: str) -> None:
    table, missing = odd_tables()[case]
    write_table(table, tmp_path / "odd.csv")
    assert main(["--quiet", "run", str(tmp_path / "odd.csv"), "--out", str(tmp_path / "out"), "--family", "linear"]) == 0
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert missing <= report["skipped"].keys()
    assert html_errors(page) == [] and page.count("Left out: ") == len(report["skipped"].keys() - {"confidence_intervals"})
    words = ("evaluate", tmp_path / "odd.csv", "--model", tmp_path / "out", "--out", tmp_path / "again")
    nothing_new = case == "one text"  # all test papers are near-duplicates of training papers
    assert main(["--quiet", *map(str, words)]) == (2 if nothing_new else 0)


def test_markup_of_a_table_is_escaped(papers: Path, tmp_path: Path) -> None:
    assert main(["--quiet", "explore", str(papers), "--out", str(tmp_path / "seen")]) == 0
    page = (tmp_path / "seen" / "index.html").read_text()
    assert "<script>alert" not in page and "<b>markup" not in page
    assert "&lt;script&gt;" in page, "the first rows are shown, so the title must be there, escaped"


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl", "jsonl.gz", "xlsx"])
def test_predictions_in_every_format(papers: Path, finished: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"predictions.{ending}"
    assert main(["--quiet", "predict", str(papers), "--model", str(finished), "--out", str(out), "--top", "2"]) == 0
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "xlsx": lambda path: pd.read_excel(path, engine="openpyxl")}
    if ending == "tsv":
        table = pd.read_csv(out, sep="\t", dtype={"aid": str})
    elif ending.startswith("jsonl"):
        table = pd.read_json(out, lines=True, dtype={"aid": str})
    else:
        table = readers[ending](out)
    assert len(table) == ROWS
    probabilities = table.filter(regex="^p_")
    assert probabilities.shape[1] == 8 and (probabilities.sum(axis=1) - 1).abs().max() < 1e-5
    assert (probabilities.idxmax(axis=1).str.removeprefix("p_") == table.predicted).all()
    assert not table.abstained.any() and (table.top_2 != table.predicted).all()


def test_formulas_stay_text(finished: Path, tmp_path: Path) -> None:
    evil = pd.DataFrame({"aid": ["=cmd()", "+1", "@x"], "title": ["=cmd()"] * 3, "summary": ["=1+1 is a formula, they say"] * 3})
    write_table(evil, tmp_path / "evil.xlsx")
    assert main(["--quiet", "predict", str(tmp_path / "evil.xlsx"), "--model", str(finished), "--out", str(tmp_path / "out.xlsx")]) == 0
    for name in ("evil.xlsx", "out.xlsx"):
        cells = [cell for row in openpyxl.load_workbook(tmp_path / name).active.iter_rows() for cell in row]
        assert not [cell for cell in cells if cell.data_type == "f"]
        assert "=cmd()" in [cell.value for cell in cells]


def test_stdout_carries_data_only(papers: Path, finished: Path, capsys: Predictions) -> None:
    status, out, said = shell(capsys, "predict", papers, "--model", finished, "--out", "-", "--abstain-below", "0.5")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and len(rows) == ROWS
    assert [line.split()[0] for line in said] == ["expected", "stdout:"]
    assert all(row["abstained"] == (row["probability"] < 0.5) for row in rows if abs(row["probability"] - 0.5) > 1e-5)


def test_rejected_rows_lie_beside_the_predictions(finished: Path, tmp_path: Path, capsys: Predictions) -> None:
    (tmp_path / "new.jsonl").write_text('{"title": "A", "summary": "On quarks."}\n{broken\n{"title": "", "summary": "No title."}\n')
    words = ("predict", tmp_path / "new.jsonl", "--model", finished, "--out", tmp_path / "p.csv")
    status, _, said = shell(capsys, *words)
    assert status == 0 and "2 of 3 rows" in said[0]
    assert pd.read_csv(tmp_path / "p.csv").aid.tolist() == ["row-1"]
    assert pd.read_csv(tmp_path / "p.rejects.csv").row.tolist() == [2, 3]
    status, _, said = shell(capsys, *words[:-1], tmp_path / "q.csv", "--strict")
    assert status == 2 and len(said) == 1 and not list(tmp_path.glob("q*"))


def bad_tables(folder: Path) -> dict[str, tuple[Path, str]]:
    """Tables that cannot be trained on, with what has to be said of each."""
    good = sample(300)
    groups = good.main_category.str.partition(".")[0]
    lonely = pd.concat([good[groups.isin(["math", "cs"])], good[groups == "stat"].head(1)])
    tables = {
        "one group": (good[groups == "math"], "group"),
        "too few to stratify": (lonely, "stat"),
        "all rejected": (good.assign(summary=""), "summary"),
        "missing columns": (good.drop(columns=["summary"]), "summary"),
        "header only": (good.head(0), "no rows|empty|no papers|holds no"),
        "unknown category": (good.assign(main_category="x.YZ", categories="x.YZ"), "categor"),
    }
    made = {}
    for name, (table, says) in tables.items():
        made[name] = folder / f"{name.replace(' ', '-')}.csv", says
        write_table(table, made[name][0])
    (folder / "latin.csv").write_bytes("title,summary,categories\nÉtude,Résumé,math.AG\n".encode("latin-1"))
    (folder / "broken.jsonl").write_text('{"title": "a", "summary": "b", "categories": "cs.CL"}\n{"title": "a"\n')
    (folder / "zip.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    write_table(good, folder / "cut.parquet")
    (folder / "cut.parquet").write_bytes((folder / "cut.parquet").read_bytes()[:5000])
    return made | {
        "no such file": (folder / "nowhere.csv", "no such file"),
        "not utf-8": (folder / "latin.csv", "UTF-8"),
        "broken line": (folder / "broken.jsonl", "line 2"),
        "no workbook": (folder / "zip.xlsx", "xlsx"),
        "truncated": (folder / "cut.parquet", "parquet"),
    }


CASES = ("one group", "too few to stratify", "all rejected", "missing columns", "header only", "unknown category")
CASES += ("no such file", "not utf-8", "broken line", "no workbook", "truncated")


@pytest.mark.parametrize("verb", ["run", "train", "explore"])
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, capsys: Predictions, case: str, verb: str) -> None:
    (tmp_path / "tables").mkdir()
    path, says = bad_tables(tmp_path / "tables")[case]
    status, out, said = shell(capsys, verb, path, "--out", tmp_path / "out")
    if verb == "explore" and case in ("one group", "too few to stratify"):
        assert status == 0, "such a table can be looked at"
        return
    assert (status, out) == (2, "")
    assert len(said) == 1 and said[0].startswith("arxiv-nbclf: ")
    assert any(word in said[0] for word in says.split("|")), said[0]
    assert [p.name for p in tmp_path.iterdir()] == ["tables"]


def test_a_finished_folder_is_not_touched(papers: Path, finished: Path, capsys: Predictions) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    for verb in ("run", "train", "explore"):
        status, _, said = shell(capsys, verb, papers, "--out", finished)
        assert status == 2 and len(said) == 1 and "is there already" in said[0]
    status, _, said = shell(capsys, "predict", papers, "--model", finished, "--out", finished / "run.json")
    assert status == 2 and "is there already" in said[0]
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


@short_reports()
def test_killed_and_continued_equals_uninterrupted(papers: Path, finished: Path, tmp_path: Path, capsys: Predictions) -> None:
    out, partial = tmp_path / "again", tmp_path / "again.partial"
    words = ("run", papers, "--out", out, "--family", "linear")
    with in_shell(*words) as process:
        for _ in range(600):
            if (partial / "splits.parquet").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert partial.is_dir() and not out.exists()
    status, _, said = shell(capsys, "--quiet", *words, "--seed", "7")
    assert status == 2 and len(said) == 1 and "seed was 42, now 7" in said[0], "another request must not continue it"
    assert shell(capsys, *words)[0] == 0
    again, first = (json.loads((folder / "report" / "report.json").read_text()) for folder in (out, finished))
    for key in ("accuracy", "log_loss", "confusion"):
        assert again[key] == first[key]
    assert not partial.exists() and not [p for p in out.rglob("*") if p.name.startswith(".")], "no temporary file is left"


def test_two_at_once_do_not_spoil_it(papers: Path, tmp_path: Path, capsys: Predictions) -> None:
    words = ("--quiet", "run", papers, "--out", tmp_path / "out", "--family", "linear")
    with in_shell(*words) as first:
        for _ in range(600):
            if (tmp_path / "out.partial" / "run.json").exists() or first.poll() is not None:
                break
            time.sleep(0.02)
        first.send_signal(signal.SIGSTOP)  # it holds the folder and does nothing
        status, _, said = shell(capsys, *words)
        first.send_signal(signal.SIGCONT)
        first.wait(timeout=300)
    assert status == 2 and len(said) == 1 and "another process is at work" in said[0]
    assert first.returncode == 0 and (tmp_path / "out" / "report" / "report.json").is_file()


@pytest.mark.parametrize("limit", [4_000, 40_000, 400_000])
def test_no_room_left_is_one_line(papers: Path, tmp_path: Path, limit: int) -> None:
    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    words = ("--quiet", "run", papers, "--out", tmp_path / "out", "--family", "linear")
    with in_shell(*words, preexec_fn=no_room, env=environment) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 2, said
    assert len(said.splitlines()) == 1 and re.search("cannot (be )?writ", said), said
    assert not (tmp_path / "out").exists()
    with short_reports():
        assert main([str(word) for word in words]) == 0, "with space it continues"
