"""How long a user waits: for the package to start, for the first prediction, and for each one after it; as one JSON line.

    python benchmarks/startup.py [--times 7]

Fresh interpreters, medians of wall-clock seconds: `import arxiv_nbclf`, `arxiv-nbclf --help`, and `arxiv-nbclf predict` of five papers
with the packaged model and with a linear bundle. `bare` is Python alone, so import − bare is the package's share.
`heavy` names those of torch, transformers, scikit-learn and matplotlib that got imported: none should be.
Then `predict(title, summary)` in a process that has the model: the median over 200 papers (hybrid: 50), in milliseconds. The models are
fitted on synthetic papers; speed does not depend on what they learnt.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _origin import origin

import arxiv_nbclf

HEAVY = ("torch", "transformers", "sklearn", "matplotlib")
IMPORT = "import arxiv_nbclf"
HELP = "import sys; sys.argv = ['arxiv-nbclf', '--help']; from arxiv_nbclf.cli import main; main()"
TELL = f"print('heavy:', *[name for name in {HEAVY} if name in __import__('sys').modules], file=__import__('sys').stderr)"


def seconds(
    code: str,  # what a fresh interpreter runs
    times: int,  # how often
) -> float:  # the median
    """Median wall-clock time of a fresh interpreter."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 3)


def heavy(
    code: str,  # what a fresh interpreter runs
) -> list[str]:  # names out of HEAVY
    """Heavy libraries that the code imports, if it ends well."""
    guarded = f"import atexit; atexit.register(lambda: {TELL})\n{code}"
    done = subprocess.run([sys.executable, "-c", guarded], check=True, capture_output=True, text=True)
    return done.stderr.rpartition("heavy:")[2].split()


def predicting(
    papers: Path,  # a table
    model: Path | None = None,  # a bundle; None: the packaged model
) -> str:  # code for a fresh interpreter
    """Predict a table from the command line, to stdout."""
    words = ["arxiv-nbclf", "predict", str(papers), "--out", "-", *(["--model", str(model)] if model else [])]
    return f"import sys; sys.argv = {words!r}; from arxiv_nbclf.cli import main; main()"


def one_paper_ms(
    model: Path | None,  # a bundle; None: the packaged model
    n: int,  # how many papers
) -> float:  # milliseconds, median
    """One paper after the other through a model that is loaded."""
    classifier = arxiv_nbclf.load_classifier(model) if model else None
    papers = arxiv_nbclf.sample(n + 1, seed=7)
    taken = []
    for title, summary in zip(papers["title"], papers["summary"], strict=True):
        start = time.perf_counter()
        arxiv_nbclf.predict(title, summary, model=classifier)
        taken.append(time.perf_counter() - start)
    return round(1000 * statistics.median(taken[1:]), 2)  # the first waits for what is made once


def fitted(
    family: str,  # to fit
    folder: Path,  # for the bundle
) -> Path:  # the folder
    """A bundle of a family that has seen synthetic papers."""
    papers = arxiv_nbclf.sample(600, seed=1)
    settings = {"encoder": "minilm"} if family == "hybrid" else {}
    return arxiv_nbclf.new_classifier(family, **settings).fit(papers, arxiv_nbclf.label_ids(papers)).save(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="?", help="not read; taken so that all benchmarks can be called alike")
    parser.add_argument("--times", type=int, default=7, help="fresh interpreters per figure (default 7)")
    options = parser.parse_args()
    record: dict[str, object] = {"benchmark": "startup", "bare_s": seconds("pass", options.times)}
    record |= {"import_s": seconds(IMPORT, options.times), "import_heavy": heavy(IMPORT)}
    record |= {"help_s": seconds(HELP, options.times), "help_heavy": heavy(HELP)}
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "papers.csv"
        arxiv_nbclf.write_table(arxiv_nbclf.sample(5, seed=1), table)
        linear, hybrid = (fitted(family, Path(name) / family) for family in ("linear", "hybrid"))
        record |= {"first_prediction_heavy": heavy(predicting(table))}
        record |= {"first_prediction_s": {"packaged": seconds(predicting(table), options.times)}}
        record["first_prediction_s"] |= {"linear": seconds(predicting(table, linear), options.times)}  # type: ignore[operator]
        record["one_paper_ms"] = {
            "packaged": one_paper_ms(None, 200), "linear": one_paper_ms(linear, 200), "hybrid": one_paper_ms(hybrid, 50)
        }
    print(json.dumps(record | origin()))


if __name__ == "__main__":
    main()
