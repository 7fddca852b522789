"What strangers hand in: links in shared folders, machines without a home or locks, servers that hold a client."

import os
from pathlib import Path

import pytest

from arxiv_nbclf.cli import main
from arxiv_nbclf.core.basics import LOCK_FILE, partial_folder

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
    assert main(["explore", "sample", "--out", str(tmp_path / "data" / "out")]) == 0
    assert (tmp_path / "disk" / "out" / "index.html").is_file()
