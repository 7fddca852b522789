"""What more papers would bring: the learning curve of a family on a table of papers: prints one JSON line.

    python benchmarks/learning_curve.py PAPERS.xlsx

Six sizes, each half of the next, drawn from the train and validation papers of the seed split with two seeds (the largest size is
all of them); every model is scored on the split's test papers. Then the law fitted to each score, with what it says of ten times
the papers, and the groups that still gain with every doubling.
"""

import argparse
import json
from time import perf_counter

from arxiv_nbclf.classifier import new_classifier
from arxiv_nbclf.learning_curve import METRICS, fit_law, learning_curve
from arxiv_nbclf.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, split_papers
from arxiv_nbclf.runs import machine, versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--family", default="linear")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, test = label_ids(papers), (split_papers(papers, plan="seed") == "test").to_numpy()
    start = perf_counter()
    curve = learning_curve(
        lambda: new_classifier(arguments.family), (papers[~test], labels[~test]), (papers[test], labels[test]),
        seeds=range(arguments.seeds))
    result = {
        "benchmark": "learning_curve",
        "family": arguments.family,
        "papers": len(papers),
        "n_test": int(test.sum()),
        **curve.to_dict(),
        "laws": {metric: fit_law(curve, metric).to_dict() for metric in METRICS},
        "seconds": round(perf_counter() - start, 1),
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
