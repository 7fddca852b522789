"""Small files that swell: each ends in one clear line and in little memory, read whole and read in chunks. All are read by one process, whose memory is measured."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arxiv_nbclf.core.basics import ArxivNbclfError
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import SAFE_BYTES, read_table

MB = 1 << 20
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def text(place: str, value: str) -> str:
    """A cell of text."""
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


HEAD = f'<row r="1">{text("A1", "title")}{text("B1", "abstract")}</row><row r="2">{text("A2", "Nets")}{text("B2", "We learn.")}</row>'


def workbook(rows: str, before: str = "", shared: str = "", sheets: int = 1, more: dict[str, str] | None = None) -> bytes:
    """A workbook with the given rows of XML."""
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.save(plain := io.BytesIO())
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            data = source.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                data = f"<worksheet {NAMESPACE}>{before}<sheetData>{rows}</sheetData></worksheet>"
            if name == "xl/workbook.xml":
                sheet = re.findall(r"<sheet [^>]*/>", data)[0]
                data = data.replace(sheet, "".join(sheet.replace('name="Sheet"', f'name="S{at}"').replace('sheetId="1"', f'sheetId="{at + 1}"') for at in range(sheets)))
            if name != "xl/sharedStrings.xml" or not shared:
                archive.writestr(name, data)
        for name, data in ((more or {}) | ({"xl/sharedStrings.xml": f"<sst {NAMESPACE}>{shared}</sst>"} if shared else {})).items():
            archive.writestr(name, data)
    return out.getvalue()


def row(number: int, cells: str) -> str:
    """A row of XML."""
    return f'<row r="{number}">{cells}</row>'


def packed(start: bytes, block: bytes, size: int, end: bytes = b"") -> bytes:
    """A gzip file that unzips to about so many bytes: members one after the other."""
    times = 4 * MB // len(block)
    return gzip.compress(start) + gzip.compress(block * times) * (size // (times * len(block))) + gzip.compress(end)


def parquet(title: pa.Array, abstract: pa.Array | None = None, **options: object) -> bytes:
    """A parquet file of two columns, zipped as well as can be."""
    table, out = pa.table({"title": title, "abstract": pa.repeat(pa.scalar("b"), len(title)) if abstract is None else abstract}), io.BytesIO()
    pq.write_table(table, out, compression="zstd", store_schema=False, **options)
    return out.getvalue()


def repeated(value: object, times: int) -> pa.Array:
    """One value many times, by its dictionary."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), times), pa.array([value]))


def archive_of(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tar_of(mode: str, size: int = 0, headers: dict[str, str] | None = None, count: int = 1) -> bytes:
    """A packed tar archive, of one member that is declared only, or many empty ones."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for number in range(count):
            member = tarfile.TarInfo(f"{number}.csv")
            member.size, member.pax_headers = size, headers or {}
            archive.addfile(member)
    return out.getvalue()


LONG = "x" * 100_000
SHARED = "".join(row(number, f'<c r="A{number}" t="s"><v>0</v></c><c r="B{number}" t="s"><v>0</v></c>') for number in range(2, 20_000))
MANY = "".join(row(number, text(f"A{number}", "z") + text(f"B{number}", "z")) for number in range(3, 6000))
SNAPSHOT = json.dumps({"id": "0704.1", "title": "t", "abstract": "a", "categories": "cs.CL", "versions": [{"version": "v1", "created": "Mon, 2 Apr 2007 19:18:42 GMT"}]}).encode() + b"\n"
CSV, SIZE = b"title,abstract\na,b\n", SAFE_BYTES + 8 * MB
BOMBS: dict[str, Callable[[], bytes]] = {
    "corner.xlsx": lambda: workbook(HEAD + row(1_048_576, text("XFD1048576", "z"))),
    "z1000000.xlsx": lambda: workbook(HEAD + row(1_000_000, text("Z1000000", "z"))),
    "implied.xlsx": lambda: workbook(HEAD + '<row r="1048576"><c r="XFC1048576"/><c t="b"><v>1</v></c></row>'),
    "letters.xlsx": lambda: workbook(HEAD + row(3, text("AAAAAAAAAAAA3", "z"))),
    "number.xlsx": lambda: workbook(HEAD + row(3, text("A4294967295", "z"))),
    "row.xlsx": lambda: workbook(HEAD + '<row r="4000000000"><c t="b"><v>1</v></c></row>'),
    "beyond.xlsx": lambda: workbook(HEAD + row(3, text("ZZZZ3", "z"))),
    "shared.xlsx": lambda: workbook(HEAD + SHARED, shared=f"<si><t>{'y' * 32_000}</t></si>"),
    "same.xlsx": lambda: workbook(HEAD + MANY, sheets=150),
    "spaces.xlsx": lambda: workbook(HEAD + " " * SIZE),
    "ods.xlsx": lambda: workbook(HEAD, more={"content.xml": "<table/>"}),
    "xlsb.xlsx": lambda: workbook(HEAD, more={"xl/workbook.bin": ""}),
    "dictionary.parquet": lambda: parquet(repeated(LONG, 20_000)),
    "groups.parquet": lambda: parquet(repeated(LONG, 20_000), row_group_size=1000),
    "bytes.parquet": lambda: parquet(repeated(LONG.encode(), 20_000)),
    "lists.parquet": lambda: parquet(pa.ListArray.from_arrays([0, 20_000], repeated(LONG, 20_000))),
    "struct.parquet": lambda: parquet(pa.StructArray.from_arrays([repeated(LONG, 20_000)], ["term"])),
    "rows.parquet": lambda: parquet(repeated("a", 12_000_000), repeated("b", 12_000_000)),
    "nulls.parquet": lambda: parquet(pa.ListArray.from_arrays([0, 20_000_000], pa.nulls(20_000_000, pa.string()))),
    "fixed.parquet": lambda: parquet(pa.repeat(pa.scalar(b"x" * 10_000, pa.binary(10_000)), 20_000)),
    "line.jsonl.gz": lambda: packed(b"", b"a", SIZE),
    "array.json.gz": lambda: packed(b'[{"title": "a", "abstract": [', b"[],", 20 * MB, b"0]}]"),
    "arrays.jsonl.gz": lambda: packed(b'{"title":"a","abstract":"b"}\n{"title": "a", "abstract": [', b"[],", 12 * MB, b"0]}\n"),
    "keys.jsonl": lambda: b"".join(b'{"title":"a","abstract":"b","%d":1}\n' % number for number in range(5000)),
    "blank.jsonl.gz": lambda: packed(b"", b"\n", SIZE),
    "long.jsonl.gz": lambda: packed(b"", b'{"title":"a","abstract":"' + b"x" * MB + b'"}\n', SIZE),
    "line.csv.gz": lambda: packed(b"title,abstract\n", b"a", SIZE),
    "quote.csv.gz": lambda: packed(b'title,abstract\n"', b"a\n", SIZE),
    "blank.csv.gz": lambda: packed(b"title,abstract\n", b"\n", SIZE),
    "short.csv.gz": lambda: packed(CSV, b"a\n", 8 * MB),
    "snapshot.json.gz": lambda: packed(SNAPSHOT, b"a", SIZE),
    "snapshots.json.gz": lambda: packed(b"", SNAPSHOT, SIZE),
    "arrays_snapshot.json.gz": lambda: packed(SNAPSHOT + b'{"id": 7, "versions": [', b"[],", 8 * MB, b"0]}\n"),
    "zip.csv.zip": lambda: archive_of({"a.csv": CSV + b"a" * SIZE}),
    "nested.zip": lambda: archive_of({"a.csv.gz": packed(CSV, b"a", SIZE)}),
    "many.zip": lambda: archive_of({f"{number}.csv": CSV for number in range(10_001)}),
    "several.zip": lambda: archive_of({f"{number}.csv": CSV * 500_000 for number in range(3)}),
    "tar.tgz": lambda: tar_of("w:gz", SIZE),
    "tar.tar.bz2": lambda: tar_of("w:bz2", SIZE),
    "tar.tar.xz": lambda: tar_of("w:xz", SIZE),
    "header.tgz": lambda: tar_of("w:gz", headers={"comment": "x" * SIZE}),
    "many.tar.xz": lambda: tar_of("w:xz", count=10_001),
}
STREAMS = {"short.csv.gz", "several.zip", "same.xlsx"}  # in chunks some may be read, in little memory
READ = """
import json, re, sys
from pathlib import Path
from arxiv_nbclf.core.basics import ArxivNbclfError
from arxiv_nbclf.data.chunks import read_chunks
from arxiv_nbclf.data.papers import read_papers

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10

read_papers("sample", "prediction")
for path in sorted(Path(sys.argv[1]).iterdir()):
    for name, read in (("whole", lambda: len(read_papers(path, "prediction").papers)), ("chunks", lambda: sum(len(chunk.papers) for chunk in read_chunks(path)))):
        before = peak()
        try:
            found = read()
        except ArxivNbclfError as error:
            found = str(error)
        print(json.dumps([path.name, name, found, peak() - before, peak()]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does")
def test_bombs_end_in_one_line_and_little_memory(tmp_path: Path) -> None:
    for name, data in BOMBS.items():
        (tmp_path / name).write_bytes(data())
        assert (tmp_path / name).stat().st_size < 3 * MB, name
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False)
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(read)) == (0, 2 * len(BOMBS)), done.stderr[-500:]
    for name, how, found, more, peak in read:
        assert isinstance(found, str) or (how == "chunks" and name in STREAMS), (name, how, found)
        assert more < 450 and peak < 900, (name, how, more, peak)
        assert not isinstance(found, str) or (name in found and "\n" not in found), found


@pytest.mark.parametrize("dimension", ["A1:XFD1048576", "ZZZZZ99999999", "B2:A1", "A1"])
def test_a_dimension_that_lies_is_not_believed(tmp_path: Path, dimension: str) -> None:
    (tmp_path / "a.xlsx").write_bytes(workbook(HEAD, before=f'<dimension ref="{dimension}"/>'))
    assert read_papers(tmp_path / "a.xlsx", "prediction").papers.title.tolist() == ["Nets"]


def test_what_is_only_formatted_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(workbook(HEAD + row(1_048_576, '<c r="XFD1048576" s="1"/>')))
    assert read_papers(tmp_path / "a.xlsx", "prediction").papers.title.tolist() == ["Nets"]


def test_a_file_that_is_trusted_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(repeated("x" * 10_000, 20_000)))
    with pytest.raises(ArxivNbclfError, match="a.parquet: reading it takes more than 134 MB .*set ARXIV_NBCLF_MEMORY"):
        read_table(path)
    monkeypatch.setenv("ARXIV_NBCLF_MEMORY", "1e9")
    assert len(read_table(path).rows) == 20_000


def test_a_limit_of_the_process_counts(tmp_path: Path) -> None:
    pd.DataFrame({"title": ["a" * 1000] * 70_000, "abstract": "b"}).to_csv(tmp_path / "a.csv", index=False)
    code = "import sys; from arxiv_nbclf.data.tables import read_table; print(len(read_table(sys.argv[1]).rows))"
    for memory, found in (("1e7", "a.csv: reading it takes more than 10 MB of memory"), ("1e9", "70000")):
        done = subprocess.run([sys.executable, "-c", code, "a.csv"], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "ARXIV_NBCLF_MEMORY": memory}, check=False)
        assert found in done.stdout + done.stderr


@pytest.mark.parametrize("opener", [bz2.open, lzma.open])
def test_packed_text_of_other_kinds_is_not_read(tmp_path: Path, opener: Callable[..., io.BufferedIOBase]) -> None:
    suffix = {bz2.open: "bz2", lzma.open: "xz"}[opener]
    with opener(tmp_path / f"a.csv.{suffix}", "wb") as file:
        file.write(CSV)
    with pytest.raises(ArxivNbclfError, match="unknown ending"):
        read_papers(tmp_path / f"a.csv.{suffix}")
