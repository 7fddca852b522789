"""How many papers a second the linear family scores from memory, in Python and in native code: prints one JSON line.

    python benchmarks/linear_speed.py PAPERS.xlsx [--score MORE.parquet] [--threads 2]

A classifier is fitted on the train papers of PAPERS and scores the papers of MORE (else PAPERS) in each way, in one run:
`python` is the definition of the features in Python, with scipy's sparse product, `native` the compiled scorer on one thread and on
several, from a papers table and from a list of joined texts. `labels_equal` is the share of papers that get the same label, and
`largest_difference` that of any score. `one_paper_ms` is the median for one paper once everything is loaded; `load_s` is what a fresh
interpreter spends on loading the compiled loops and their tables.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin
from scipy.sparse import csr_matrix

from arxiv_nbclf.classifiers.linear import (
    STOP_WORDS,
    LinearClassifier,
    _count_in_python,
    bucket,
    fold,
    tfidf,
    tokens,
)
from arxiv_nbclf.classifiers.native import new_hasher, new_scorer, score_small_batch
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, split_papers

LOAD = """
from time import perf_counter
from arxiv_nbclf.classifiers.linear import STOP_WORDS, fold
from arxiv_nbclf.classifiers.native import new_hasher, new_scorer
import numpy as np
start = perf_counter()
new_scorer(new_hasher(fold, STOP_WORDS), np.ones(65536), np.ones((8, 65536)), np.zeros(8))(["quark"])
print(perf_counter() - start)
"""


def timed(
    work: Callable[[], Any],  # what to do
    times: int = 5,  # how often; the quickest counts
) -> tuple[float, Any]:  # seconds, and what came out
    """Seconds of the quickest of some runs."""
    seconds = []
    for _ in range(times):
        start = perf_counter()
        result = work()
        seconds.append(perf_counter() - start)
    return min(seconds), result


def one_paper_ms(
    classifier: LinearClassifier,  # fitted
    texts: list[str],  # of which each is scored alone
) -> float:  # the median
    """Milliseconds for one paper, from its text to its probabilities."""

    def answer(text: str) -> np.ndarray:
        buckets = [bucket(token, classifier.bits) for token in tokens(text, classifier.pairs)]
        scores = score_small_batch([buckets], classifier.idf_, classifier.weights_, classifier.intercepts_)
        return classifier.calibration_(scores)

    return round(statistics.median(timed(lambda text=text: answer(text), 1)[0] for text in texts) * 1000, 3)  # type: ignore[misc]


def counts_in_python(
    texts: list[str],  # one a paper
    classifier: LinearClassifier,  # its settings
) -> csr_matrix:  # (n_texts, n_buckets)
    """The definition of the counts, without native code."""
    columns, ends = _count_in_python(texts, classifier.bits, classifier.pairs)
    ones = np.ones(len(columns), dtype=np.float32)
    counts = csr_matrix((ones, columns, ends), shape=(len(texts), 1 << classifier.bits))
    counts.sum_duplicates()
    return counts


def compare(
    classifier: LinearClassifier,  # fitted
    papers: pd.DataFrame,  # to score
    threads: int,  # for the threaded figures
) -> dict[str, Any]:
    """Papers a second in each way, and how far the results agree."""
    texts = classifier._texts(papers)
    hasher = new_hasher(fold, STOP_WORDS, classifier.bits, classifier.pairs, separator=classifier.separator)
    scorer = new_scorer(hasher, classifier.idf_, classifier.weights_, classifier.intercepts_)
    scorer(texts[:10])
    ways: dict[str, Callable[[], np.ndarray]] = {
        "python": lambda: (
            tfidf(counts_in_python(texts, classifier), classifier.idf_) @ classifier.weights_.T
            + classifier.intercepts_
        ),
        "native_1_thread": lambda: scorer(papers, 1),
        f"native_{threads}_threads": lambda: scorer(papers, threads),
        f"native_{threads}_threads_from_strings": lambda: scorer(texts, threads),
    }
    found = {name: timed(way, 1 if name == "python" else 3) for name, way in ways.items()}
    slow, fast = found["python"][1], found[f"native_{threads}_threads"][1]
    assert all(np.array_equal(scores, fast) for name, (_, scores) in found.items() if name != "python"), "threads change the scores"
    return {
        "papers_per_s": {name: round(len(texts) / seconds) for name, (seconds, _) in found.items()},
        "labels_equal": float(np.mean(slow.argmax(axis=1) == fast.argmax(axis=1))),
        "largest_difference": float(np.abs(slow - fast).max()),
        "one_paper_ms": one_paper_ms(classifier, texts[:500]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--score", help="another table, to be scored")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    papers = read_papers(options.papers).papers
    train = (split_papers(papers) == "train").to_numpy()
    scored = read_papers(options.score, purpose="prediction").papers if options.score else papers
    result: dict[str, Any] = {"benchmark": "linear_speed", "fitted_on": int(train.sum()), "papers": len(scored)}
    for pairs in (False, True):
        classifier = LinearClassifier(pairs=pairs, C=0.5).fit(papers[train], label_ids(papers[train]))
        result["words_and_pairs" if pairs else "words"] = compare(classifier, scored, options.threads)
    loads = [float(subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    print(json.dumps(result | {"load_s": round(min(loads), 2), **origin()}))


if __name__ == "__main__":
    main()
