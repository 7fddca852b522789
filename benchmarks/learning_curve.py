"""What more papers would bring: the learning curve of a family on a table of papers: prints one JSON line.

    python benchmarks/learning_curve.py PAPERS.xlsx [--seeds 4] [--more PAPERS.parquet]

Six sizes, each half of the next, drawn from the train and validation papers of the seed split with some seeds (the largest size is
all of them); every model is scored on the split's test papers. Then the law fitted to each score, with what it says of ten times
the papers, and the groups that still gain with every doubling. With --more, the papers of another table (none of them in the first)
are added to the largest size, and what the law promised for so many is set beside what came of them.
"""

import argparse
import json
from time import perf_counter

import numpy as np
import pandas as pd
from _origin import origin

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.learning_curve import (
    METRICS,
    CannotExtrapolate,
    PowerLaw,
    fit_power_law,
    learning_curve,
)
from arxiv_nbclf.evaluation.metrics import evaluate
from arxiv_nbclf.preprocessing import label_ids, split_papers


def promised(power_law: PowerLaw, papers: int) -> list[float] | str:
    """What a law says of so many papers: score, low and high, or why it says nothing."""
    try:
        return [round(number, 4) for number in power_law.at(papers)]
    except CannotExtrapolate as error:
        return str(error)


def kept(laws: dict[str, PowerLaw], family: str, train_papers: pd.DataFrame, more: pd.DataFrame, test: pd.DataFrame) -> dict:
    """What came of the papers of another table, beside what was promised."""
    fresh = more[~more["aid"].isin(set(train_papers["aid"]) | set(test["aid"]))]
    papers, start = pd.concat([train_papers, fresh], ignore_index=True), perf_counter()
    scores = evaluate(new_classifier(family).fit(papers, label_ids(papers)), test)
    return {
        "papers": len(papers),
        "scores": {metric: round(getattr(scores, metric), 4) for metric in METRICS},
        "promised": {metric: promised(power_law, len(papers)) for metric, power_law in laws.items()},
        "f1": scores.per_class["f1"].round(3).to_dict(),
        "learnt": dict(zip(scores.labels, np.bincount(label_ids(papers)).tolist(), strict=True)),
        "seconds": round(perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--family", default="linear")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--more", help="a table with other papers, to see whether the law holds")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, test = label_ids(papers), (split_papers(papers, plan="seed") == "test").to_numpy()
    start = perf_counter()
    curve = learning_curve(
        lambda: new_classifier(arguments.family), (papers[~test], labels[~test]), (papers[test], labels[test]),
        seeds=range(arguments.seeds))
    laws = {metric: fit_power_law(curve, metric) for metric in METRICS}
    result = {
        "benchmark": "learning_curve",
        "family": arguments.family,
        "papers": len(papers),
        "n_test": int(test.sum()),
        **curve.to_dict(),
        "laws": {metric: power_law.to_dict() for metric, power_law in laws.items()},
        "seconds": round(perf_counter() - start, 1),
        **origin(),
    }
    if arguments.more:
        result["with_more"] = kept(laws, arguments.family, papers[~test], read_papers(arguments.more).papers, papers[test])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
