"""Run the notebooks as `nbdev_test` does, two at a time and the longest first, and show what took how long.

    python tools/run_notebooks.py [NAME …] [--at-once 1]     all, or those whose path holds one of the names

Each has a process of its own, forked from this one, which has imported what takes long: on two cores that saves two minutes.
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from nbdev.config import get_config
from nbdev.test import test_nb

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = (  # never the package, which each notebook imports itself, and nothing that reads variables which notebooks set
    "torch", "transformers.trainer", "datasets", "accelerate", "sklearn.linear_model", "seaborn", "optuna", "numba", "pyarrow.parquet",
)
# Begun last, one of these would leave the other process idle at the end. Seconds change little from machine to machine in proportion.
LONGEST = (
    "10_runs", "02_training", "02_tuning", "06_embeddings", "02_report", "08_harvest", "11_cli", "04_finetuning_on_a_gpu", "00_sections", "02_cluster",
)
SHOWN = 10  # of the slowest notebooks


def in_order(
    paths: list[Path],  # notebooks
) -> list[Path]:
    """The longest first, the others by name."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    return sorted(paths, key=lambda path: (rank.get(path.stem, len(rank)), path))


def notebooks(
    names: list[str],  # parts of paths; none: all notebooks
) -> list[Path]:
    """Those to run; what begins with a dot or underscore does not count."""
    nbs = ROOT / "nbs"
    paths = [path for path in nbs.glob("**/*.ipynb") if not any(part[0] in "._" for part in path.relative_to(nbs).parts)]
    return in_order([path for path in paths if not names or any(name in path.as_posix() for name in names)])


def begin(
    path: Path,  # a notebook
    printed: IO[bytes],  # for what it prints
) -> int:  # id of the process
    """Run one notebook with the slow cells in a new process, whose exit status is 0 when it passes."""
    if process := os.fork():
        return process
    passed = False
    try:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(printed.fileno(), stream.fileno())
        os.chdir(ROOT / "nbs")
        config = get_config()
        passed, _ = test_nb(path, skip_flags=config.tst_flags.split(), force_flags=["slow"], basepath=config.config_path)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(not passed)  # the libraries' own ends are for the process that imported them


def run(
    paths: list[Path],  # notebooks
    at_once: int,  # as many
) -> dict[Path, tuple[bool, float]]:  # whether each passed, and its seconds
    """Run notebooks; what one prints is shown if it fails."""
    left, results = list(paths), {}
    running: dict[int, tuple[Path, IO[bytes], float]] = {}
    with ExitStack() as opened:
        while left or running:
            while left and len(running) < at_once:
                printed = opened.enter_context(TemporaryFile())
                path = left.pop(0)
                running[begin(path, printed)] = path, printed, time.perf_counter()
            process, status = os.wait()
            path, shown, start = running.pop(process)
            results[path] = status == 0, time.perf_counter() - start
            if status:
                shown.seek(0)
                print(shown.read().decode(errors="replace"), file=sys.stderr)
    return results


def main() -> int:
    """The command; 0 when every notebook passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    paths, begun = notebooks(options.names), time.perf_counter()
    if not paths:
        print(f"run_notebooks: no notebook is called {' or '.join(options.names)}", file=sys.stderr)
        return 2
    sys.path.remove(str(ROOT / "tools"))  # a notebook must not find what lies there
    if sys.platform == "linux":  # elsewhere some libraries do not work in a process forked after their import
        for name in IMPORTED:
            importlib.import_module(name)
    results = run(paths, options.at_once)
    named = {path: path.relative_to(ROOT).as_posix() for path in paths}
    for path, (_, seconds) in sorted(results.items(), key=lambda item: -item[1][1])[:SHOWN]:
        print(f"{seconds:6.0f} s  {named[path]}")
    failed = [named[path] for path, (passed, _) in results.items() if not passed]
    print(f"{len(paths) - len(failed)} of {len(paths)} notebooks passed, {time.perf_counter() - begun:.0f} s")
    if failed:
        print("failed:", *failed, sep="\n  ", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
