"""How long `train` takes to learn categories from a stream of papers, and in how much memory: once the table, and twice. Prints one JSON line.

    python benchmarks/stream_training.py PAPERS [--copies 1 2] [--epochs 6]

PAPERS is a file of 200,000 papers or more; a second copy has other ids, and is read as another file of the same folder. `seconds` are of wall
clock and `cpu_s` of processor time of the whole command, which runs in a process of its own; `peak_bytes` is the most memory it held, and
`disk_bytes` the most that its folder held on the way.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _origin import origin

from arxiv_nbclf.data.chunks import read_chunks

PROGRAM = "import sys; from arxiv_nbclf.cli import main; sys.exit(main(sys.argv[1:]))"


def write_copies(
    papers: str,  # a file, a folder of files, or the word sample
    copies: int,  # how many; from the second on with other ids
    folder: Path,  # to make
) -> int:  # papers of one copy
    """A folder with the same papers several times."""
    folder.mkdir()
    count = 0
    for number in range(copies):
        writer, count = None, 0
        for chunk in read_chunks(papers, 50_000, purpose="training"):
            assert chunk is not None
            table = pa.Table.from_pandas(chunk.papers[["aid", "title", "summary", "categories", "main_category", "published"]], preserve_index=False)
            ids = table["aid"] if not number else pc.binary_join_element_wise(table["aid"].cast(pa.string()), f"copy{number}", "-")
            table = table.set_column(0, "aid", ids.cast(pa.string()))
            writer = writer or pq.ParquetWriter(folder / f"papers-{number}.parquet", table.schema)
            writer.write_table(table)
            count += len(chunk.papers)
        assert writer is not None
        writer.close()
    return count


def measure(
    papers: Path,  # a folder of files
    out: Path,  # the run folder to make
    epochs: int,  # passes over the texts
) -> dict[str, float]:
    """Train in a process of its own."""
    words = ["--quiet", "train", str(papers), "--out", str(out), "--level", "category", "--family", "linear", "--set", f"epochs={epochs}"]
    start, most, ended = perf_counter(), [0], Event()

    def watch() -> None:
        while not ended.wait(2):
            files = [path for path in out.with_name(out.name + ".partial").rglob("*") if path.is_file()]
            most[0] = max(most[0], sum(path.stat().st_size for path in files if path.exists()))

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    process = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", PROGRAM, *words])
    _, status, usage = os.wait4(process, 0)
    ended.set()
    if status:
        raise SystemExit(f"the training ended with {os.waitstatus_to_exitcode(status)}")
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, elsewhere in kilobytes
    return {
        "seconds": round(perf_counter() - start, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_bytes": usage.ru_maxrss * scale,
        "disk_bytes": most[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file or a folder of files with 200,000 papers or more")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "stream_training", "epochs": options.epochs, "trainings": []}
    with TemporaryDirectory() as name:
        for copies in options.copies:
            place = Path(name) / f"times-{copies}"
            count = write_copies(options.papers, copies, place)
            found = measure(place, Path(name) / f"run-{copies}", options.epochs)
            record = json.loads((Path(name) / f"run-{copies}" / "run.json").read_text(encoding="utf-8"))
            if not record.get("streamed"):
                raise SystemExit(f"{count} papers are too few: they are read whole")
            result["trainings"].append({"papers": copies * count, "n_train": record["n_train"], "n_classes": record["n_classes"]} | found)
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
