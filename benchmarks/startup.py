"""How long a user waits for nothing: `import arxiv_nbclf` and `arxiv-nbclf --help` in fresh interpreters, as one JSON line.

    python benchmarks/startup.py [--times 7]

Medians of wall-clock seconds; `bare` is Python alone, so import − bare is the package's share.
`heavy` names those of torch, transformers and matplotlib that got imported: none should be.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from arxiv_nbclf.runs import machine, versions

HEAVY = ("torch", "transformers", "matplotlib")
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
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 3)


def heavy(
    code: str,  # what a fresh interpreter runs
) -> list[str]:  # names out of HEAVY
    """Heavy libraries that the code imports."""
    guarded = f"import atexit; atexit.register(lambda: {TELL})\n{code}"
    done = subprocess.run([sys.executable, "-c", guarded], check=True, capture_output=True, text=True)
    return done.stderr.rpartition("heavy:")[2].split()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="?", help="not read; taken so that all benchmarks can be called alike")
    parser.add_argument("--times", type=int, default=7, help="fresh interpreters per figure (default 7)")
    options = parser.parse_args()
    record: dict[str, object] = {"benchmark": "startup", "bare_s": seconds("pass", options.times)}
    record |= {"import_s": seconds(IMPORT, options.times), "import_heavy": heavy(IMPORT)}
    record |= {"help_s": seconds(HELP, options.times), "help_heavy": heavy(HELP)}
    print(json.dumps(record | {"machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
