"""Tables as people have them: every way in which the same papers are written gives the same papers, and any bytes end in papers, rejects or one line."""

import gzip
import io
import json
import logging
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arxiv_nbclf.core.basics import ArxivNbclfError
from arxiv_nbclf.data.chunks import read_chunks
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import file_records, read_table, write_table

PAPERS = pd.DataFrame({
    "id": ["2401.00001", "2401.00002", "2401.00003"], "title": ["Nets", "Primes", "Knots"],
    "abstract": ["We learn.", "We count.", "We tie."], "categories": ["cs.CV", "math.NT", "math.GT"]})
CSV = PAPERS.to_csv(index=False)
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def labels(source: object) -> dict[str, str]:
    """Title → main category of the papers of a source; in chunks there are as many."""
    read = read_papers(source)
    if isinstance(source, Path):
        assert sum(len(chunk.papers) + len(chunk.rejects) for chunk in read_chunks(source, 2) if chunk) >= len(read.papers)
    return dict(zip(read.papers.title, read.papers.main_category, strict=True))


WANTED = labels(PAPERS)


@pytest.mark.parametrize("orient", ["columns", "records", "index", "split", "table"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("index", [[0, 1, 2], [7, 3, 5]])
def test_json_that_pandas_writes(tmp_path: Path, orient: str, indent: int | None, index: list[int]) -> None:
    path = tmp_path / "papers.json"
    PAPERS.set_axis(index).to_json(path, orient=orient, indent=indent)
    assert labels(path) == WANTED
    assert [title for chunk in read_chunks(path, 2) if chunk for title in chunk.papers.title] == list(WANTED)


@pytest.mark.parametrize("document", [
    PAPERS.to_dict("list"), {"papers": PAPERS.to_dict("records"), "count": 3}, [list(PAPERS), *PAPERS.to_numpy().tolist()],
    {"data": PAPERS.to_dict("records")}])
def test_json_of_others(tmp_path: Path, document: object) -> None:
    (tmp_path / "papers.json").write_text(json.dumps(document))
    assert labels(tmp_path / "papers.json") == WANTED


def test_json_objects_over_several_lines(tmp_path: Path) -> None:
    (tmp_path / "papers.json").write_text("\n".join(json.dumps(paper, indent=1) for paper in PAPERS.to_dict("records")))
    assert labels(tmp_path / "papers.json") == WANTED
    (tmp_path / "values.json").write_text(PAPERS.to_json(orient="values"))
    with pytest.raises(ArxivNbclfError, match="values.json: record 1: broken record: it is a list, not an object in braces"):
        read_papers(tmp_path / "values.json")


@pytest.mark.parametrize("text", [
    "sep=;\n" + PAPERS.to_csv(index=False, sep=";"), "\ufeffsep=\t\r\n" + PAPERS.to_csv(index=False, sep="\t", lineterminator="\r\n"),
    "My papers of January, 2024\n\n" + CSV, "My papers\n" + PAPERS.to_csv(index=False, sep=";"), '"My, own",,,\n,,,\n' + CSV,
    CSV.replace("title", '"title\nof the paper"'.replace("title\nof the paper", "paper\ntitle"), 1), CSV.replace("abstract", '"Abstract\r\nNote"', 1),
    CSV.replace("title,abstract", "article_title,abstract_note"), CSV.replace("title,abstract", "Article Title,paperAbstract")])
def test_csv_dialects(tmp_path: Path, text: str) -> None:
    (tmp_path / "papers.csv").write_bytes(text.encode())
    assert labels(tmp_path / "papers.csv") == WANTED


@pytest.mark.parametrize("wrong", ["2401.00009,short,row", "2401.00009,a,b,cs.CV,long", '2401.00009,a 5" dish', "lonely"])
@pytest.mark.parametrize("place", [1, 2, 4])
def test_one_wrong_row_is_one_reject(tmp_path: Path, wrong: str, place: int) -> None:
    lines = CSV.splitlines()
    (tmp_path / "papers.csv").write_text("\n".join([*lines[:place], wrong, *lines[place:]]) + "\n")
    read = read_papers(tmp_path / "papers.csv")
    assert dict(zip(read.papers.title, read.papers.main_category, strict=True)) == WANTED
    assert read.rejects[["file", "row"]].to_numpy().tolist() == [["papers.csv", place + 1]]
    assert "like the header" in read.rejects.reason[0]
    for rows in (1, 2, 10):
        chunks = [chunk for chunk in read_chunks(tmp_path / "papers.csv", rows) if chunk]
        assert [row for chunk in chunks for row in chunk.rejects.row] == [place + 1]
        assert sum(len(chunk.papers) for chunk in chunks) == 3


def test_latin_1_has_one_diagnosis(tmp_path: Path) -> None:
    path = tmp_path / "papers.csv"
    path.write_bytes(CSV.replace("Primes", "Poincaré").encode("latin-1"))
    messages = set()
    for read in (read_papers, lambda path: list(read_chunks(path)), lambda path: read_papers(path, purpose="prediction")):
        for source in (path, tmp_path):
            with pytest.raises(ArxivNbclfError, match=r"papers.csv: not UTF-8 text: byte 0xe9 at position \d+ \(line 3\)") as caught:
                read(source)
            messages.add(str(caught.value))
    assert len(messages) == 1


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "null", "N/A", "n/a", "None", "#N/A", "<NA>", r"\N", " ", ""])
def test_words_for_missing_cells(tmp_path: Path, word: str) -> None:
    rows = [["2401.00001", word, "We learn.", "cs.CV"], ["2401.00002", "Primes", word, "math.NT"], [word, "Knots", "We tie.", "math.GT"],
            [word, "None of the above", "Null models", "stat.ML"], ["2401.00003", "NA", "We heat it.", "physics.chem-ph"]]
    pd.DataFrame(rows, columns=list(PAPERS)).to_csv(tmp_path / "papers.csv", index=False)
    read = read_papers(tmp_path / "papers.csv")
    assert read.papers.title.tolist() == ["Knots", "None of the above", "NA"]
    assert read.papers.aid.tolist() == ["row-4", "row-5", "2401.00003"]
    assert read.rejects.reason.tolist() == ["no title", "no summary"]


def workbook(path: Path, sheets: dict[str, list[list[object]]], hidden: tuple[str, ...] = ()) -> None:
    """Write sheets of cells."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if name in hidden else "visible"
    book.save(path)


def test_sheets_of_a_workbook(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [list(PAPERS), *PAPERS.to_numpy().tolist()]
    other = [["Title", "Summary", "Primary Category"], ["Stars", "We look.", "astro-ph.SR"]]
    stale = [["title", "abstract", "categories"], ["Old", "We forget.", "cs.LG"]]
    path = tmp_path / "papers.xlsx"
    workbook(path, {"old": stale, "Notes": [["a"]], "2024": [["My papers"], [], *rows], "2025": other}, hidden=("old",))
    with caplog.at_level(logging.WARNING, "arxiv_nbclf"):
        assert labels(path) == WANTED | {"Stars": "astro-ph.SR"}
    assert "papers.xlsx: the hidden sheet 'old' is not read: unhide it" in caplog.text
    assert read_papers(path).papers.aid.tolist()[-1] == "papers.xlsx [2025]:row-2"
    chunks = [chunk for chunk in read_chunks(path, 2) if chunk]
    assert [chunk.papers.aid.tolist() for chunk in chunks] == [["2401.00001", "2401.00002"], ["2401.00003"], ["papers.xlsx [2025]:row-2"]]
    workbook(path, {"2024": [*rows, [None, "No summary", None, "cs.CV"]]})
    assert read_papers(path).rejects.file.tolist() == ["papers.xlsx"]


@pytest.mark.parametrize("kind", [
    pa.large_list(pa.string()), pa.list_(pa.large_string()), pa.list_(pa.string_view()), pa.list_(pa.dictionary(pa.int8(), pa.string())),
    pa.list_(pa.string(), 2), pa.list_view(pa.string()), pa.large_list_view(pa.large_string()), pa.list_(pa.struct([("term", pa.string())]))])
def test_parquet_types(tmp_path: Path, kind: pa.DataType) -> None:
    cells = [[code, None] for code in PAPERS.categories]
    if pa.types.is_struct(kind.value_type):
        cells = [[code and {"term": code} for code in cell] for cell in cells]
    table = pa.table({"title": pa.array(PAPERS.title, pa.string_view()), "abstract": pa.array(PAPERS.abstract, pa.large_binary()), "categories": pa.array(cells, kind)})
    pq.write_table(table, tmp_path / "papers.parquet")
    assert labels(tmp_path / "papers.parquet") == WANTED
    nested = pa.array([[{"en": "a", "de": "b"}]] * 3)
    pq.write_table(table.set_column(0, "title", nested), tmp_path / "papers.parquet")
    with pytest.raises(ArxivNbclfError, match="papers.parquet: column 'title' of type list<.*struct.* cannot be read as text"):
        read_papers(tmp_path / "papers.parquet")


def test_archives(tmp_path: Path) -> None:
    snapshot = [json.dumps({"id": aid, "title": title, "abstract": text, "categories": codes, "versions": [{"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"}]})
                for aid, title, text, codes in PAPERS.to_numpy()]
    with zipfile.ZipFile(tmp_path / "arxiv.zip", "w", 8) as archive:
        archive.writestr("arxiv-metadata-oai-snapshot.json", "\n".join(snapshot))
        for name in (".DS_Store", "__MACOSX/._arxiv-metadata-oai-snapshot.json", "README.md"):
            archive.writestr(name, b"\0")
    assert labels(tmp_path / "arxiv.zip") == WANTED
    assert [record["file"] for record in file_records(tmp_path / "arxiv.zip")] == ["arxiv.zip"]
    (tmp_path / "sub").mkdir()
    book, parquet = io.BytesIO(), io.BytesIO()
    PAPERS[:1].to_excel(book, index=False)
    PAPERS[1:2].to_parquet(parquet)
    parts = {"a/1.xlsx": book.getvalue(), "a/2.parquet": parquet.getvalue(), "a/3.csv": PAPERS[2:].to_csv(index=False).encode(), "a/.DS_Store": b"\0"}
    with zipfile.ZipFile(tmp_path / "sub" / "several.zip", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    for name, mode in (("several.tar", "w"), ("several.tgz", "w:gz"), ("several.tar.xz", "w:xz")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            for member, data in parts.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        assert labels(tmp_path / name) == WANTED
    assert labels(tmp_path / "sub") == labels(tmp_path / "sub" / "several.zip") == WANTED


@pytest.mark.parametrize(("written", "day"), [
    ("2024-01-05 23:30:00 UTC", "2024-01-05T23:30"), ("5 January, 2024", "2024-01-05T00:00"), ("Fri, 05 Jan 2024 23:30:00 +0000", "2024-01-05T23:30"),
    ("Fri, 05 Jan 2024 23:30:00 GMT", "2024-01-05T23:30"), ("1704497400", "2024-01-05T23:30"), ("1704497400000", "2024-01-05T23:30"), ("45296", "2024-01-05T00:00"),
    ("2401", "2024-01-01T00:00"), ("2024", "2024-01-01T00:00"), ("2024-01-06T01:30:00+02:00", "2024-01-05T23:30"), ("2024-01-05T23:30:00Z", "2024-01-05T23:30"),
    ("January 5, 2024", "2024-01-05T00:00"), ("20240105", "2024-01-05T00:00"), ("2024-01", "2024-01-01T00:00"), ("2024/01/05", "2024-01-05T00:00")])
def test_dates(tmp_path: Path, written: str, day: str) -> None:
    PAPERS.assign(published=written).to_csv(tmp_path / "papers.csv", index=False)
    assert read_papers(tmp_path / "papers.csv").papers.published.dt.strftime("%Y-%m-%dT%H:%M").unique().tolist() == [day]


def test_an_unreadable_date_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "arxiv_nbclf"):
        assert read_papers(PAPERS.assign(published=["soon", "2024-01", None])).papers.published.notna().tolist() == [False, True, False]
    assert "1 of 2 dates cannot be read, such as 'soon'" in caplog.text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(lambda text: f"a {text} z")
FORMATS = ["papers.csv", "papers.tsv", "papers.jsonl", "papers.json", "papers.csv.gz", "papers.parquet", "papers.xlsx"]


@pytest.mark.parametrize("name", FORMATS)
@QUICK
@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), order=st.randoms(use_true_random=False))
def test_writing_and_reading_change_nothing(name: str, texts: list[tuple[str, str]], order: object) -> None:
    table = pd.DataFrame(texts, columns=["title", "summary"]).assign(categories="cs.CV")
    expected = read_papers(table).papers
    index = [order.randrange(3) for _ in texts]  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(read_papers(table.set_axis(index)).papers, expected)
    with tempfile.TemporaryDirectory() as folder:
        for written in (table, expected):
            write_table(written, Path(folder) / name)
            pd.testing.assert_frame_equal(read_papers(Path(folder) / name).papers.drop(columns="aid"), expected.drop(columns="aid"))


ENDINGS = [".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet", ".csv.gz", ".json.zip", ".zip", ".tar"]
SPECIAL = st.sampled_from([b'"', b",", b"\n", b"\r\n", b"title,summary\n", b'{"title": "a", ', b'"summary": "b"}', b"[", b"]", b"\xff", b"PK\x03\x04", b"PAR1", b"sep=;\n", b"\0"])
BYTES = st.lists(st.one_of(SPECIAL, st.binary(max_size=8)), max_size=12).map(b"".join)


@pytest.mark.parametrize("ending", ENDINGS)
@QUICK
@given(data=BYTES)
def test_any_bytes_end_in_papers_rejects_or_one_line(ending: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"papers{ending}"
        path.write_bytes(data)
        for read in (lambda: read_papers(path, purpose="prediction"), lambda: list(read_chunks(path, 2))):
            try:
                read()
            except ArxivNbclfError as error:
                assert "\n" not in str(error)


def valid_bytes(ending: str) -> bytes:
    """A table of papers in the format of an ending."""
    inner = ending.removesuffix(".gz") if ending.endswith(".gz") else ending
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"papers{'.jsonl' if inner == '.json' else inner}"
        write_table(PAPERS.assign(title=["Nets", "=Primes", "“Knots”"]), path)
        data = path.read_bytes()
    return gzip.compress(data, mtime=0) if ending.endswith(".gz") else data


def rewritten(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An archive with one member changed, so that not only its checksum is wrong."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, change(source.read(name)) if name.endswith(("sheet1.xml", "workbook.xml", "sharedStrings.xml")) else source.read(name))
    return out.getvalue()


PIECES = st.one_of(SPECIAL, st.binary(max_size=6), st.sampled_from([
    b"\xe9", b"\xed\xa0\x80", b"\\ud800", b"\xff\xff\xff\x7f", b"1e999", b"-1", b"99999999999", b'r="XFD1048576"', b'r="A0"', b"<row>", b"</c>", b"<c", b't="s"', b"&x;", b"null", b"NaN", b"[[[[", b'{"a":{"b":[1]}}']))
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), PIECES), min_size=1, max_size=4)
MUTATED = [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".xlsx", ".csv.gz", ".jsonl.gz", ".json.gz"]
VALID = {ending: valid_bytes(ending) for ending in MUTATED}


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Bytes with some left out and others put in their place."""
    for place, size, piece in edits:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + size :]
    return data


def check_reading(path: Path) -> None:
    """Read a table in every way: papers and rejects, or an error of one line."""
    for read in (lambda: read_papers(path, purpose="prediction"), lambda: read_papers(path), lambda: list(read_chunks(path, 2))):
        try:
            read()
        except ArxivNbclfError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 500


@pytest.mark.parametrize("ending", MUTATED)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=EDITS, inside=st.booleans())
@example(edits=[(1.0, 0, b'{"title": ' + b"[" * 900 + b"]" * 900 + b', "abstract": "a"}\n')], inside=False)
@example(edits=[(0.0, 0, b"\xe9")], inside=False)
def test_a_damaged_table_ends_in_papers_rejects_or_one_line(ending: str, edits: list[tuple[float, int, bytes]], inside: bool) -> None:
    data = VALID[ending]
    if inside and ending == ".xlsx":
        data = rewritten(data, lambda part: edited(part, edits))
    elif inside and ending.endswith(".gz"):
        data = gzip.compress(edited(gzip.decompress(data), edits))
    else:
        data = edited(data, edits)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"papers{ending}"
        path.write_bytes(data)
        check_reading(path)


GUARDED = st.text(st.sampled_from("'=+-@\t\r\n\"a,;é "), max_size=8)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(GUARDED, min_size=1, max_size=6))
@example(texts=["=1+1", "'=1+1", "''-", "'tis", "'", "@", "\t=", "\r", "-5", "+a"])
def test_guarded_cells_come_back(name: str, texts: list[str]) -> None:
    table = pd.DataFrame({"first": texts, "number": range(-3, len(texts) - 3), "day": pd.Timestamp("2024-01-05"), "=last": texts[::-1]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_table(table, path)
        read = read_table(path)
        raw = pd.read_csv(path, sep="\t" if name == "a.tsv" else ",", keep_default_na=False, dtype={"first": str})
    assert read.names == ["first", "number", "day", "=last"]
    assert [[cell or "" for cell in read.columns[at].to_pylist()] for at in (0, 3)] == [texts, texts[::-1]]
    assert raw.number.tolist() == table.number.tolist()
    assert set(raw.day) == {"2024-01-05T00:00:00"}
    assert not [cell for cell in raw["first"] if cell[:1] in tuple("=+-@\t\r\n")]
    assert list(raw)[-1] == "'=last"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
@pytest.mark.parametrize("ending", MUTATED)
def test_a_name_that_is_not_utf_8(tmp_path: Path, ending: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9" + ending.encode()))
    path.write_bytes(VALID[ending])
    with path.open("ab") as file:
        file.write(b"" if ending in (".parquet", ".xlsx") or ending.endswith(".gz") else b"\n")
    assert file_records(path)[0]["file"] == rf"caf\xe9{ending}"
    read = read_papers(path)
    assert len(read.papers) == sum(len(chunk.papers) for chunk in read_chunks(path, 2) if chunk) == 3
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/out\xe9"))
    folder.mkdir()
    write_table(read.papers, folder / path.name)
    assert len(read_papers(folder).papers) == 3
    path.write_bytes(b"title\nno\n")
    with pytest.raises(ArxivNbclfError) as caught:
        read_papers(path)
    str(caught.value).encode()
