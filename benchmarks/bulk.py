"""A million papers from parquet to parquet: seconds, memory, and what ten kills do to it. Prints one JSON line.

    python benchmarks/bulk.py PAPERS.parquet [--rows 1000000] [--model FOLDER] [--level category]

The papers of the table are repeated, each time under new ids, into a file of a tenth of the rows and one of all rows, which are predicted
in processes of their own (the packaged model, unless another is named), with category, group and cross-lists or, with `--level group`, groups alone. `peak_mb` is what the operating system says was the most that the
process ever held. Then the large file is predicted once more, and the process is killed (SIGKILL) ten times, each after a random part
of the seconds that the whole had taken; the same call is made again each time. `same` tells whether that came to the predictions of the
undisturbed run, every id once and in order.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _origin import origin

from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import packaged_model

PROGRAM = """
import json, resource, sys
from time import perf_counter
from arxiv_nbclf.deployment.bulk import predict_stream
start = perf_counter()
stream = predict_stream(*sys.argv[1:4], level=sys.argv[4])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"papers": stream.papers, "shards": stream.shards, "seconds": round(perf_counter() - start, 2), "peak_mb": round(peak)}))
"""


def repeat(
    papers: pa.Table,  # aid, title, summary
    rows: int,  # wanted
    path: Path,  # a parquet file to make
) -> None:
    """Write papers over and over, each time under new ids."""
    with pq.ParquetWriter(path, papers.schema, compression="zstd") as writer:
        for start in range(0, rows, papers.num_rows):
            part = papers.slice(0, rows - start)
            ids = pa.array([f"{aid}-{start // papers.num_rows}" for aid in part["aid"].to_pylist()], papers.schema.field("aid").type)
            writer.write_table(part.set_column(0, "aid", ids), row_group_size=50_000)


def begin(
    *words: object,  # source, model, out, level
) -> subprocess.Popen[str]:
    """Predict in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True)


def predict(
    *words: object,  # source, model, out, level
) -> dict[str, Any]:
    """Predict, undisturbed."""
    start = perf_counter()
    said, _ = (process := begin(*words)).communicate()
    if process.returncode:
        raise SystemExit(f"the prediction ended with {process.returncode}")
    return json.loads(said) | {"seconds_with_start": round(perf_counter() - start, 2)}


def predict_and_kill(
    kills: int,  # how often
    seconds: float,  # that it takes undisturbed
    *words: object,  # source, model, out, level
) -> list[float]:  # after how many seconds of its process each kill came
    """Predict, killed time and again; the last time undisturbed."""
    rng, out = random.Random(0), Path(str(words[2]))
    after: list[float] = []
    while len(after) < kills:
        process = begin(*words)
        wait = rng.uniform(0, seconds / 3)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if out.exists():  # it was done before the kill: once more from the start
            shutil.rmtree(out)
        else:
            after.append(round(wait, 2))
    predict(*words)
    return after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--level", choices=("group", "category"), default="category")
    parser.add_argument("--model", type=Path, help="a bundle or a run folder; absent: the packaged model")
    options = parser.parse_args()
    model = options.model or packaged_model()
    frame = read_papers(options.papers, purpose="prediction").papers[["aid", "title", "summary"]]
    papers = pa.Table.from_pandas(frame, preserve_index=False)
    result: dict[str, Any] = {"benchmark": "bulk", "model": model.name, "level": options.level, "repeated": papers.num_rows}
    with TemporaryDirectory() as name:
        place = Path(name)
        for label, rows in (("tenth", options.rows // 10), ("all", options.rows)):
            repeat(papers, rows, place / f"{label}.parquet")
            found = predict(place / f"{label}.parquet", model, place / label, options.level)
            result[label] = found | {"papers_per_s": round(found["papers"] / found["seconds"])}
        wanted = pq.read_table(place / "all.parquet", columns=["aid"])["aid"].to_pylist()
        whole = pq.read_table(place / "all")
        killed = predict_and_kill(options.kills, result["all"]["seconds"], place / "all.parquet", model, place / "killed", options.level)
        resumed = pq.read_table(place / "killed")
        result["killed"] = {
            "after_s": killed,
            "lost_or_doubled": len(wanted) - len(set(resumed["aid"].to_pylist())),
            "same": resumed.equals(whole) and resumed["aid"].to_pylist() == wanted,
        }
    result["memory_ratio"] = round(float(np.divide(result["all"]["peak_mb"], result["tenth"]["peak_mb"])), 3)
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
