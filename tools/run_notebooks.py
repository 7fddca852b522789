"""Run the notebooks as `nbdev_test` does, two at a time and the longest first, and show what took how long.

    python tools/run_notebooks.py [NAME …]     all, or those whose path holds one of the names
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
# Begun last, one of these would leave the other process idle at the end. Seconds change little from machine to machine in proportion.
LONGEST = (
    "10_runs", "02_tuning", "11_cli", "02_training", "04_export", "03_onnx", "01_trainer", "02_cluster", "02_report", "02_error_analysis",
    "00_sections", "03_learning_curve", "07_arxiv_client", "05_mislabelled_papers", "04_finetuning_on_a_gpu",
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


def run(
    path: Path,  # a notebook
) -> tuple[bool, float]:  # whether it passed, and seconds
    """Run one notebook with the slow cells, in a process of its own; an error goes to stderr."""
    start = time.perf_counter()
    done = subprocess.run(["nbdev_test", "--path", path, "--flags", "slow"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    return done.returncode == 0, time.perf_counter() - start


def main() -> int:
    """The command; 0 when every notebook passes."""
    paths, begun = notebooks(sys.argv[1:]), time.perf_counter()
    if not paths:
        print(f"run_notebooks: no notebook is called {' or '.join(sys.argv[1:])}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(WORKERS) as pool:
        results = dict(zip(paths, pool.map(run, paths), strict=True))
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
