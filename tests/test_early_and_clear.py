"""What cannot be done is refused before any work, in one line that names the option; ids are understood as people copy them."""

import io
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pandas as pd
import pytest
from arxiv_server import ArxivServer, serve_papers

from arxiv_nbclf import harvest, predict_stream, read_papers, sample
from arxiv_nbclf.cli import main
from arxiv_nbclf.core.basics import ArxivNbclfError, CannotWrite
from arxiv_nbclf.data import harvest as harvesting
from arxiv_nbclf.data.arxiv_client import RefusedFeed


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    """Some hundred papers."""
    return read_papers(sample(300)).papers.assign(version=1)


@pytest.fixture
def arxiv(papers: pd.DataFrame) -> Iterator[ArxivServer]:
    """A server that answers with them."""
    with serve_papers(papers) as running:
        yield running


FAULTS = [["503"], ["", "503"], ["nothing found"], ["empty page", "empty page", "empty page"], ["half the ids", "half the ids"], ["a paper withheld"],
          ["429"], ["cut body"], ["malformed", "nothing found", "short page"], ["connection cut"], ["", "nothing found", "503", "half the ids"]]


@pytest.mark.parametrize("faults", FAULTS)
def test_a_list_of_ids_comes_whole_whatever_fails(faults: list[str], papers: pd.DataFrame, arxiv: ArxivServer) -> None:
    arxiv.faults = {number: name for number, name in enumerate(faults, 1) if name}
    found = harvesting.harvest_ids(papers.aid[:150].tolist(), arxiv.api, delay=0)
    assert found.aid.tolist() == papers.aid[:150].tolist()
    assert all(int(query["max_results"]) == query["id_list"].count(",") + 1 for query in arxiv.asked)


def test_what_does_not_come_is_missing_and_not_absent(
    papers: pd.DataFrame, arxiv: ArxivServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["harvest", "--ids", ",".join(papers.aid[:100]), "--api", arxiv.api, "--delay", "0", "--out", str(tmp_path / "papers.csv")]
    arxiv.always = "half the ids"
    assert main(words) == 0
    assert "did not come" not in capsys.readouterr().err  # half of what is left, again and again
    arxiv.always = None
    withheld = arxiv.papers[arxiv.papers.aid != papers.aid[7]]
    arxiv.papers = withheld
    assert main([*words[:-1], str(tmp_path / "short.csv")]) == 0
    said = capsys.readouterr().err
    assert f"1 of 100 papers did not come: {papers.aid[7]}; look" in said and "99 papers (99 by id)" in said and "; 1 paper did not come" in said
    arxiv.always = "nothing found"
    assert main([*words[:-1], str(tmp_path / "none.csv")]) == 2
    said = capsys.readouterr().err
    assert "100 of 100 papers did not come" in said and "try again later" in said and "has no" not in said
    assert not (tmp_path / "none.csv").exists() and not list(tmp_path.glob("*.partial"))


def test_an_interrupted_list_of_ids_is_continued(papers: pd.DataFrame, arxiv: ArxivServer, tmp_path: Path) -> None:
    ids = papers.aid[:250].tolist()
    arxiv.faults = {2: "404"}
    with pytest.raises(RefusedFeed):
        harvest(ids=ids, out=tmp_path / "papers.csv", api=arxiv.api, delay=0)
    done = harvest(ids=" ".join(ids), out=tmp_path / "papers.csv", api=arxiv.api, delay=0)
    assert (int(done.papers.sum()), len(arxiv.asked)) == (250, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_papers.csv.harvest.json", "papers.csv"]


def test_ids_are_predicted_in_any_list(papers: pd.DataFrame, arxiv: ArxivServer, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = papers.aid[:3]
    words = [f"https://doi.org/10.48550/arXiv.{first},{second}", f"arXiv:{third}v1 [cs.CL]\nhttps://huggingface.co/papers/{first}"]
    assert main(["predict", *words, "--api", arxiv.api]) == 0
    assert [json.loads(line)["aid"] for line in capsys.readouterr().out.splitlines()] == [first, second, third]


@pytest.mark.parametrize("word", ["2513.00001", "2504.00000", "2504.1234567", "https://arxiv.org/abs/2500.00001", "9912.00001", "hep-th/9913001"])
def test_an_id_that_cannot_exist_is_refused_in_a_line(word: str, arxiv: ArxivServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["predict", word], ["harvest", "--ids", f"2504.15253, {word}", "--out", str(tmp_path / "a.csv")]):
        assert main([*command, "--api", arxiv.api]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert "no arXiv id" in said and word in said
    assert (arxiv.asked, list(tmp_path.iterdir())) == ([], [])


VERBS = {"sample": ["--rows", "9"], "explore": ["sample"], "run": ["sample", "--family", "linear"], "train": ["sample", "--family", "linear"],
         "tune": ["sample", "--family", "linear"], "evaluate": ["sample", "--model", "nowhere"], "predict": ["sample"], "review": ["sample"],
         "export": ["nowhere", "--to", "hf"], "harvest": ["--categories", "cs.CL", "--from", "2025-04-01", "--to", "2025-04-01"]}


@pytest.mark.parametrize("verb", VERBS)
def test_an_output_that_cannot_be_written_is_refused_in_one_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "table.csv").mkdir()
    (tmp_path / "table.csv" / "inside").write_text("")
    table = verb in ("sample", "harvest", "predict", "review")
    outs = ["file/a.csv" if table else "file/a", "n" * 300 + ".csv", "table.csv", "/proc/a.csv"]
    outs += ["a.txt", "a.csv.zip"] if table else []
    outs += ["no/such/a.csv"] if verb in ("sample", "predict", "review") else []
    monkeypatch.chdir(tmp_path)
    for out in outs:
        assert main([verb, *VERBS[verb], "--out", out]) == 2
        said = capsys.readouterr()
        last = said.err.splitlines()[-1]
        assert (said.out, len(last) < 500) == ("", True)
        assert any(words in last for words in ("cannot be written", "unknown ending", "is there already", "this is a folder", "nowhere")), last
        assert verb in ("evaluate", "export") or "nowhere" not in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "table.csv"]


def test_the_functions_refuse_it_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    from arxiv_nbclf.runs import explore_file, run, train, tune

    for call in (explore_file, run, train, tune, lambda papers, out: predict_stream(papers, None, out)):
        with pytest.raises(CannotWrite, match="is no folder"):
            call(tmp_path / "not-even-there.csv", tmp_path / "file" / "run")


@pytest.mark.parametrize("lines", [b"", b"\n\n", b'{"title": "a"}\n', b'{"title": " ", "abstract": ""}\n' * 3, b"no json\n", b'{"x": 1}\n', b"\xff\xfe"])
@pytest.mark.parametrize("out", ["-", "answers.csv"])
def test_nothing_predicted_through_a_pipe_is_an_error(
    lines: bytes, out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines)))
    assert main(["predict", "-", "--out", out]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "standard input" in said.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_loop_is_left_after_a_few(tmp_path: Path) -> None:
    asked = []

    class Round(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"/{len(asked) % 2}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Round)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(RefusedFeed, match="redirects and never answers"):
            harvest("cs.CL", "2025-04-01", "2025-04-02", tmp_path / "a.csv", api=f"http://127.0.0.1:{server.server_port}/api")
    finally:
        server.shutdown()
        server.server_close()
    assert len(asked) <= 5
    assert list(tmp_path.iterdir()) == []


OPTIONS = {("predict", "sample", "--top", "0"): "--top 0", ("predict", "sample", "--abstain-below", "2"): "--abstain-below 2",
           ("predict", "sample", "--engine", "x"): "--engine 'x'", ("predict", "sample", "--engine", "ray", "--out", "a.csv"): "--out DIR",
           ("harvest", "--categories", "cs", "--from", "2025-04", "--to", "2025-05", "--per-group", "0", "--out", "a.csv"): "--per-group 0",
           ("tune", "sample", "--family", "linear", "--check-folds", "1", "--out", "a"): "--check-folds 1",
           ("tune", "sample", "--family", "linear", "--minutes", "0", "--out", "a"): "--minutes 0",
           ("tune", "sample", "--family", "linear", "--sampler", "x", "--out", "a"): "--sampler 'x'",
           ("tune", "sample", "--family", "linear", "--storage", "x", "--out", "a"): "--storage is no URL",
           ("tune", "sample", "--family", "linear", "--space", "x", "--out", "a"): "--space 'x'",
           ("export", "nowhere", "--to", "x", "--out", "a"): "--to 'x'",
           ("run", "sample", "--seed", "-1", "--out", "a"): "--seed"}


@pytest.mark.parametrize("words", OPTIONS, ids=lambda words: " ".join(words[:4]))
def test_a_message_names_the_option(words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    assert OPTIONS[words] in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_message_in_python_names_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(ArxivNbclfError, match="per_group=0: "):
        harvest("cs.CL", "2025-04-01", "2025-04-02", tmp_path / "a.csv", per_group=0)
