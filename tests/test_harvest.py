"""A harvest from a server that answers as arXiv's does: all its faults, kills at any moment, every format, and what is refused."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
from arxiv_server import FAULTS, ArxivServer, serve_papers

from arxiv_nbclf import harvest, read_papers, sample
from arxiv_nbclf.cli import main
from arxiv_nbclf.data import harvest as harvesting
from arxiv_nbclf.data.taxonomy import group_of

ASK = {"categories": "cs,econ,q-fin,math.*", "start": "2025-03-01", "end": "2025-04-30", "delay": 0}
WORDS = ["--categories", "cs,econ,q-fin,math.*", "--from", "2025-03-01", "--to", "2025-04-30", "--delay", "0"]
LATER = ["empty page", "nothing found", "short page", "a paper twice", "429", "503", "connection cut", "cut body", "malformed"]
REFUSED = {"bomb": "declares what no feed of papers needs", "too long": "longer than 33,554,432 bytes",
           "web page": "a web page and no feed", "error": "reports an error", "404": "answers with status 404",
           "redirect": "redirects and never answers"}
SMALL = "import os, sys\nfrom arxiv_nbclf.data import harvest as harvesting\nharvesting.WINDOW_PAPERS, harvesting.PAGE_SIZE = 20, 8\n"
DYING = """
from pathlib import Path

def die_beside_the_table(call):
    \"Kill the process when a function is called for a path beside the table, not for one in the partial folder.\"
    def called(*words, **more):
        if any(isinstance(word, Path) and word.parent == Path(sys.argv[1]).parent for word in words):
            os.kill(os.getpid(), 9)
        return call(*words, **more)
    return called

"""
PROGRAM = SMALL + "harvesting.harvest({categories!r}, {start!r}, {end!r}, sys.argv[1], per_group=22, api=sys.argv[2], delay=0)"


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    """An arXiv of some hundred papers, from January to April, with two groups that are rare but not too rare to be topped up."""
    many = read_papers(sample(6000)).papers
    rare = many.main_category.map(group_of).isin(["econ", "q-fin"])
    table = many[rare | (many.index < 700)].sample(frac=1, random_state=0).reset_index(drop=True)
    dates = pd.date_range("2025-01-01", "2025-04-30 23:59", len(table), tz="UTC").floor("s").as_unit("us")
    return table.assign(version=table.version.fillna(1), published=dates)


@pytest.fixture
def arxiv(papers: pd.DataFrame) -> Iterator[ArxivServer]:
    """A server that answers with them."""
    with serve_papers(papers) as running:
        yield running


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows and pages of a few papers, so that there are many."""
    monkeypatch.setattr(harvesting, "WINDOW_PAPERS", 100)
    monkeypatch.setattr(harvesting, "PAGE_SIZE", 40)


@pytest.fixture(scope="module")
def whole(papers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What a harvest that nothing disturbs gives."""
    out = tmp_path_factory.mktemp("whole") / "papers.parquet"
    with serve_papers(papers) as running:
        done = harvest(**ASK, out=out, per_group=22, api=running.api)
    assert not done.shortfalls
    return pd.read_parquet(out)


def test_a_harvest_is_all_that_was_asked_for_and_nothing_else(papers: pd.DataFrame, whole: pd.DataFrame) -> None:
    asked = papers.categories.str.contains(r"(?:^|,)(?:cs|econ|q-fin|math)\.") & (papers.published >= "2025-03-01")
    natural = whole[whole.chosen == "natural"]
    assert set(natural.aid) == set(papers.aid[asked])
    assert whole.aid.is_unique
    topped = whole[whole.chosen == "topped up"]
    assert set(topped.main_category.map(group_of)) == {"econ", "q-fin"}
    assert (topped.published < "2025-03-01").all()
    columns = ["aid", "version", "title", "categories", "main_category", "published", "other_subjects"]
    expected = papers[papers.aid.isin(whole.aid)].sort_values(["published", "aid"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(whole[columns], expected[columns])
    assert whole.summary.tolist() == expected.summary.str.strip().tolist()


@pytest.mark.parametrize("fault", LATER)
def test_a_fault_that_passes_changes_nothing(fault: str, arxiv: ArxivServer, small: None, tmp_path: Path, whole: pd.DataFrame) -> None:
    arxiv.faults = dict.fromkeys(range(1, 60, 5), fault)
    done = harvest(**ASK, out=tmp_path / "papers.parquet", per_group=22, api=arxiv.api)
    assert not done.shortfalls
    assert len(arxiv.asked) > 11
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "papers.parquet"), whole)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["_papers.parquet.harvest.json", "papers.parquet"]


def test_all_faults_at_random(arxiv: ArxivServer, small: None, tmp_path: Path, whole: pd.DataFrame) -> None:
    rng = random.Random(7)
    arxiv.faults = {number: rng.choice(LATER) for number in range(1, 200) if rng.random() < 0.3}
    harvest(**ASK, out=tmp_path / "papers.parquet", per_group=22, api=arxiv.api)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "papers.parquet"), whole)


def test_a_paper_without_a_primary_category_takes_its_first(arxiv: ArxivServer, tmp_path: Path, whole: pd.DataFrame) -> None:
    arxiv.always = "no primary"
    harvest(**ASK, out=tmp_path / "papers.parquet", per_group=22, api=arxiv.api)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "papers.parquet"), whole)


@pytest.mark.parametrize("fault", REFUSED)
def test_a_feed_that_is_none_is_refused_in_one_line(
    fault: str, arxiv: ArxivServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arxiv.always = fault
    assert main(["harvest", *WORDS, "--api", arxiv.api, "--out", str(tmp_path / "papers.csv")]) == 2
    said = capsys.readouterr()
    assert REFUSED[fault] in said.err.splitlines()[-1]
    assert said.out == ""
    assert len(arxiv.asked) == (4 if fault == "redirect" else 1)
    assert list(tmp_path.iterdir()) == []
    assert set(LATER) | set(REFUSED) | {"a paper withheld", "half the ids", "no primary"} == set(FAULTS)


def test_a_harvest_that_is_killed_at_ten_random_moments_is_the_same(arxiv: ArxivServer, tmp_path: Path, whole: pd.DataFrame) -> None:
    out, program, rng = tmp_path / "papers.parquet", PROGRAM.format(**ASK), random.Random(3)
    moments = sorted(rng.sample(range(2, 46), 10))  # by the number of questions that were asked until then
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", program, out, arxiv.api], stderr=subprocess.PIPE, text=True)
        if kills < len(moments):
            while process.poll() is None and len(arxiv.asked) < moments[kills]:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.02))
            process.kill()
        said = process.communicate()[1]
        if process.returncode == 0:
            break
        assert process.returncode == -9, said
        kills += 1
    assert kills == 10
    pd.testing.assert_frame_equal(pd.read_parquet(out), whole)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["_papers.parquet.harvest.json", out.name]


@pytest.mark.parametrize("last", ["write_table", "write_finished", "shutil.rmtree"])
def test_a_harvest_that_is_killed_at_the_end_is_the_same(last: str, arxiv: ArxivServer, tmp_path: Path, whole: pd.DataFrame) -> None:
    out, program = tmp_path / "papers.parquet", PROGRAM.format(**ASK)
    die = f"harvesting.{last} = die_beside_the_table(harvesting.{last})\n"
    killed = subprocess.run([sys.executable, "-c", SMALL + DYING + die + program.removeprefix(SMALL), out, arxiv.api], stderr=subprocess.DEVNULL)
    assert killed.returncode == -9
    assert out.exists() == (last != "write_table")
    asked = len(arxiv.asked)
    done = harvest(**ASK, out=out, per_group=22, api=arxiv.api)
    assert len(arxiv.asked) == asked or last == "shutil.rmtree"  # where all was done, it only counts again
    assert done.papers.sum() == len(whole)
    pd.testing.assert_frame_equal(pd.read_parquet(out), whole)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["_papers.parquet.harvest.json", out.name]


@pytest.mark.parametrize("name", ["papers.csv", "papers.jsonl.gz", "papers.xlsx", "papers.parquet"])
def test_a_table_of_any_format_grows(name: str, papers: pd.DataFrame, tmp_path: Path, whole: pd.DataFrame) -> None:
    out = tmp_path / name
    late = whole.aid[whole.chosen == "natural"].sample(5, random_state=0)
    with serve_papers(papers[~papers.aid.isin(late)]) as running:
        first = harvest(**ASK | {"end": "2025-04-10"}, out=out, per_group=22, api=running.api)
        running.papers = papers
        second = harvest(**ASK, out=out, per_group=22, api=running.api)
        third = harvest(**ASK, out=out, per_group=22, api=running.api)
    assert (first.new + second.new, third.new) == (int(second.papers.sum()), 0)
    table = read_papers(out, purpose="prediction").papers
    natural = whole[whole.chosen == "natural"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[table.chosen == "natural"].reset_index(drop=True), natural)
    assert set(whole.aid) <= set(table.aid)


def test_a_shortfall_is_told_and_made_good(arxiv: ArxivServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["harvest", *WORDS, "--api", arxiv.api, "--out", str(tmp_path / "papers.csv")]
    arxiv.always = "a paper withheld"
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "1 paper that arXiv counts did not come, the same command asks again" in said
    record = json.loads((tmp_path / "_papers.csv.harvest.json").read_text())
    assert sum(window["total"] - window["papers"] for window in record["windows"]) == 1
    arxiv.always = None
    assert main(words) == 0
    assert "1 of them new" in capsys.readouterr().err


def test_the_snapshot_gives_the_same_table(papers: pd.DataFrame, tmp_path: Path, whole: pd.DataFrame) -> None:
    lines = []
    for paper in papers.sample(frac=1, random_state=1).to_dict("records"):
        versions = [{"version": f"v{number}", "created": f"{paper['published']:%a, %d %b %Y %H:%M:%S GMT}"}
                    for number in range(1, paper["version"] + 1)]
        lines.append(json.dumps({"id": paper["aid"], "title": paper["title"], "abstract": f"  {paper['summary']}\n", "comments": None,
                                 "categories": paper["categories"].replace(",", " "), "versions": versions, "update_date": "2025-05-05"}))
    with ZipFile(tmp_path / "snapshot.json.zip", "w", 8) as archive:
        archive.writestr("arxiv-metadata-oai-snapshot.json", "\n".join(lines))
    words = ["--per-group", "22", "--snapshot", str(tmp_path / "snapshot.json.zip"), "--out", str(tmp_path / "papers.parquet")]
    assert main(["harvest", *WORDS, *words]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "papers.parquet"), whole)
    read = read_papers(tmp_path / "snapshot.json.zip").papers.set_index("aid")
    assert read.published.to_dict() == papers.set_index("aid").published.to_dict()


def test_single_papers_by_id(arxiv: ArxivServer, papers: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = papers.aid[[3, 500, 77]].tolist()
    words = ["harvest", "--ids", ",".join([*ids, "2504.99999"]), "--api", arxiv.api, "--delay", "0", "--out", str(tmp_path / "papers.csv")]
    assert main(words) == 0
    assert "1 of 4 papers did not come: 2504.99999" in capsys.readouterr().err
    table = read_papers(tmp_path / "papers.csv").papers
    assert set(table.aid) == set(ids)
    assert table.chosen.unique().tolist() == ["by id"]


def test_what_cannot_be_is_said_in_one_line_and_asks_nobody(arxiv: ArxivServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a file")
    good = {"--categories": "cs.CL", "--from": "2025-04-01", "--to": "2025-04-30", "--api": arxiv.api, "--out": str(tmp_path / "a.csv")}
    wrong = [({"--from": "2025-05-01"}, "the first day is after the last"), ({"--to": "2999-01-01"}, "is in the future; today is"),
             ({"--from": "April"}, "not a date: 'April'"), ({"--categories": "cs.LC"}, "unknown category 'cs.LC'; did you mean cs."),
             ({"--categories": "biology"}, "unknown category 'biology'; "),
             ({"--out": str(tmp_path / "file" / "a.csv")}, "file is no folder"),
             ({"--out": str(tmp_path / "a.txt")}, "unknown ending '.txt'"), ({"--api": "http://127.0.0.1:9/"}, "cannot be reached"),
             ({"--per-group": "0"}, "--per-group 0: it is how many papers"), ({"--ids": "2504.15253"}, "leave out --categories, --from, --to and --per-group")]
    for change, problem in wrong:
        assert main(["harvest", *(word for pair in (good | change).items() for word in pair)]) == 2
        said = capsys.readouterr().err
        assert problem in said
        assert said.count("\n") == 1, said
    assert arxiv.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
