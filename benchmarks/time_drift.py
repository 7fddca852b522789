"""Does a model age, and are new papers like old ones? Asked of real tables with the linear family: prints one JSON line.

    python benchmarks/time_drift.py PAPERS.xlsx [--more PAPERS.parquet]

The split plan time: a model of the older papers, scored month by month on older ones that were held out and on the newest. Beside each
month stands what was to be expected of its groups, and the share of its papers whose category no training paper had. Then the drift
report for two halves of the table, for papers from before 2025 and from September 2025 on, and, with --more, for 8,000 papers of the
other table. No paper is named.
"""

import argparse
import json
from time import perf_counter

import pandas as pd
from _origin import origin

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.drift import (
    drift_report,
    drift_verdict,
    temporal_split_scores,
)


def over_time(papers: pd.DataFrame) -> dict:
    """Scores by month, and what they say."""
    begin = perf_counter()
    table = temporal_split_scores(lambda: new_classifier("linear"), papers, min_papers=200)
    seconds = round(perf_counter() - begin, 1)
    return {"verdict": drift_verdict(table), "months": table.round(4).to_dict(orient="records"), "seconds": seconds}


def drift(before: pd.DataFrame, after: pd.DataFrame) -> dict:
    """The report without its words, which would be many."""
    begin = perf_counter()
    report = drift_report(before, after).to_dict()
    report["words"] = [row["word"] for row in report["words"][:10]]
    return report | {"seconds": round(perf_counter() - begin, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--more", help="another table")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    shuffled = papers.sample(frac=1, random_state=0)
    tables = {f"{len(papers):,} papers": papers}
    pairs = {
        "two halves": (shuffled[: len(papers) // 2], shuffled[len(papers) // 2 :]),
        "before 2025, from September 2025": (papers[papers.published < "2025-01-01"], papers[papers.published >= "2025-09-01"]),
    }
    if arguments.more:
        more = read_papers(arguments.more).papers
        tables[f"{len(more):,} papers"] = more
        pairs["another table"] = (papers, more.sample(8_000, random_state=0))
    result = {
        "benchmark": "time_drift",
        "family": "linear",
        "papers": len(papers),
        "over_time": {name: over_time(table) for name, table in tables.items()},
        "drift": {name: drift(*pair) for name, pair in pairs.items()},
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
