"""The same papers predicted by this process and by a Ray cluster of this machine's cores. Prints one JSON line.

    python benchmarks/cluster.py PAPERS [--rows 300000] [--model FOLDER]

The papers of the table are repeated, each time under new ids, into a parquet file, which `arxiv-nbclf predict` takes to shards with either
engine (the packaged model, unless another is named). `seconds` are those of the whole command, `first_shard` those until the first shard
was there: what starting takes, Ray's own processes included. `same` tells whether both came to the same predictions, bit for bit.
`handed_out_per_s` is the limit of a larger cluster: how many papers a second the machine that hands out the work reads, for each format,
when workers take them as fast as that.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from _origin import origin
from bulk import repeat

from arxiv_nbclf.data.chunks import none_finished, raw_chunks
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import write_table

PROGRAM = "import sys; from arxiv_nbclf.cli import main; sys.exit(main(sys.argv[1:]))"


def predict(
    *words: object,  # of the command
    out: Path,  # the folder to make
) -> dict[str, float]:
    """Predict in a process of its own; when was the first shard there, and when all?"""
    start, first = perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "--quiet", "predict", *map(str, words), "--out", str(out)])
    while process.poll() is None:
        if not first and any(out.with_name(out.name + ".partial").glob("part-*")):
            first = perf_counter() - start
        sleep(0.01)
    if process.returncode:
        raise SystemExit(f"the prediction ended with {process.returncode}")
    seconds = perf_counter() - start
    return {"seconds": round(seconds, 2), "first_shard": round(first or seconds, 2)}


def handed_out(
    path: Path,  # papers
) -> int:  # per second
    """How quickly a file is read and cut."""
    start = perf_counter()
    rows = sum(len(table.rows) for table, *_ in raw_chunks(path, 10_000, none_finished) if table is not None)
    return round(rows / (perf_counter() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--model", type=Path, help="a bundle or a run folder; absent: the packaged model")
    options = parser.parse_args()
    frame = read_papers(options.papers, purpose="prediction").papers[["aid", "title", "summary"]]
    papers = pa.Table.from_pandas(frame, preserve_index=False)
    result: dict[str, Any] = {"benchmark": "cluster", "papers": options.rows, "repeated": papers.num_rows}
    with TemporaryDirectory() as name:
        place = Path(name)
        repeat(papers, options.rows, place / "all.parquet")
        model = ["--model", options.model] if options.model else []
        for engine in ("local", "ray"):
            result[engine] = predict(place / "all.parquet", *model, "--engine", engine, out=place / engine)
        result["same"] = pq.read_table(place / "local").equals(pq.read_table(place / "ray"))
        result["handed_out_per_s"] = {}
        for ending in ("parquet", "csv", "jsonl", "jsonl.gz"):
            write_table(frame, place / f"papers.{ending}")
            result["handed_out_per_s"][ending] = handed_out(place / f"papers.{ending}")
    import ray

    print(json.dumps(result | origin({"ray": ray.__version__})))


if __name__ == "__main__":
    main()
