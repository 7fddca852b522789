"""What each setting of the hybrid family is worth on a table of papers: prints one JSON line.

    python benchmarks/hybrid_settings.py PAPERS.xlsx

The defaults, then one setting at a time changed without group offsets, which is quicker. Each is scored five-fold out of fold under
two shuffles (seeds 1 and 2) of the papers that are not test papers of the seed split: the defaults are chosen here, and judged by the
test papers. Features are encoded on the first change that needs them, and found again after that.
"""

import argparse
import json
from typing import Any

import numpy as np
from _origin import origin
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, paper_texts, split_papers

OTHERS: list[dict[str, Any]] = [
    {},
    {"encoder_weight": 0.35},
    {"encoder_weight": 1.4},
    {"class_weight": 0.5},
    {"class_weight": 1.0},
    {"C": 0.125},
    {"C": 0.5},
    {"pairs": True},
]
CHANGES: list[dict[str, Any]] = [{}, *({"offsets": False} | other for other in OTHERS)]


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
            predicted = np.empty_like(labels)
            for fit, held_out in StratifiedKFold(5, shuffle=True, random_state=seed).split(labels, labels):
                known, few = [texts[row] for row in fit], fit[:100]  # a validation spares the out-of-fold fits for calibration,
                validation = [texts[row] for row in few], labels[few]  # which changes no prediction
                classifier = new_classifier("hybrid", **change).fit(known, labels[fit], validation=validation)
                predicted[held_out] = classifier.predict([texts[row] for row in held_out])
            scores.append((accuracy_score(labels, predicted), f1_score(labels, predicted, average="macro")))
        accuracy, macro_f1 = np.mean(scores, axis=0).round(4).tolist()
        rows.append({"change": change, "accuracy": accuracy, "macro_f1": macro_f1})
    record = {"benchmark": "hybrid_settings", "papers": len(papers), "settings": rows, **origin()}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
