"""Corrected labels, from the command line: what they reach, and what is refused before anything is written."""

import json
from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports

from arxiv_nbclf.cli import main
from arxiv_nbclf.core.basics import FolderExists, partial_folder
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.data.tables import write_table
from arxiv_nbclf.preprocessing import LABELS
from arxiv_nbclf.runs import run, tune

LINEAR = ("--family", "linear", "--set", "bits=12", "--set", "C=1.0", "--set", "folds=2")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic papers in a file."""
    path = tmp_path_factory.mktemp("papers") / "papers.csv"
    write_table(sample(700), path)
    return path


def decisions(folder: Path, **columns: list[str]) -> Path:
    """A table of corrections."""
    path = folder / "decisions.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@short_reports()
def test_corrections_reach_every_split(table: Path, tmp_path: Path, suffix: str) -> None:
    plain = run(table, tmp_path / "plain", "linear", settings={"bits": 12, "C": 1.0, "folds": 2})
    splits = pd.read_parquet(plain.folder / "splits.parquet")
    chosen = splits.groupby("split").aid.first()
    path = tmp_path / f"decisions.{suffix}"
    write_table(pd.DataFrame({"aid": [*chosen, splits.aid.iloc[-1]], "main_category": ["econ.EM"] * 3 + [""]}), path)
    assert main(["run", str(table), "--out", str(tmp_path / "corrected"), *LINEAR, "--corrections", str(path)]) == 0
    record = json.loads((tmp_path / "corrected" / "run.json").read_text())
    assert {name: record["corrections"][name] for name in ("file", "papers", "skipped", "rejected")} == {
        "file": path.name,
        "papers": 3,
        "skipped": 1,
        "rejected": 0,
    }
    assert str(tmp_path) not in json.dumps(record)
    labels = pd.read_parquet(tmp_path / "corrected" / "splits.parquet").set_index("aid").label
    assert [LABELS[label] for label in labels[chosen]] == ["econ"] * 3
    before = splits.set_index("aid").label
    assert (labels != before).sum() <= 3
    predictions = pd.read_parquet(tmp_path / "corrected" / "predictions.parquet").set_index("aid")
    for aid in chosen[chosen.isin(predictions.index)]:
        assert LABELS[predictions.label[aid]] == "econ"


def test_a_rejected_paper_is_used_once_it_has_a_label(tmp_path: Path) -> None:
    papers = sample(700)
    papers.loc[papers.index[:2], ["categories", "main_category"]] = None
    write_table(papers, tmp_path / "papers.csv")
    aid = papers.aid.iloc[0]
    path = decisions(tmp_path, aid=[aid], categories=["cs.LG,stat.ML"])
    assert main(["train", str(tmp_path / "papers.csv"), "--out", str(tmp_path / "a"), *LINEAR, "--corrections", str(path)]) == 0
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (record["rejects"], record["corrections"]["papers"], record["corrections"]["new_primary"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"aid": ["9999.00001", "9999.00002"], "main_category": ["cs.LG"] * 2}, "2 of 2 ids are not in"),
        ({"aid": ["KNOWN"], "main_category": ["cs.LQ"]}, "row 2: unknown category 'cs.LQ'; did you mean cs."),
        ({"aid": ["KNOWN"] * 2, "main_category": ["cs.LG", "cs.AI"]}, "has another label in row 2"),
        ({"aid": ["KNOWN"] * 2, "main_category": ["", " "]}, "nothing is decided"),
        ({"aid": ["KNOWN"], "label": ["cs.LG"]}, "no main_category, and no categories (found aid, label)"),
        ({"paper": ["KNOWN"], "main_category": ["cs.LG"]}, "no column aid (found paper, main_category)"),
        ({"aid": [], "main_category": []}, "there is no row in it"),
    ],
)
def test_bad_corrections_are_one_line(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, list[str]], message: str
) -> None:
    verb = ("run", "train", "tune")[len(message) % 3]  # all three read them alike
    known = read_papers(table).papers.aid.iloc[0]
    columns = {name: [cell.replace("KNOWN", known) for cell in cells] for name, cells in columns.items()}
    path = decisions(tmp_path, **columns)
    assert main([verb, str(table), "--out", str(tmp_path / "out"), "--family", "linear", "--corrections", str(path)]) == 2
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("arxiv-nbclf: ")]
    assert (out, len(errors)) == ("", 1)
    assert message in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["decisions.csv"]


@pytest.mark.parametrize("content", [b"", b"aid,main_category\n", None])
def test_an_empty_or_absent_file_is_one_line(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    path = tmp_path / "decisions.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["train", str(table), "--out", str(tmp_path / "out"), "--family", "linear", "--corrections", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


@short_reports()
def test_other_corrections_are_another_request(table: Path, tmp_path: Path) -> None:
    aid = read_papers(table).papers.aid.iloc[0]
    first = pd.DataFrame({"aid": [aid], "main_category": ["econ.EM"]})
    options = {"family": "linear", "settings": {"bits": 12, "C": 1.0, "folds": 2}}
    begun = run(table, tmp_path / "begun", corrections=first, **options)
    begun.folder.rename(partial_folder(tmp_path / "begun"))
    with pytest.raises(FolderExists, match=r"corrections.sha256 was .*, now "):
        run(table, tmp_path / "begun", corrections=first.assign(main_category="cs.LG"), **options)
    with pytest.raises(FolderExists, match=r"corrections.file was .*, now null"):
        run(table, tmp_path / "begun", **options)
    again = run(table, tmp_path / "begun", corrections=first, **options)
    assert again.scores is not None
    assert again.record["corrections"] == begun.record["corrections"]


@short_reports()
def test_a_search_has_corrected_labels(table: Path, tmp_path: Path) -> None:
    aids = read_papers(table).papers.aid.head(2)
    corrected = pd.DataFrame({"aid": aids, "main_category": "econ.EM"})
    options = {"family": "linear", "trials": 1, "space": ["bits=12", "C=0.5..1"], "check_folds": 0}
    found = tune(table, tmp_path / "a", corrections=corrected, **options)
    labels = pd.read_parquet(found.folder / "splits.parquet").set_index("aid").label
    assert [LABELS[label] for label in labels[aids]] == ["econ", "econ"]
    with pytest.raises(FolderExists, match="corrections"):
        tune(table, tmp_path / "a", **options | {"trials": 2})
