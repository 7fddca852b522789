"""How fast arXiv's bulk snapshot is read, and in how much memory, whole or for a month of one group.

    python benchmarks/snapshot.py [--papers 3000000] [--gz]

Writes a file of synthetic papers in the snapshot's form to a folder that is removed in the end, reads it in fresh processes, and prints
one JSON line; times are in seconds of wall clock, memory is in bytes.
"""

import argparse
import gzip
import json
import resource
import subprocess
import sys
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import IO, Any

from _origin import origin

from arxiv_nbclf.data.snapshot import SnapshotFilter, snapshot_parts

FIRST_DAY, DAYS = date(1992, 1, 1), 12_000
MONTH = SnapshotFilter(date(2024, 4, 1), date(2024, 4, 30), [f"cs.{code}" for code in ("AI", "CL", "CV", "LG", "RO", "SE")])
PIECE = 10_000  # different papers, which then return under other ids and days


def snapshot_lines(papers: int) -> list[tuple[str, str, str]]:
    """The parts of lines that do not change: what stands before a paper's day, between, and after."""
    from arxiv_nbclf.data.synthetic import sample

    made = []
    for paper in sample(papers).to_dict("records"):
        abstract = " ".join([str(paper["summary"])] * (1 + 800 // max(1, len(str(paper["summary"])))))
        head = {"submitter": "A. Author", "authors": "A. Author, B. Author and C. Author",
                "title": str(paper["title"]).replace(": ", ":\n  "), "comments": "12 pages, 3 figures",
                "journal-ref": None, "doi": None, "report-no": None,
                "categories": str(paper["categories"]).replace(",", " "), "license": "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
                "abstract": f"  {abstract}\n"}
        tail = {"update_date": "2024-11-26", "authors_parsed": [["Author", "A.", ""], ["Author", "B.", ""], ["Author", "C.", ""]]}
        made.append((json.dumps(head)[1:-1], '"versions": [{"version": "v1", "created": "', f'"}}], {json.dumps(tail)[1:]}\n'))
    return made


def write_snapshot(file: IO[bytes], papers: int) -> None:
    """Write papers of three decades, more of them in later years, in the order of their days."""
    made, rng = snapshot_lines(min(papers, PIECE)), Random(0)
    for start in range(0, papers, PIECE):
        lines = []
        for number in range(start, min(start + PIECE, papers)):
            day = FIRST_DAY + timedelta(days=int(DAYS * ((number + rng.random()) / papers) ** 0.5))
            head, middle, tail = made[number % len(made)]
            lines.append(f'{{"id": "{day:%y%m}.{number % 100_000:05d}", {head}, {middle}{day:%a, %d %b %Y} 12:00:00 GMT{tail}')
        file.write("".join(lines).encode())


def measure_once(path: Path, paper_filter: SnapshotFilter | None) -> dict[str, float]:
    """Go through a snapshot in this process, and say what it took; meant for a fresh one."""
    start, chosen = perf_counter(), 0
    for part in snapshot_parts(path, paper_filter):
        chosen += len(part.rows)
    seconds = perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"chosen": chosen, "seconds": round(seconds, 2), "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
            "peak_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)}


def measure_in_child(path: Path, what: str, papers: int) -> dict[str, float]:
    """The same in a fresh process, so that nothing read before counts."""
    command = [sys.executable, __file__, "--once", str(path), "--what", what]
    run = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return run | {"papers_per_second": round(papers / run["seconds"])}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="not used: the snapshot is made anew, of synthetic papers")
    parser.add_argument("--papers", type=int, default=3_000_000, help="lines of the file (default 3,000,000: 4.5 GB)")
    parser.add_argument("--gz", action="store_true", help="zip it, and read it so")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--what", default="all", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure_once(options.once, MONTH if options.what == "month" else None)))
        return
    with TemporaryDirectory() as name:
        path = Path(name) / ("arxiv-metadata-oai-snapshot.json" + (".gz" if options.gz else ""))
        with gzip.open(path, "wb", 1) if options.gz else path.open("wb") as file:
            write_snapshot(file, options.papers)  # type: ignore[arg-type]
        size = path.stat().st_size
        runs: dict[str, Any] = {what: measure_in_child(path, what, options.papers) for what in ("all", "month")}
    result = {"benchmark": "snapshot", "papers": options.papers, "bytes": size, "zipped": options.gz} | runs
    print(json.dumps(result | origin({"pyarrow": version("pyarrow")})))


if __name__ == "__main__":
    main()
