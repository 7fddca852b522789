"""Files that no notebook should have to show: every way in which a table of papers can be broken, and every format there and back."""

import gc
import gzip
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from arxiv_nbclf.core.basics import CannotWrite, atomic_write
from arxiv_nbclf.data import tables as tables_module
from arxiv_nbclf.data.papers import COLUMNS, near_duplicates, read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.data.tables import BadPapers, file_records, source_files, write_table
from arxiv_nbclf.data.taxonomy import group_of

HEADER = "id,title,abstract,categories\n"
GOOD = HEADER + "2504.60001,A title,A summary.,cs.CV\n"
TEXT_FORMATS = [f"papers{ending}{gz}" for ending in (".csv", ".tsv", ".jsonl", ".ndjson", ".json") for gz in ("", ".gz")]
FORMATS = [*TEXT_FORMATS, "papers.parquet", "papers.xlsx"]


def complaint(path: object, **options: str) -> str:
    """The one line that reading gives."""
    with pytest.raises(BadPapers) as caught:
        read_papers(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def zip_bytes() -> bytes:
    """A zip archive that is no workbook."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return memory.getvalue()


def as_bytes(name: str, folder: Path) -> bytes:
    """A good file of this format."""
    write_table(sample(100), folder / name)
    data = (folder / name).read_bytes()
    (folder / name).unlink()
    return data


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
BAD_BYTES = [
    ("zip.xlsx", zip_bytes(), "not a readable .xlsx"),
    ("text.xlsx", GOOD.encode(), "this is not .xlsx but text"),
    ("page.xlsx", b"<html><table></table></html>", "web page"),
    ("old.xlsx", OLE, "old Excel file .* password"),
    ("empty.xlsx", b"", "empty .0 bytes."),
    ("text.parquet", GOOD.encode(), "this is not .parquet but text"),
    ("zip.parquet", zip_bytes(), "zip archive"),
    ("empty.parquet", b"", "empty"),
    ("empty.csv", b"", "empty"),
    ("blank.csv", b"\n\n", "empty"),
    ("header.csv", HEADER.encode(), "empty: it has no row below its header"),
    ("header-only.csv", HEADER.strip().encode(), "empty: it has no row below its header"),
    ("one-line.csv", b"hello", "no column title .* found are: hello"),
    ("missing.csv", b"id,title,label\n1,a,cs\n", "no column summary .*no column categories or main_category.* found are: id, title, label"),
    ("ragged.csv", (HEADER + "1,a,b\n2,a,b\n").encode(), "all 2 rows were rejected.* a row of 3 cells and not 4 like the header"),
    ("long.csv", (HEADER + "1,a,b,cs.CV,x\n").encode(), "all 1 rows were rejected.* a row of 5 cells and not 4 like the header"),
    ("open-quote.csv", (GOOD + '1,a,"b').encode(), "row 3 opens a quotation mark"),
    ("open-end.csv", (GOOD + '1,a,b,"cs.CV').encode(), "row 3 opens a quotation mark"),
    ("latin.csv", (GOOD + "1,Poincaré,b,cs.CV\n").encode("latin-1"), r"byte 0xe9 at position 74 \(line 3\).*Latin-1.*UTF-8"),
    ("latin.jsonl", '{"title": "Poincaré"}'.encode("latin-1"), r"byte 0xe9 at position 18 \(line 1\)"),
    ("utf16.csv", GOOD.encode("utf-16"), "UTF-16; save it as UTF-8"),
    ("utf16le.csv", GOOD.encode("utf-16-le"), "UTF-16"),
    ("utf16be.csv", GOOD.encode("utf-16-be"), "UTF-16"),
    ("page.csv", b"<!DOCTYPE html><p>404", "web page"),
    ("excel.csv", zip_bytes(), "zip archive or an Excel file"),
    ("gzip.csv", gzip.compress(GOOD.encode()), "gzip file"),
    ("document.tsv", b"%PDF-1.7", "PDF"),
    ("plain.csv.gz", GOOD.encode(), "not a gzip file"),
    ("cut.csv.gz", gzip.compress(GOOD.encode())[:-12], "cut off"),
    ("two-bytes.csv.gz", b"\x1f\x8b", "cut off"),
    ("broken.jsonl", b'{"title": "a"}\n\n{"title": \n', "line 3 is broken: .*mend or remove"),
    ("array.json", b'[{"title": "a"}]', "no column summary .* found are: title"),
    ("mixed.json", b'[{"title": "a"}, 7]', "record 2: broken record: it is a int, not an object"),
    ("deep.json", b"[" * 100_000, "line 1 is broken"),
    ("surrogate.jsonl", b'{"title": "\\ud800"}', "line 1 is broken: half a surrogate pair"),
    ("blank.jsonl", b"\n \n", "empty"),
    ("old.xls", OLE, "unknown ending '.xls'; known are .xlsx, .parquet, .csv"),
    ("no-ending", b"x", "unknown ending ''"),
    ("papers.xlsx.gz", b"x", "unknown ending '.gz'"),
    ("rejected.csv", (HEADER + "1,,b,cs.CV\n2,,b,cs.CV\n3,a,b,zz.zz\n").encode(), "all 3 rows were rejected: 2 × no title"),
]


@pytest.mark.parametrize(("name", "data", "pattern"), BAD_BYTES, ids=[name for name, _, _ in BAD_BYTES])
def test_bad_bytes(tmp_path: Path, name: str, data: bytes, pattern: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert re.search(f"{name}: .*{pattern}", complaint(tmp_path / name))


@pytest.mark.parametrize("name", ["papers.xlsx", "papers.parquet", "papers.csv.gz", "papers.jsonl", "papers.csv"])
def test_truncated_or_damaged(tmp_path: Path, name: str) -> None:
    """Wherever a file is cut or hit, the answer is a table or one line."""
    data = as_bytes(name, tmp_path)
    for step in range(25):
        (tmp_path / name).write_bytes(data[: len(data) * step // 25])
        with pytest.raises(BadPapers) if name.endswith((".xlsx", ".parquet", ".gz")) or not step else _either():
            read_papers(tmp_path / name)
        hit = bytearray(data)
        for place in range(step, len(hit), 97 + 13 * step):
            hit[place] ^= 0x5A
        (tmp_path / name).write_bytes(hit)
        with _either():
            read_papers(tmp_path / name)


class _either:
    """Lets `BadPapers` pass, and nothing else."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, BadPapers)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in complaint(tmp_path / "nowhere.csv")
    assert "no such file" in complaint("nowhere")
    assert "holds no table" in complaint(tmp_path)
    assert read_papers(Path("sample")).rejects.empty
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    assert "no such file" in complaint(tmp_path / "link.csv")
    (tmp_path / "locked.csv").write_text(GOOD)

    def refuse(path: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert complaint(tmp_path / "locked.csv").endswith("cannot be read: Permission denied")


def test_surrogates_in_a_table() -> None:
    bad = pd.DataFrame({"title": pd.Series(["\ud800"], dtype=object), "summary": "b", "categories": "cs.CV"})
    assert "cannot be read as text" in complaint(bad)
    assert "purpose is 'training' or 'prediction'" in complaint(sample(10), purpose="testing")


@pytest.mark.parametrize("data", [
    b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode(), GOOD.replace(",", ";").encode(), GOOD.replace(",", "\t").encode(),
    b"\xef\xbb\xbf" + GOOD.replace(",", ";").replace("A title", '"A title"').encode(), GOOD.strip().encode(), b"\n" + GOOD.encode()])
def test_delimited_dialects(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    read = read_papers(tmp_path / "a.csv")
    assert read.papers.loc[0, ["aid", "title", "summary", "categories"]].tolist() == ["2504.60001", "A title", "A summary.", "cs.CV"]
    assert read.rejects.empty


AWKWARD = pd.DataFrame({
    "aid": ["2504.60001v3", "my,id;with|marks", "math/0211159v1", "2504.60002"],
    "categories": ["cs.CL,stat.ML", "math.ST 62-08", "math.GT", "physics.optics"],
    "published": ["2025-04", "2025-04-02", "2002-11-10T01:02:03Z", None],
    "title": ["=cmd()", 'TeX $\\mathbb{Z}_2$, "quoted"\nand broken', "naïve Ω 中文 😀 é", " NA "],
    "summary": ["@SUM(1)", "NUL \0 CR \r LF \n TAB \t ESC \x1b _x000D_ \u2028 end", "<b>&amp;</b> '-+=", "long " * 6_000]})


@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back(tmp_path: Path, name: str) -> None:
    """The papers table itself, and the table in its source's form, come back as they were."""
    table = AWKWARD if name == "papers.xlsx" else AWKWARD.assign(summary=AWKWARD.summary.where(AWKWARD.index != 3, "long " * 200_000))
    expected = read_papers(table).papers
    assert len(expected) == 4
    for written in (table, expected):
        write_table(written, tmp_path / name)
        pd.testing.assert_frame_equal(read_papers(tmp_path / name).papers, expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    before = (tmp_path / name).read_bytes()
    write_table(expected, tmp_path / name)
    assert name == "papers.xlsx" or (tmp_path / name).read_bytes() == before


def test_excel_sees_text(tmp_path: Path) -> None:
    write_table(AWKWARD.head(1), tmp_path / "a.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "a.xlsx").active["D2"]
    assert (cell.value, cell.data_type) == ("=cmd()", "s")


def test_excel_numbers_sheets_and_gaps(tmp_path: Path) -> None:
    """Ids as numbers, dates as dates, another sheet first, an empty row above and between: rows are counted as Excel shows them."""
    book = openpyxl.Workbook()
    book.active.append(["notes"])
    sheet = book.create_sheet("papers")
    for row in ([], ["ID", "Title", "Abstract", "Primary Category", "Date"], [2504.1, "a", "b", "cs.CV", datetime(2025, 4, 1, 3)], [],
                [704.0001, "c", None, "cs.CV", None], [2001.12, 7, "d", "cs.CV", "2020-01"]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    read = read_papers(tmp_path / "a.xlsx")
    assert read.papers.aid.tolist() == ["2504.10000", "2001.12000"]
    assert read.papers.title.tolist() == ["a", "7"]
    assert read.papers.published.astype(str).tolist() == ["2025-04-01 03:00:00+00:00", "2020-01-01 00:00:00+00:00"]
    assert read.rejects.values.tolist() == [["a.xlsx", 5, "0704.0001", "no summary"]]
    book.remove(sheet)
    book.save(tmp_path / "b.xlsx")
    assert "found are: notes" in complaint(tmp_path / "b.xlsx")


def test_excel_holds_no_longer_text(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"summary": ["x" * 32_767]}), tmp_path / "a.xlsx")
    with pytest.raises(CannotWrite, match="row 2, column summary: an Excel cell holds 32,767 characters and this text has 32,768; write"):
        write_table(pd.DataFrame({"summary": ["x" * 32_768]}), tmp_path / "b.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.xlsx"]


def test_json_lines_in_prediction(tmp_path: Path) -> None:
    lines = [json.dumps({"title": "a", "abstract": "b"}), "{", json.dumps({"title": "a", "abstract": " "}), "",
             json.dumps({"title": "c", "abstract": "d"})]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    read = read_papers(tmp_path / "a.jsonl", purpose="prediction")
    assert read.papers.aid.tolist() == ["row-1", "row-5"]
    assert read.rejects.row.tolist() == [2, 3]
    assert read.rejects.reason.tolist()[1] == "no summary"
    assert "line 2 is broken" in complaint(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text("{\n{\n")
    assert "all 2 rows were rejected" in complaint(tmp_path / "b.jsonl", purpose="prediction")


def test_parquet_of_many_types(tmp_path: Path) -> None:
    pd.DataFrame({"id": [2504.1], "title": pd.Categorical(["a"]), "abstract": ["b"], "categories": [["cs.CV", "cs.LG"]],
                  "update_date": [pd.Timestamp("2025-04-01")], "other": [{"a": 1}]}).to_parquet(tmp_path / "a.parquet")
    paper = read_papers(tmp_path / "a.parquet").papers.iloc[0]
    assert (paper.aid, paper.title, paper.categories) == ("2504.10000", "a", "cs.CV,cs.LG")
    assert str(paper.published) == "2025-04-01 00:00:00+00:00"


def test_a_folder_is_one_table(tmp_path: Path) -> None:
    table = sample(60)
    write_table(table[:20], tmp_path / "1.csv.gz")
    write_table(table[20:40], tmp_path / "2.xlsx")
    write_table(table[40:], tmp_path / "3.parquet")
    for name in ("_parts.csv", ".hidden.csv", "README.md"):
        (tmp_path / name).write_text("not read")
    pd.testing.assert_frame_equal(read_papers(tmp_path).papers, read_papers(table).papers)
    assert [path.name for path in source_files(tmp_path)] == ["1.csv.gz", "2.xlsx", "3.parquet"]
    assert [record["file"] for record in file_records(tmp_path)] == ["1.csv.gz", "2.xlsx", "3.parquet"]
    write_table(table[:1].assign(aid=table.aid.str.replace(r"v\d+$", "", regex=True)[:1]), tmp_path / "4.csv")
    rejects = read_papers(tmp_path).rejects
    assert len(rejects) == 1
    assert rejects.reason[0].endswith(("in row 2 of 4.csv", "as row 2 of 1.csv.gz"))
    no_ids = pd.DataFrame({"title": ["a"], "summary": ["b"], "categories": ["cs.CV"]})
    (tmp_path / "sub").mkdir()
    for name in ("1.csv", "2.csv"):
        write_table(no_ids, tmp_path / "sub" / name)
    assert read_papers(tmp_path / "sub").papers.aid.tolist() == ["1.csv:row-2", "2.csv:row-2"]


@pytest.mark.parametrize("purpose", ["training", "prediction"])
def test_every_row_is_accounted_for(purpose: str) -> None:
    table = sample(300)
    table.loc[::7, "title"] = " "
    table.loc[::11, "summary"] = None
    table.loc[::13, ["categories", "main_category"]] = "68T50"
    table.loc[5:9, "aid"] = table.aid[4]
    read = read_papers(table, purpose=purpose)  # type: ignore[arg-type]
    assert len(read.papers) + len(read.rejects) == 300
    assert not set(read.rejects.row) & set(table.index[table.summary.isin(read.papers.summary)])
    assert list(read.papers) == COLUMNS
    assert read.rejects.reason.str.contains("same id|older version").any() == (purpose == "training")
    again = read_papers(read.papers, purpose=purpose)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(again.papers, read.papers)


def full_disk(*_: object, **__: object) -> None:
    """What a full disk says to whoever writes."""
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize(("name", "place"), [
    ("a.parquet", lambda: (tables_module.pq, "write_table")), ("a.csv", lambda: (tables_module.pa_csv, "write_csv")),
    ("a.jsonl.gz", lambda: (tables_module, "GzipFile")), ("a.xlsx", lambda: (Path, "write_bytes")),
    ("b.xlsx", lambda: (openpyxl.Workbook, "save")), ("a.json", lambda: (os, "fsync")), ("a.tsv", lambda: (Path, "replace"))])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: Callable[[], tuple[object, str]]
) -> None:
    write_table(sample(20), tmp_path / name)
    before = (tmp_path / name).read_bytes()
    monkeypatch.setattr(*place(), full_disk)
    with pytest.raises(CannotWrite, match=f"{name}: cannot be written: No space left on device"):
        write_table(sample(30), tmp_path / name)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, before)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_limit_of_the_system_is_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The system itself stops the writing, wherever in a library that is."""
    resource = pytest.importorskip("resource")
    write_table(sample(5), tmp_path / name)
    before, limits = (tmp_path / name).read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    table = sample(3000) if name.endswith((".gz", ".parquet", ".xlsx")) else sample(300)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(CannotWrite, match=f"{name}: cannot be written: File too large"):
            write_table(table, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    gc.collect()
    assert capsys.readouterr().err == ""
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, before)]


def test_whole_file_keeps_permissions_usual(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as part:
        part.write_text("a")
    (tmp_path / "b").write_text("b")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_the_sample_is_the_same_everywhere() -> None:
    table = sample(2000)
    assert table.main_category.map(group_of).value_counts().min() == 8
    assert read_papers("sample").rejects.empty
    assert near_duplicates(table).empty
    text = sample(500).to_csv(index=False, lineterminator="\n")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "b1c9ac3c4921c640"  # changes only with the vocabularies and patterns
