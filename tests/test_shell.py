"""One sentence in the shell: a text, an id and a file told apart, answers on a terminal and in a pipe, and refusals before anything heavy is imported."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from arxiv_server import ArxivServer, serve_papers
from short_reports import short_reports

from arxiv_nbclf import predict, read_papers, sample, write_table
from arxiv_nbclf.cli import main

RUN = [sys.executable, "-c", "import sys; from arxiv_nbclf.cli import main; sys.exit(main())"]
TITLE, ABSTRACT = "Dark matter in dwarf galaxies", "We model rotation curves of dwarf galaxies with N-body simulations."
HEAVY = {"pandas", "numpy", "sklearn", "scipy", "torch", "pyarrow"}
Capture = pytest.CaptureFixture[str]


def shell(capsys: Capture, *words: str) -> tuple[int, str, list[str]]:
    """Exit status, stdout and the lines of stderr."""
    status = main(list(words))
    printed = capsys.readouterr()
    return status, printed.out, printed.err.splitlines()


def on_terminal(*words: str, **variables: str) -> str:
    """What a terminal of 80 columns shows, in a process of its own; stdout and stderr together."""
    pty = pytest.importorskip("pty")
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"} | variables
    ours, theirs = pty.openpty()
    with subprocess.Popen([*RUN, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux reports the end in this way
                break
            if not part:
                break
            parts.append(part)
        process.wait(timeout=120)
    os.close(ours)
    assert process.returncode == 0, b"".join(parts)
    return b"".join(parts).decode(variables.get("PYTHONIOENCODING", "utf-8")).replace("\r\n", "\n")


def plain(page: str) -> str:
    """What a terminal shows, without bold and colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", page)


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    """Some papers."""
    return read_papers(sample(60)).papers


@pytest.fixture
def arxiv(papers: pd.DataFrame) -> Iterator[ArxivServer]:
    """A server that has them."""
    with serve_papers(papers) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, papers: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, to work in."""
    write_table(papers, tmp_path / "papers.csv")
    (tmp_path / "a title of words").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_forced_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell, whatever the runner of the tests has set."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


# Answers

def test_a_terminal_shows_group_primary_and_bars() -> None:
    page = on_terminal("predict", TITLE, ABSTRACT)
    assert "\x1b[1m" in page and "█" in page
    for words in (TITLE, "group", "physics", "primary", "astro-ph.GA", "Astrophysics of Galaxies", "1 paper in "):
        assert words in page
    assert '{"aid"' not in page


@pytest.mark.parametrize(("variables", "colours", "blocks"), [
    ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, True), ({"PYTHONIOENCODING": "cp1252"}, True, False),
    ({"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}, False, False), ({"COLUMNS": "40", "NO_COLOR": "1"}, False, True),
])
def test_colours_letters_and_widths(variables: dict[str, str], colours: bool, blocks: bool) -> None:
    page = on_terminal("--quiet", "predict", TITLE, ABSTRACT, **variables)
    assert ("\x1b[34m" in page, "█" in page, "#" in page) == (colours, blocks, not blocks)
    if variables.get("TERM") == "dumb":
        assert "\x1b" not in page
    if "NO_COLOR" in variables:
        assert max(map(len, plain(page).splitlines())) <= int(variables.get("COLUMNS", 80))


def test_a_table_on_a_terminal_is_short(place: Path) -> None:
    page = on_terminal("predict", "papers.csv", NO_COLOR="1")
    assert "and 40 more (--out FILE writes all" in page and "60 papers predicted, 0 abstained, in " in page
    assert page.count("\n") < 30 and "cross-lists" in page


def test_a_pipe_gets_json_lines_and_messages_stay_on_stderr() -> None:
    done = subprocess.run([*RUN, "predict", TITLE, ABSTRACT], capture_output=True, text=True)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["predicted"] == "physics"
    assert done.stderr.splitlines()[-1].startswith("stdout: 1 paper predicted, 0 abstained, in ")
    quiet = subprocess.run([*RUN, "--quiet", "predict", TITLE, ABSTRACT], capture_output=True, text=True)
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


@pytest.mark.parametrize("level", ["group", "category"])
def test_the_same_text_has_the_same_answer_everywhere(level: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    _, by_words, _ = shell(capsys, "predict", TITLE, ABSTRACT, "--level", level)
    _, by_options, _ = shell(capsys, "predict", "--title", TITLE, "--abstract", ABSTRACT, "--level", level)
    lines = json.dumps({"title": TITLE, "summary": ABSTRACT}).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    _, by_pipe, _ = shell(capsys, "predict", "-", "--level", level)
    assert by_words == by_options == by_pipe
    found, record = predict(TITLE, ABSTRACT, level=level), json.loads(by_words)
    assert (found.predicted, round(found.probability, 6)) == (record["predicted"], record["probability"])
    assert found.group == record.get("group", record["predicted"])
    assert ",".join(found.cross_lists) == record.get("cross_lists", "")
    shown = plain(on_terminal("--quiet", "predict", TITLE, ABSTRACT, "--level", level))
    assert f"{found.predicted} " in shown and f"{found.probability:.3f}" in shown


def test_one_paper_has_the_keys_of_many(place: Path, capsys: Capture) -> None:
    for more in ([], ["--level", "category"], ["--level", "category", "--top", "2"], ["--probabilities", "--level", "category"]):
        _, one, _ = shell(capsys, "predict", TITLE, ABSTRACT, *more)
        _, many, _ = shell(capsys, "predict", "papers.csv", *more)
        assert [*json.loads(one)] == [*json.loads(many.splitlines()[0])]


def test_formats(place: Path, capsys: Capture) -> None:
    _, table, _ = shell(capsys, "predict", TITLE, ABSTRACT, "--format", "table")
    assert "primary" in table and "\x1b" not in table
    _, csv, _ = shell(capsys, "predict", "papers.csv", "--format", "csv")
    assert shell(capsys, "predict", "papers.csv", "--out", "out.csv")[0] == 0
    assert csv == (place / "out.csv").read_text()
    _, lines, _ = shell(capsys, "predict", "papers.csv", "--format", "jsonl")
    assert [json.loads(line)["aid"] for line in lines.splitlines()] == pd.read_csv(io.StringIO(csv), dtype={"aid": str}).aid.tolist()
    status, out, err = shell(capsys, "predict", TITLE, ABSTRACT, "--format", "csv", "--out", "b.csv")
    assert (status, out, len(err)) == (2, "", 1) and not (place / "b.csv").exists()
    assert shell(capsys, "predict", TITLE, ABSTRACT, "--out", "one.jsonl")[0] == 0
    assert json.loads((place / "one.jsonl").read_text())["predicted"] == "physics"
    status, _, err = shell(capsys, "predict", TITLE, ABSTRACT, "--format", "html")
    assert status == 2 and "take one of table, jsonl, csv" in err[-1]


def test_ids_and_addresses(papers: pd.DataFrame, arxiv: ArxivServer, capsys: Capture) -> None:
    first, second = papers.aid[:2]
    for words in ([first, second], [f"https://arxiv.org/abs/{first}v1", second], [f"{first}, {second}"]):
        _, out, _ = shell(capsys, "predict", *words, "--api", arxiv.api)
        assert [json.loads(line)["aid"] for line in out.splitlines()] == [first, second]
    page = on_terminal("predict", first, "--api", arxiv.api, NO_COLOR="1")
    assert first in page and papers.title[0][:20] in page and "primary" in page
    asked = len(arxiv.asked)
    assert shell(capsys, "predict", first, "--top", "900", "--format", "table", "--api", arxiv.api)[0] == 2
    assert len(arxiv.asked) == asked, "a wrong option is refused before anything is fetched"


# Explanations

def test_explain_on_a_terminal_and_in_a_pipe(papers: pd.DataFrame, arxiv: ArxivServer, capsys: Capture) -> None:
    page = on_terminal("explain", TITLE, ABSTRACT)
    assert "\x1b[1;32m" in page and "Astrophysics of Galaxies" in page and "dwarf galaxies" in page
    assert "\x1b[32m" not in (bare := on_terminal("explain", TITLE, ABSTRACT, NO_COLOR="1")) and "\x1b[1;32m" not in bare
    for level, answer in ((None, "astro-ph.GA"), ("category", "astro-ph.GA"), ("group", "physics")):
        status, out, _ = shell(capsys, "explain", TITLE, ABSTRACT, *(["--level", level] if level else []))
        found = json.loads(out)
        assert (status, found["explained"]) == (0, answer)
        assert predict(TITLE, ABSTRACT, level=level or "category").predicted == answer
        if found["of"] == "score":
            assert sum(word["contribution"] for word in found["words"]) + found["constant"] == pytest.approx(found["total"], abs=1e-3)
    status, out, _ = shell(capsys, "explain", papers.aid[0], "--api", arxiv.api)
    assert status == 0 and papers.title[0].split()[0] in json.loads(out)["text"]


@pytest.mark.parametrize("words", [["sample"], ["A b", "C d", "E f"], ["2504.15253", "2504.15254"], ["Galaxies"], [], ["the of a"]])
def test_explain_takes_one_paper(words: list[str], papers: pd.DataFrame, arxiv: ArxivServer, capsys: Capture) -> None:
    status, out, err = shell(capsys, "explain", *words, "--api", arxiv.api)
    assert (status, out) == (2, "") and err[-1].startswith("arxiv-nbclf: ")


# What arguments are

MIXTURES = [
    (["papers.csv", "Dark matter"], "papers.csv is a file or folder and Dark matter is a text"),
    (["Dark matter", "papers.csv"], "give one kind at a time"),
    (["2504.15253", "Dark matter"], "2504.15253 is an arXiv id and Dark matter is a text"),
    (["2504.15253", "papers.csv"], "give one kind at a time"),
    (["sample", "2504.15253"], "give one kind at a time"),
    (["-", "Dark matter"], "give one kind at a time"),
    (["papers.csv", "sample"], "2 files or folders"),
    (["Dark matter", "Galaxies"], "Galaxies: no file, no arXiv id, and no text of several words; a title of one word: --title"),
    (["paper.csv"], "paper.csv: no such file or folder; did you mean papers.csv?"),
    (["nofile.xlsx"], "nofile.xlsx: no such file or folder"),
    (["folder/nofile"], "no such file or folder"),
    (["https://arxiv.org/list/cs"], "the address of no paper"),
    (["2513.00001"], "no arXiv id"),
    ([""], "an argument is empty"), (["", ""], "an argument is empty"), (["Dark matter", ""], "an argument is empty"),
    ([" "], "is empty"), ([" ", "\n"], "is empty"), (["A b", "\t", "C d"], "text 2 of 3 is empty"), ([], "nothing to predict"),
    (["--title", ""], "is empty"), (["--abstract", "We model."], "--abstract needs --title"),
    (["A b", "--title", "T"], "--title stands alone"), (["papers.csv", "--title", "T", "--abstract", "A"], "--title stands alone"),
    (["\x00"], "no file"), (["x" * 100_000], "no file"), (["top=3"], "top=3: no file"),
]


@pytest.mark.parametrize(("words", "line"), MIXTURES, ids=lambda value: repr(value)[:40])
def test_what_is_unclear_is_refused_in_a_line(words: list[str], line: str, place: Path, capsys: Capture) -> None:
    for more in ([], ["--format", "table"], ["--out", "out.csv"]):
        status, out, err = shell(capsys, "predict", *words, *more)
        assert (status, out) == (2, "") and line in err[-1] and len(err[-1]) < 400
        assert all(one.startswith(("arxiv-nbclf: ", "compact-categories: ")) for one in err)
    assert not (place / "out.csv").exists()


def test_what_exists_is_a_file_even_with_blanks(place: Path, capsys: Capture) -> None:
    status, _, err = shell(capsys, "predict", "a title of words")
    assert status == 2 and "unknown ending" in err[-1]
    assert shell(capsys, "predict", ".")[0] == 0


STRANGE = [
    "line\nbreak\r\nand\ttab", "[bold]brackets[/bold] [/] [link=x]y[/link] :smile:", "wide 暗物质 全角 letters", "emoji 👩‍🔬 and combining e\u0301",
    "half a pair \ud800 here", "a NUL \x00 inside", "colours \x1b[31mred\x1b[0m and a bell \x07", "right \u202e to left", "<b>markup</b> & \"quotes\" 'too'",
    "=cmd() a formula", "%s {0} \\d percent", "long " * 20_000, "\ufeffa byte order mark", "top=3 quarks and strict=True",
]


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: repr(text)[:25])
def test_strange_texts_are_answered(text: str, capsys: Capture) -> None:
    for words in ([text], [text, ABSTRACT], [TITLE, text], ["--title", text, "--abstract", ABSTRACT]):
        status, out, _ = shell(capsys, "predict", *words)
        (line,) = out.splitlines()
        assert status == 0 and set(json.loads(line)) >= {"aid", "predicted", "probability", "abstained", "reason"}
    status, out, _ = shell(capsys, "predict", text, ABSTRACT, "--format", "table")
    assert status == 0 and "\x1b" not in out and "\x07" not in out and "\x00" not in out
    assert out.splitlines()[1].startswith("group"), "the title stays on one line"
    if "[bold]" in text:
        assert out.startswith(text)
    status, out, _ = shell(capsys, "explain", text, ABSTRACT, "--format", "table")
    assert status == 0 and not set("\x1b\x07\x00") & set(out)
    json.loads(shell(capsys, "explain", text, ABSTRACT)[1])


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_a_text_may_begin_with_a_dash(verb: str, capsys: Capture) -> None:
    status, out, _ = shell(capsys, verb, "--", "--debug is an option", "-x is negative")
    assert status == 0 and out
    status, out, _ = shell(capsys, "--debug", verb, "--", "-1 and +1 spins", "-x is negative")
    assert status == 0 and out


def test_one_two_and_three_texts(capsys: Capture) -> None:
    counts = [shell(capsys, "predict", *["Dark matter"] * n)[1].count("\n") for n in (1, 2, 3, 7)]
    assert counts == [1, 1, 3, 7]
    alone = json.loads(shell(capsys, "predict", "Dark matter")[1])
    found = predict("Dark matter", "")
    assert (alone["predicted"], alone["probability"]) == (found.predicted, pytest.approx(found.probability, abs=1e-6))


# Refusals before anything heavy

LIGHT = {
    "predict": ["predict", "nofile.xlsx"], "predict title": ["predict", "Galaxies"], "predict model": ["predict", "A b", "--model", "nowhere"],
    "explain": ["explain", "nofile"], "run": ["run", "nofile.xlsx", "--out", "a"], "explore": ["explore", "nofile.xlsx", "--out", "a"],
    "train": ["train", "nofile.xlsx", "--out", "a"], "evaluate": ["evaluate", "nofile.xlsx", "--model", ".", "--out", "a"],
    "evaluate model": ["evaluate", "sample", "--model", "nowhere", "--out", "a"], "tune": ["tune", "nofile.xlsx", "--out", "a"],
    "compare": ["compare", "nowhere", "neither"], "drift": ["drift", "nofile.xlsx", "sample"], "drift new": ["drift", "sample", "nofile.xlsx"],
    "export": ["export", "nowhere", "--to", "hf", "--out", "a"], "choice": ["run", "sample", "--out", "a", "--family", "quantum"],
    "format": ["predict", "A b", "--format", "xml"], "nothing": ["predict"], "help": ["-h"], "help of a verb": ["tune", "-h"], "bare": [],
}


@pytest.mark.parametrize("case", LIGHT)
def test_refusals_import_nothing_heavy(case: str, tmp_path: Path) -> None:
    script = f"import sys; from arxiv_nbclf.cli import main; status = main(sys.argv[1:]); print(sorted(set(sys.modules) & {HEAVY!r})); sys.exit(status)"
    done = subprocess.run([sys.executable, "-c", script, *LIGHT[case]], capture_output=True, text=True, cwd=tmp_path)
    good = case.startswith(("help", "bare"))
    assert done.returncode == (0 if good else 2), done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stderr.splitlines()) == (0 if good else 1)
    assert list(tmp_path.iterdir()) == []


CHOICES = {"--family": "auto, linear, hybrid", "--split": "seed, stable, time", "--recipe": "fast, original", "--sampler": "tpe, gp, random",
           "--pruner": "median, percentile", "--objective": "macro_f1, weighted_f1"}


@pytest.mark.parametrize("option", CHOICES)
def test_a_wrong_choice_is_answered_by_the_list(option: str, tmp_path: Path, capsys: Capture) -> None:
    verb = "run" if option == "--recipe" else "tune"
    status, out, err = shell(capsys, verb, "sample", "--out", str(tmp_path / "a"), option, "x[red]")
    assert (status, out, len(err)) == (2, "", 1) and f"{option} 'x[red]' is not known: take one of {CHOICES[option]}" in err[0]
    first = CHOICES[option].split(",")[0]
    assert f"{option} {first}|" in shell(capsys, verb, "-h")[1]


# Help, greeting, completion, last lines

def test_greeting_and_help(capsys: Capture) -> None:
    status, out, err = shell(capsys)
    assert (status, err) == (0, []) and out.count("\n  arxiv-nbclf ") == 3
    _, page, _ = shell(capsys, "-h")
    headings = [page.index(f"\n{heading}:\n") for heading in ("Predict", "Train", "Data", "Serve and export")]
    assert headings == sorted(headings)
    summaries = page[headings[0] :].splitlines()
    assert len(summaries) > 10 and not [line for line in summaries if line.endswith("...") or len(line) > 80]
    for verb in ("predict", "run", "tune", "explain"):
        assert shell(capsys, verb, "-h") == shell(capsys, verb, "--help")


@pytest.mark.parametrize("which", ["bash", "zsh", "fish"])
def test_completion(which: str) -> None:
    environment = os.environ | {"_ARXIV_NBCLF_COMPLETE": f"source_{which}"}
    script = "import sys; from arxiv_nbclf.cli import main; sys.argv[0] = 'arxiv-nbclf'; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "_ARXIV_NBCLF_COMPLETE" in done.stdout
    words = {"_ARXIV_NBCLF_COMPLETE": "complete_bash", "COMP_WORDS": "arxiv-nbclf run --family l", "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | words)
    assert done.stdout.split() == ["linear"]


def test_every_command_ends_with_its_time(place: Path, capsys: Capture) -> None:
    for words, last in (
        (["sample", "--rows", "9", "--out", "nine.csv"], "nine.csv: 9 synthetic papers in "),
        (["explore", "papers.csv", "--out", "seen"], "60 papers in "),
        (["predict", "papers.csv", "--out", "out.csv"], "out.csv: 60 papers predicted, 0 abstained, in "),
        (["drift", "sample", "papers.csv"], "2,060 papers in "),
    ):
        status, _, err = shell(capsys, *words)
        assert status == 0 and err[-1].startswith(last) and err[-1].endswith(" s")
    assert shell(capsys, "--quiet", "sample", "--rows", "9", "--out", "ten.csv") == (0, "", [])


@short_reports()
def test_a_run_ends_with_its_scores(tmp_path: Path, capsys: Capture) -> None:
    words = ["run", "sample", "--out", str(tmp_path / "run"), "--family", "linear", "--set", "bits=12", "--set", "C=1.0", "--set", "folds=2"]
    began = time.perf_counter()
    status, out, err = shell(capsys, *words)
    assert (status, out) == (0, "")
    taken = float(err[-1].removeprefix("2,000 papers in ").removesuffix(" s"))
    assert taken <= time.perf_counter() - began + 1
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    head = next(n for n, line in enumerate(err) if line.split() == ["group", "precision", "recall", "F1", "papers"])
    rows = {line.split()[0]: line.split() for line in err[head + 1 : -1]}
    assert list(rows) == list(report["per_class"])
    for name, scores in report["per_class"].items():
        assert int(rows[name][-1].replace(",", "")) == scores["support"] and rows[name][-2] == f"{scores['f1']:.3f}"
