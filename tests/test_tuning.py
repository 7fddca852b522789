"""Searches that are killed, and searches that several workers share: what a notebook, being one process, cannot show."""

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("optuna")
COMMAND = Path(sys.executable).with_name("arxiv-nbclf")
SEARCH = ["--family", "linear", "--trials", "6", "--space", "bits=12", "--space", "C=0.05..2:log", "--check-folds", "0"]
QUIET = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from arxiv_nbclf.data.synthetic import sample

    path = tmp_path_factory.mktemp("papers") / "papers.csv"
    sample(1500, seed=3).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def whole(papers: Path) -> Path:
    """A search that nothing has disturbed."""
    end(start(papers, "--out", papers.parent / "whole", *SEARCH))
    return papers.parent / "whole"


def start(*arguments: object) -> subprocess.Popen:
    """Begin a search in a process of its own."""
    return subprocess.Popen([COMMAND, "tune", *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=QUIET)


def end(process: subprocess.Popen) -> str:
    """Wait for a search that succeeds; what it said."""
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said[-3000:]
    return said


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something to happen."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it does not happen"
        time.sleep(0.05)


def tried(place: str | Path, study: str | None = None) -> list[dict]:
    """The settings of all finished trials, in their order."""
    from arxiv_nbclf.tuning.studies import find_study, finished_trials

    return [trial.params for trial in finished_trials(find_study(str(place), study))]


def count(place: str | Path, study: str | None = None) -> int:
    """How many trials are finished; 0 where nothing is there yet."""
    from arxiv_nbclf.tuning.studies import BadStudy

    try:
        return len(tried(place, study))
    except BadStudy:
        return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_search_ends_as_if_it_had_not_been(papers: Path, whole: Path, tmp_path: Path) -> None:
    for trials in (1, 3):
        process = start(papers, "--out", tmp_path / "killed", *SEARCH)
        until(lambda wanted=trials: count(tmp_path / "killed.partial") >= wanted)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    second = start(papers, "--out", tmp_path / "killed", *SEARCH, "--split", "time")
    assert "split was" in second.communicate(timeout=60)[1]
    assert second.returncode == 2
    end(start(papers, "--out", tmp_path / "killed", *SEARCH))
    assert tried(tmp_path / "killed") == tried(whole)
    expected, killed = (json.loads((folder / "report" / "report.json").read_text()) for folder in (whole, tmp_path / "killed"))
    assert [expected[key] for key in ("accuracy", "macro_f1", "log_loss")] == [killed[key] for key in ("accuracy", "macro_f1", "log_loss")]
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]


def test_a_search_in_use_is_locked(papers: Path, tmp_path: Path) -> None:
    first = start(papers, "--out", tmp_path / "one", *SEARCH)
    until(lambda: count(tmp_path / "one.partial") >= 1)
    second = start(papers, "--out", tmp_path / "one", *SEARCH)
    assert "another process is at work" in second.communicate(timeout=60)[1]
    assert second.returncode == 2
    end(first)


def test_show_prints_a_table(whole: Path) -> None:
    done = subprocess.run([COMMAND, "tune", "--show", whole], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].split() == ["trial", "state", "value", "seconds", "C", "class_weight"]
    assert len(done.stdout.splitlines()) == 7


def test_a_run_with_a_search_is_a_run(papers: Path, whole: Path, tmp_path: Path) -> None:
    asked = [COMMAND, "run", papers, "--out", tmp_path / "run", "--family", "linear", "--set", "bits=12"]
    subprocess.run([*asked, "--tune", "2"], capture_output=True, check=True, env=QUIET)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["tuning"]["finished"] == 2
    assert record["settings"]["bits"] == 12 and "bits" not in record["tuning"]["space"]  # what is set is not searched
    again = subprocess.run([*asked, "--tune", "3"], capture_output=True, text=True, env=QUIET)
    assert again.returncode == 2 and "is there already" in again.stderr
    compare = [COMMAND, "compare", whole, tmp_path / "run"]
    said = subprocess.run(compare, capture_output=True, text=True, env=QUIET, check=True).stdout
    assert "accuracy" in said and any(verdict in said for verdict in ("undecided", "better", "worse"))


def programs() -> Path | None:
    """Where PostgreSQL's programs are: on the PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").is_file() else None


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database on a PostgreSQL server, which listens on a socket of its own and goes when the tests are done."""
    bin_ = programs()
    if bin_ is None or find_spec("psycopg") is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL and psycopg are needed here: apt-get install postgresql")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    place = Path(subprocess.check_output(["mktemp", "-d", "/tmp/pg.XXXXXX"], text=True).strip())  # a socket's path must be short
    user, become = getpass.getuser(), []
    if os.geteuid() == 0:  # the server refuses to be run by root
        user, become = "postgres", [shutil.which("runuser") or "/usr/sbin/runuser", "-u", "postgres", "--"]
        shutil.chown(place, user)

    def call(program: str, *words: str) -> None:
        subprocess.run([*become, bin_ / program, "-D", place / "data", *words], check=True, stdout=subprocess.DEVNULL, cwd="/")

    call("initdb", "-A", "trust", "-N")
    call("pg_ctl", "-w", "-o", f"-k {place} -c listen_addresses='' -c fsync=off", "-l", str(place / "log"), "start")
    try:
        yield f"postgresql+psycopg://{user}@/postgres?host={place}"
    finally:
        call("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


def test_two_workers_share_a_study_and_one_of_them_dies(papers: Path, tmp_path: Path, database: str) -> None:
    shared = [*SEARCH, "--storage", database, "--study", "shared", "--heartbeat", "1"]
    dies, lives = (start(papers, "--out", tmp_path / name, *shared) for name in ("dies", "lives"))
    until(lambda: count(database, "shared") >= 2)
    dies.kill()
    dies.communicate()
    said = end(lives)
    assert (tmp_path / "lives" / "model" / "bundle.json").is_file(), said
    assert not (tmp_path / "dies").exists()
    assert 6 <= count(database, "shared") <= 7  # at most one more than asked for
    assert tried(tmp_path / "lives") == tried(database, "shared")  # the folder holds a copy of the study
    from arxiv_nbclf.tuning.studies import find_study

    states = [trial.state.name for trial in find_study(database, "shared").trials]
    assert states.count("RUNNING") == 0, states
    other = start(papers, "--out", tmp_path / "other", *shared, "--split", "stable")
    assert "split was" in other.communicate(timeout=60)[1]
    assert other.returncode == 2


def test_the_last_worker_writes(papers: Path, tmp_path: Path, database: str) -> None:
    shared = [*SEARCH, "--storage", database, "--study", "both", "--heartbeat", "5"]
    for process in [start(papers, "--out", tmp_path / name, *shared) for name in ("one", "two")]:
        end(process)
    written = [path.name for path in tmp_path.iterdir()]
    assert written and set(written) <= {"one", "two"}  # two, if both found each other done
    best = [json.loads((tmp_path / name / "run.json").read_text())["tuning"]["best"] for name in written]
    assert all(one == best[0] for one in best)


def test_a_database_that_is_not_there_is_found_out_soon(papers: Path, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    began = time.monotonic()
    nobody = "postgresql+psycopg://ada:secret@127.0.0.1:9/papers"
    process = start(papers, "--out", tmp_path / "none", *SEARCH, "--storage", nobody)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "cannot be opened as a study" in said.splitlines()[-1] and "secret" not in said
    assert time.monotonic() - began < 30
    assert not list(tmp_path.iterdir())
    shown = subprocess.run([COMMAND, "tune", "--show", nobody], capture_output=True, text=True)
    assert shown.returncode == 2 and "refused" in shown.stderr and "secret" not in shown.stderr


def test_four_workers_begin_on_a_new_file_at_once(tmp_path: Path) -> None:
    code = (  # processes that need not import everything once more, and wait for the same moment
        "import multiprocessing, sys, time\nfrom arxiv_nbclf.tuning.studies import open_storage, open_study\n"
        "open_study(open_storage(sys.argv[1] + '.other'), 'shared', {})\n"  # whatever is imported for it
        "def work(url, begin):\n    time.sleep(max(0, begin - time.time()))\n"
        "    print(open_study(open_storage(url), 'shared', {'rows': 7}).user_attrs['asked'], flush=True)\n"
        "workers = [multiprocessing.get_context('fork').Process(target=work, args=(sys.argv[1], time.time() + 0.5)) for _ in range(4)]\n"
        "for worker in workers: worker.start()\nfor worker in workers: worker.join()\nprint([worker.exitcode for worker in workers])"
    )
    for number in range(2):
        done = subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path}/{number}.db"], capture_output=True, text=True, timeout=120)
        assert sorted(done.stdout.splitlines()) == ["[0, 0, 0, 0]", *["{'rows': 7}"] * 4], done.stderr[-300:]
