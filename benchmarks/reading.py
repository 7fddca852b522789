"""How fast tables are read: a workbook beside pandas with openpyxl, and a parquet file with its peak of memory.

    python benchmarks/reading.py PAPERS.xlsx [--parquet PAPERS.parquet] [--repeat 5]

Prints one JSON line; times are the best of the repetitions, in seconds of wall clock, memory is in bytes.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd

from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import write_table


def best_time(work: Callable[[], Any], repeat: int) -> float:
    """The shortest of several runs."""
    times = []
    for _ in range(repeat):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def measure_once(path: Path) -> dict[str, float]:
    """Read and validate in this process, and say what it took; meant for a fresh one."""
    start = perf_counter()
    read = read_papers(path)
    seconds = perf_counter() - start
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"papers": len(read.papers), "rejects": len(read.rejects), "seconds": round(seconds, 3),
            "peak_bytes": kilobytes * (1 if sys.platform == "darwin" else 1024)}


def measure_in_child(path: Path, repeat: int) -> dict[str, float]:
    """The same in fresh processes, so that nothing read before counts."""
    command = [sys.executable, __file__, str(path), "--once"]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(repeat)]
    return min(runs, key=lambda run: run["seconds"])


def as_workbook(source: Path, folder: Path) -> Path:
    """The papers as a workbook: itself, or one made of the table in a folder to throw away."""
    if source.suffix == ".xlsx":
        return source
    write_table(read_papers(source).papers, folder / "papers.xlsx")
    return folder / "papers.xlsx"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", type=Path, help="a workbook; another table, or the word sample, is made into one first")
    parser.add_argument("--parquet", type=Path, help="a larger table, read in a fresh process")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, of which the best counts (default 5)")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure_once(options.papers)))
        return
    from _origin import origin  # after --once, whose memory is measured

    read_papers("sample")  # imports and caches are warm for both readers
    with TemporaryDirectory() as name:
        path = as_workbook(options.papers, Path(name))
        ours = best_time(lambda: read_papers(path), options.repeat)
        theirs = best_time(lambda: pd.read_excel(path, engine="openpyxl"), options.repeat)
        papers = len(read_papers(path).papers)
    seconds = {"read_papers_s": round(ours, 3), "pandas_openpyxl_s": round(theirs, 3), "ratio": round(theirs / ours, 2)}
    result: dict[str, Any] = {"benchmark": "reading", "xlsx": {"papers": papers} | seconds}
    if options.parquet:
        result["parquet"] = measure_in_child(options.parquet, options.repeat)
    readers = {name: version(name) for name in ("openpyxl", "python-calamine")}
    print(json.dumps(result | origin(readers)))


if __name__ == "__main__":
    main()
