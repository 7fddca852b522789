"""What each setting of the linear family is worth on a table of papers: prints one JSON line.

    python benchmarks/linear_settings.py PAPERS.xlsx

One setting is changed at a time from the defaults. Each is scored five-fold out of fold under two shuffles (seeds 1 and 2) of the papers that are
not test papers of the seed split: the defaults are chosen here, and judged by the test papers.
"""

import argparse
import json

import numpy as np
from _origin import origin
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, paper_texts, split_papers

CHANGES: list[dict[str, object]] = [
    {},
    {"class_weight": 0.5},
    {"class_weight": 1.0},
    {"offsets": False},
    {"pairs": True},
    {"bits": 14},
    {"bits": 18},
    {"text_plan": "letters"},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    arguments = parser.parse_args()
    table = read_papers(arguments.papers).papers
    papers = table[split_papers(table, plan="seed") != "test"]
    texts, labels = paper_texts(papers), label_ids(papers)
    rows = []
    for change in CHANGES:
        scores = []
        for seed in (1, 2):
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            predicted = cross_val_predict(new_classifier("linear", **change), texts, labels, cv=folds)
            scores.append((accuracy_score(labels, predicted), f1_score(labels, predicted, average="macro")))
        accuracy, macro_f1 = np.mean(scores, axis=0).round(4).tolist()
        rows.append({"change": change, "accuracy": accuracy, "macro_f1": macro_f1})
    record = {"benchmark": "linear_settings", "papers": len(papers), "settings": rows, **origin()}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
