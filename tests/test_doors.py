"What strangers hand in: links in shared folders, machines without a home or locks, servers that hold a client."

import json
import os
import shlex
import subprocess
import sys
import threading
from datetime import datetime
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from arxiv_server import FAULTS, _status, serve_papers, write_feed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arxiv_nbclf import read_papers, sample
from arxiv_nbclf.cli import main
from arxiv_nbclf.core.basics import (
    LOCK_FILE,
    ArxivNbclfError,
    FolderExists,
    one_line,
    open_partial,
    partial_folder,
)
from arxiv_nbclf.data.arxiv_client import (
    ApiClient,
    FetchedWindow,
    TimeWindow,
    read_finished,
    write_finished,
)
from arxiv_nbclf.data.arxiv_feed import RefusedFeed, parse_feed
from arxiv_nbclf.data.harvest import _read_part, _requests, record_path
from arxiv_nbclf.data.tables import write_table

PLANTED = ("partial link", "lock link", "dangling lock", "record link", "lock pipe", "work link", "study hard link")


def plant(
    what: str,  # in PLANTED
    out: Path,  # what a victim will make
    victim: Path,  # a folder of theirs that must stay as it is
) -> None:
    "Put something under a name that a run will use."
    partial = partial_folder(out)
    if what == "partial link":
        partial.symlink_to(victim)
        return
    partial.mkdir()
    precious = victim / "precious.txt"
    if what.startswith("lock"):
        os.mkfifo(partial / LOCK_FILE) if "pipe" in what else (partial / LOCK_FILE).symlink_to(precious)
    elif what == "dangling lock":
        (partial / LOCK_FILE).symlink_to(victim / "new.txt")
    elif what == "record link":
        (partial / "run.json").symlink_to(precious)
    elif what == "work link":
        (partial / "work").symlink_to(victim)
    else:
        os.link(precious, partial / "study.db")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no such files")
@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("verb", ["explore", "predict", "harvest"])
def test_what_was_put_under_a_name_is_refused_and_kept(what: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_text("precious")
    out = tmp_path / ("out.csv" if verb == "harvest" else "out")
    plant(what, out, victim)
    words = {"explore": ["explore", "sample"], "predict": ["predict", "sample"], "harvest": ["harvest", "--ids", "2504.00001", "--api", "http://127.0.0.1:9"]}
    assert main([*words[verb], "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"arxiv-nbclf: {tmp_path}/out")
    assert line.endswith("remove it, or choose another place")
    assert (victim / "precious.txt").read_text() == "precious"
    assert [path.name for path in victim.iterdir()] == ["precious.txt"]
    assert not out.exists()


def test_a_link_above_the_folder_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assert main(["predict", "sample", "--out", str(tmp_path / "data" / "out")]) == 0
    assert (tmp_path / "disk" / "out" / "_run.json").is_file()


@pytest.mark.skipif(os.name != "posix", reason="locks in another way")
@pytest.mark.parametrize("code", [ENOLCK, ENOSYS, EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    assert main(["predict", "sample", "--out", str(tmp_path / "out")]) == 0
    assert f"{os.strerror(code)}; see to it that no second process works there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


GREEK = '{"aid": "Ω-1", "title": "On the Ω-spectrum of é 𝛼 rings", "summary": "Spectra of rings, in algebra."}\n'


def in_shell(
    *words: str,  # of the command line
    redirect: str = "",  # for the shell
    **variables: str,  # of the environment
) -> subprocess.CompletedProcess[bytes]:
    "Run the command in a shell, which can close its streams."
    line = shlex.join([sys.executable, "-c", "import sys; from arxiv_nbclf.cli import main; sys.exit(main())", *words])
    return subprocess.run(f"{line} {redirect}", shell=True, capture_output=True, env=os.environ | variables)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_stream_that_knows_no_greek_gets_all_of_it(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text(GREEK, encoding="utf-8")
    done = in_shell("predict", str(tmp_path / "papers.jsonl"), PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert json.loads(done.stdout.decode(encoding))["aid"] == "Ω-1"
    assert in_shell("predict", "--help", PYTHONIOENCODING=encoding).returncode == 0
    failed = in_shell("predict", "Ωμέγα.csv", PYTHONIOENCODING=encoding)
    assert failed.returncode == 2
    assert failed.stderr.decode(encoding).splitlines()[-1] == r"arxiv-nbclf: \u03a9\u03bc\u03ad\u03b3\u03b1.csv: no such file or folder"


@pytest.mark.skipif(os.name != "posix", reason="has another shell")
@pytest.mark.parametrize(
    ("words", "redirect", "status", "printed"),
    [
        (["predict", "PAPERS"], ">&-", 2, ("", "arxiv-nbclf: standard output is closed: name a file as --out FILE")),
        (["predict", "PAPERS"], "2>&-", 0, ('{"aid"', "")),
        (["predict", "none.csv"], "2>&-", 2, ("", "")),
        (["predict", "PAPERS"], ">&- 2>&-", 2, ("", "")),
        (["predict", "-"], "<&-", 2, ("", "arxiv-nbclf: standard input: there is no line in it")),
        (["predict", "PAPERS", "--out", "OUT"], "<&- >&- 2>&-", 0, ("", "")),
        (["predict", "sample"], "| true", 0, ("", "expected accuracy")),
        (["--help"], "| true", 0, ("", "")),
    ],
)
def test_a_closed_stream_is_one_line_at_most(words: list[str], redirect: str, status: int, printed: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text(GREEK, encoding="utf-8")
    places = {"PAPERS": str(tmp_path / "papers.jsonl"), "OUT": str(tmp_path / "out.csv")}
    done = in_shell(*[places.get(word, word) for word in words], redirect=redirect)
    assert done.returncode == status
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err
    last = (err.splitlines() or [""])[-1]
    assert (out[: len(printed[0])], last[: len(printed[1])]) == printed
    if "OUT" in words:
        assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith('"aid"')


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    "Some hundred papers."
    return read_papers(sample(300)).papers


QUERY = {"search_query": "(cat:cs.*)", "start": 0, "max_results": 50}
HOLDS = {
    "endless": "longer than 33,554,432 bytes",
    "gzip bomb": "longer than 33,554,432 bytes",
    "endless 503": "is busy",
    "dripping": "not answered completely within 1 s",
    "dripping head": "not answered completely within 1 s",
    "dripping chunk": "not answered completely within 1 s",
    "endless 100": "not answered completely within 1 s",
    "many headers": "got more than 100 headers",
    "endless header": "got more than 65536 bytes",
}


@pytest.mark.parametrize("fault", HOLDS)
def test_no_server_holds_the_client(fault: str, papers: pd.DataFrame) -> None:
    threads, timeout = set(threading.enumerate()), 0.5 if "completely" in HOLDS[fault] else 30.0
    with serve_papers(papers, always=fault) as arxiv, ApiClient(arxiv.api, delay=0, max_tries=2, timeout=timeout) as client:
        with pytest.raises(ArxivNbclfError, match=HOLDS[fault]):
            client.fetch(**QUERY)
        left = [thread for thread in set(threading.enumerate()) - threads if thread.name.endswith("(run)")]
        for thread in left:
            thread.join(10)
        assert not any(thread.is_alive() for thread in left)
    assert len(arxiv.asked) <= (1 if "33,554,432" in HOLDS[fault] else 2)


@pytest.mark.parametrize("place", ["http://localhost/", "http://127.0.0.1:1/", "file:///etc/passwd", "https://evil.example/", "//169.254.169.254/", "http://[::1"])
def test_a_redirect_elsewhere_is_not_followed(place: str, papers: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "elsewhere", _status(302, Location=place))
    with (
        serve_papers(papers, always="elsewhere") as arxiv,
        ApiClient(arxiv.api, delay=0) as client,
        pytest.raises(RefusedFeed, match="127.0.0.1 redirects to"),
    ):
        client.fetch(**QUERY)
    assert len(arxiv.asked) == 1


FEED = write_feed(read_papers(sample(3)).papers, total=17, start=14)
WORDS = [b"<", b">", b"&", b"<entry>", b"</entry>", b"<![CDATA[", b"<!--", b"<?", b"&#0;", b"&#xD800;", b"&#x10FFFF;", b"\xff", b"\x00", b"\xef\xbb\xbf", b"9" * 5_000]
WORDS += [b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"9999-99-99T99:99:99Z", b"-1", b"1e9", b"\xe2\x80\xae", b"http://arxiv.org/api/errors#x", b"xmlns='x'", b"cs.CL,,,,", b"\xc2\xa0"]
ENCODINGS = [b"UTF-8", b"UTF-16", b"latin-1", b"klingon", b"hex", b"idna", b"utf-7", b"cp037", b"ascii", b"unicode_escape"]


@st.composite
def mutated(
    draw: st.DrawFn,
    data: bytes,  # something real
    words: list[bytes],  # to be put into it
) -> bytes:
    "Bytes of which a few stretches are replaced."
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 200))
        data = data[:start] + draw(st.sampled_from(words) | st.binary(max_size=8)) + data[start + length :]
    return data


BOUNDED = settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@BOUNDED
@given(mutated(FEED, WORDS) | st.binary(max_size=300), st.sampled_from(ENCODINGS))
@example(FEED, b"klingon")
@example(FEED, b"hex")
@example(b"<feed>" * 100_000, b"UTF-8")
@example(FEED.replace(b"<entry>", b"<entry>" * 9_999).replace(b"</entry>", b"</entry>" * 9_999), b"UTF-8")
@example(b'<!DOCTYPE f [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><f>&b;</f>', b"UTF-8")
def test_any_bytes_are_a_feed_or_one_line(data: bytes, encoding: bytes) -> None:
    data = data.replace(b"UTF-8", encoding, 1)
    try:
        feed = parse_feed(data)
    except ArxivNbclfError as error:
        assert "\n" not in one_line(error)
        return
    assert 0 <= len(feed.papers) <= feed.n_entries
    assert feed.papers.aid.notna().all()


APRIL = TimeWindow(datetime(2025, 4, 1), datetime(2025, 4, 8))
RECORD = {"requests": [{"verb": "harvest"}], "windows": [FetchedWindow(APRIL, "cat:cs.CL", 3, 3, "natural.parquet").record()]}
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)
JSON_WORDS = [b"{", b"}", b"[", b"]", b'"', b",", b"null", b"-1", b"1e999", b"NaN", b"9" * 5_000, b'"2025-04-01T00:00Z"', b'"../x"', b"\xff", b"[" * 50_000]


@st.composite
def records(
    draw: st.DrawFn,
) -> bytes:
    "The record of a harvest with an entry that is another, or with other bytes."
    if draw(st.booleans()):
        return draw(mutated(json.dumps(RECORD).encode(), JSON_WORDS))
    record = json.loads(json.dumps(RECORD))
    place = draw(st.sampled_from([record, record["windows"][0], record["requests"][0]]))
    place[draw(st.sampled_from([*place, "more"]))] = draw(JSON)
    return json.dumps(record).encode()


@BOUNDED
@given(records())
@example(b"[" * 50_000)
@example(json.dumps({"windows": [RECORD["windows"][0] | {"total": "3"}], "requests": "abc"}).encode())
@example(json.dumps({"windows": [RECORD["windows"][0] | {"file": "../../x.parquet"}]}).encode())
@example(json.dumps({"windows": [RECORD["windows"][0] | {"window": ["2025-04-01T00:00Z", "2025-04-08T00:00Z"]}]}).encode())
def test_any_record_of_a_harvest_is_read_or_left(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "papers.parquet"
        record_path(out).write_bytes(data)
        found = read_finished(record_path(out))
        assert all(done.window.minutes > 0 for done in found)
        assert sum(done.missing_papers for done in found) >= 0
        assert all((done.file or "x") == Path(done.file or "x").name for done in found)
        write_finished(record_path(out), sorted(found, key=lambda done: (done.query, done.window)), requests=_requests(out))
        assert read_finished(record_path(out)) == sorted(found, key=lambda done: (done.query, done.window))


@BOUNDED
@given(mutated(json.dumps({"asked": {"verb": "harvest", "ids": ["2504.00001"]}}).encode(), JSON_WORDS))
@example(b'{"asked": []}')
@example(b'{"asked":' * 50_000)
def test_any_request_is_resumed_or_refused(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "papers.parquet"
        partial_folder(out).mkdir()
        (partial_folder(out) / "run.json").write_bytes(data)
        try:
            open_partial(out, {"verb": "harvest", "ids": ["2504.00001"]})
        except FolderExists as error:
            assert "run.json" in str(error) or "begun for something else" in str(error)


def part_bytes() -> bytes:
    "A file of papers, as a harvest leaves it in its partial folder."
    with TemporaryDirectory() as folder:
        write_table(parse_feed(FEED).papers, Path(folder) / "part.parquet")
        return (Path(folder) / "part.parquet").read_bytes()


PART = part_bytes()


@settings(BOUNDED, max_examples=60)
@given(mutated(PART, [b"PAR1", b"\x00" * 8, b"\xff" * 8]))
def test_any_part_of_a_harvest_is_read_or_fetched_again(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        path.write_bytes(data)
        part = _read_part(path)
        assert part is None or {"aid", "title", "summary", "withdrawn"} <= set(part)
