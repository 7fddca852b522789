"""Every check, each with its name and seconds; the first that fails ends it with one line.

    python tools/check.py [STEP …]     all steps, or the named ones in the given order

Two steps run at a time, begun in their order; each keeps one core busy.
"""

import csv
import filecmp
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import venv
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PACKAGE = "arxiv_nbclf"
# Checks reach no hub and leave the machine's other core alone: one thread each.
ENVIRONMENT = os.environ | {
    "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
ENVIRONMENT.pop("PAPERS", None)  # the notebooks are checked on the sample
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile anew what it imports


class Failed(Exception):
    """A check did not pass; the message is the line to show."""


def call(
    *command: str | Path,  # program and arguments
    cwd: Path = ROOT,  # where it runs
    quiet: bool = False,  # keep its output unless it fails
    **variables: str,  # of its environment, beside those of every check
) -> str:  # its standard output, when quiet
    """Run a program; its failure is the check's. Beside another step its output is shown when it has ended."""
    kept = quiet or threading.current_thread() is not threading.main_thread()
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=ENVIRONMENT | variables, capture_output=kept, text=True)
    if kept and not quiet and not done.returncode:
        print(done.stdout, done.stderr, sep="", end="", flush=True)
    if done.returncode:
        if kept:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise Failed(f"`{' '.join(Path(part).name if isinstance(part, Path) else part for part in command)}` exited {done.returncode}")
    return done.stdout if quiet else ""


def copy_tree(
    target: Path,  # an empty folder
) -> None:
    """Copy what git tracks, or would, as it stands now: a check must neither change the tree nor see what lies about in it."""
    names = call("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", quiet=True)
    for name in filter(None, names.split("\0")):
        if os.path.lexists(ROOT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def made_by_nbdev(
    root: Path,  # a tree
) -> set[str]:  # paths in it
    """The notebooks, the package and pyproject.toml: what exporting and cleaning may touch."""
    found = [*root.glob("nbs/**/*.ipynb"), *root.glob(f"{PACKAGE}/**/*.py"), root / "pyproject.toml"]
    return {path.relative_to(root).as_posix() for path in found if ".ipynb_checkpoints" not in path.parts}


def check_export() -> None:
    """Exporting into a package without its modules, and cleaning, gives what stands here."""
    with TemporaryDirectory() as name:
        copy = Path(name)
        copy_tree(copy)
        before = made_by_nbdev(copy)
        for module in copy.glob(f"{PACKAGE}/**/*.py"):
            if module.name != "__init__.py":
                module.unlink()
        call("nbdev_export", cwd=copy, quiet=True)
        call("nbdev_clean", cwd=copy, quiet=True)
        after = made_by_nbdev(copy)
        differ = sorted(before ^ after) + sorted(p for p in before & after if not filecmp.cmp(ROOT / p, copy / p, shallow=False))
    if differ:
        raise Failed(f"not as exported and cleaned from the notebooks: {', '.join(differ)}; run: nbdev_export && nbdev_clean")


def check_readme() -> None:
    """README.md is made from the index, which names every place in 600 words at most."""
    call(sys.executable, "tools/readme.py", "--check")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    paths = [path.relative_to(ROOT).as_posix() for pattern in ("[0-9]*.ipynb", "[0-9]*/index.qmd") for path in ROOT.glob(f"nbs/{pattern}")]
    if missing := sorted(path for path in paths if f"({path})" not in text):
        raise Failed(f"README.md does not name {', '.join(missing)}: run nbs/index.ipynb, then make readme")
    if (words := len(text.split())) > 600:
        raise Failed(f"README.md has {words} words: 600 at most, the site has room for the rest")


def check_ruff() -> None:
    """Style and common mistakes."""
    call("ruff", "check", "--quiet", ".")


def check_mypy() -> None:
    """Types."""
    call("mypy", PACKAGE, "tools/check.py", "tools/readme.py", "tools/make_site.py", "tools/run_notebooks.py", "benchmarks")


def check_notebooks() -> None:
    """Every notebook from a fresh kernel, with the cells that fit real, if small, models."""
    call(sys.executable, "tools/run_notebooks.py", "--at-once", "1")


def check_site() -> None:
    """The site is made without Quarto, and nothing in it is broken; pictures of it are left in build/screens."""
    with TemporaryDirectory() as name:
        copy_tree(Path(name))
        call(sys.executable, "tools/make_site.py", cwd=Path(name), quiet=True)
        call(sys.executable, "-m", "pytest", "-q", "tests/test_site.py", SITE=str(Path(name) / "_docs"))


def check_tests(
    half: int,  # 0 or 1: every other file, so that two processes share the work
) -> None:
    """What notebooks tell badly."""
    files = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if path.stem != "test_site"]
    call(sys.executable, "-m", "pytest", "-q", "--durations", "10", *files[half::2])


def stray(
    names: Iterable[str],  # files of a wheel or sdist
) -> list[str]:  # those that have no place in it
    """Notebooks, tests and data among packaged files; only a packaged model may bring weights."""
    folders = {"nbs", "tests", "benchmarks", "tools", "runs"}
    data = {".ipynb", ".xlsx", ".csv", ".tsv", ".parquet", ".jsonl", ".gz", ".db", ".safetensors", ".bin", ".pkl"}
    return [
        name
        for name in names
        if folders & set(PurePosixPath(name).parts) or (PurePosixPath(name).suffix in data and f"{PACKAGE}/models/" not in name)
    ]


def check_contents(
    wheel: Path,  # the built wheel
    sdist: Path,  # the built source distribution
) -> None:
    """Both hold every module and template, and nothing that does not belong to the package."""
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = archive.namelist()
    with tarfile.open(sdist) as tar:
        in_sdist = [member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()]
    package = ROOT / PACKAGE
    parts = [*package.glob("**/*.py"), package / "py.typed", *package.glob("templates/**/*.*")]
    expected = {path.relative_to(ROOT).as_posix() for path in parts if ".ipynb_checkpoints" not in path.parts}
    for kind, names in (("wheel", in_wheel), ("sdist", in_sdist)):
        if extra := stray(names):
            raise Failed(f"the {kind} holds what it should not: {', '.join(extra)}")
        if missing := expected - set(names):
            raise Failed(f"the {kind} lacks {', '.join(sorted(missing))}")
    if outside := [n for n in in_wheel if not n.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))]:
        raise Failed(f"the wheel holds files outside {PACKAGE}: {', '.join(outside)}")


def try_wheel(
    wheel: Path,  # the built wheel
    folder: Path,  # an empty folder to work in
) -> None:
    """The core alone, in an empty environment: sample, explore, train linear, predict."""
    venv.create(folder / "env")
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    call(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=folder, quiet=True)
    for extra in ("nbdev", "pytest", "torch", "transformers", "onnxruntime"):
        if subprocess.run([python, "-c", f"import {extra}"], cwd=folder, capture_output=True).returncode == 0:
            raise Failed(f"the core requirements bring {extra}")
    command, rows = programs / "arxiv-nbclf", 1500
    printed = call(command, "--version", cwd=folder, quiet=True)
    version = wheel.name.split("-")[1]
    if version not in printed:
        raise Failed(f"`arxiv-nbclf --version` prints {printed.strip()!r}, the wheel is {version}")
    call(command, "sample", "--rows", str(rows), "--out", "papers.csv", cwd=folder, quiet=True)
    call(command, "explore", "papers.csv", "--out", "explored", cwd=folder, quiet=True)
    call(command, "train", "papers.csv", "--out", "trained", cwd=folder, quiet=True)  # auto: what the core alone can fit
    refused = subprocess.run(
        [command, "train", "papers.csv", "--out", "none", "--family", "hybrid"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    if refused.returncode != 2 or "pip install torch transformers" not in refused.stderr or refused.stderr.count("\n") != 1:
        raise Failed(f"a missing extra is not reported in one line: {refused.stderr!r}")
    call(command, "predict", "papers.csv", "--model", "trained", "--out", "predictions.csv", cwd=folder, quiet=True)
    call(command, "predict", "papers.csv", "--out", "by-package", cwd=folder, quiet=True)  # by the model that the wheel brings along
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        predicted = list(csv.DictReader(file))
    if len(predicted) != rows or not all(row["predicted"] for row in predicted):
        raise Failed(f"predictions.csv has {len(predicted)} rows for {rows} papers, or some without a group")


def check_package() -> None:
    """The sdist builds, a wheel builds from it, and the wheel works with the core requirements alone."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        copy_tree(folder / "tree")
        call(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "tree", quiet=True)
        (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
        check_contents(wheel, sdist)
        try_wheel(wheel, folder)


STEPS: dict[str, Callable[[], None]] = {  # first those that find most and take seconds, then the longest: the last ones fill the end
    "export": check_export,
    "readme": check_readme,
    "ruff": check_ruff,
    "mypy": check_mypy,
    "notebooks": check_notebooks,
    "tests": partial(check_tests, 0),
    "more tests": partial(check_tests, 1),
    "site": check_site,
    "package": check_package,
}
LANES = 2  # steps at a time


def main() -> int:
    """Run the steps; 0 when all pass."""
    chosen = sys.argv[1:] or list(STEPS)
    if unknown := [name for name in chosen if name not in STEPS]:
        print(f"check: no such step: {', '.join(unknown)}; there are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    begun = time.perf_counter()
    with TemporaryDirectory() as cache:
        ENVIRONMENT["ARXIV_NBCLF_CACHE"] = cache  # features that a user has must neither help nor be pushed out
        failed = timed(chosen[0]) if len(chosen) == 1 else together(chosen)
    print(failed or f"all passed, {time.perf_counter() - begun:.0f} s", file=sys.stderr if failed else sys.stdout)
    return bool(failed)


def timed(
    name: str,  # of a step
) -> str:  # why it failed, in one line; empty where it passed
    """Run one step and print its name and seconds."""
    print(f"── {name}", flush=True)
    start = time.perf_counter()
    try:
        STEPS[name]()
    except Failed as failure:
        return f"FAILED {name} after {time.perf_counter() - start:.1f} s: {failure}"
    print(f"── {name} passed, {time.perf_counter() - start:.1f} s", flush=True)
    return ""


def together(
    names: list[str],  # of steps
) -> str:  # why the first of them failed; empty where all passed
    """Run steps side by side, begun in their order; after a failure no other is begun."""
    left = list(names)
    with ThreadPoolExecutor(LANES) as pool:
        running = {pool.submit(timed, left.pop(0)) for _ in names[:LANES]}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            if failed := next(filter(None, (one.result() for one in ended)), ""):
                wait(running)
                return failed
            running |= {pool.submit(timed, left.pop(0)) for _ in left[: len(ended)]}
    return ""


if __name__ == "__main__":
    sys.exit(main())
