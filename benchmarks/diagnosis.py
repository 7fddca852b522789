"""Where the families fail on a table of papers, how lenient one may be, how many labels are doubtful: prints one JSON line.

    python benchmarks/diagnosis.py PAPERS.xlsx

Two judgements of each family: the seed split's test papers by a model of its train papers (validation chooses), and all papers out
of fold, by models that have not seen them (group offsets and calibration are fitted on those very scores, so these figures flatter a
little). Strict and lenient accuracy, what the choice among cross-lists leaves within reach, suspect labels by confident learning,
scores by era, cross-listing and length, and the most confused pairs. No paper is named.
"""

import argparse
import json
from importlib.metadata import version
from time import perf_counter

import numpy as np
import pandas as pd
from _origin import origin
from _scores import fitted, five_fold

from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.error_analysis import (
    BIN_FUNCTIONS,
    ambiguity_bound,
    confused_pairs,
    label_issues_table,
    lenient_accuracy,
    scores_by,
)
from arxiv_nbclf.preprocessing import label_ids, split_papers

FAMILIES = ("linear", "hybrid")


def judged(papers: pd.DataFrame, labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Strict, lenient, and what is within reach, of papers that the model has not seen."""
    predicted, ceiling = probabilities.argmax(axis=1), ambiguity_bound(papers, probabilities)
    assert ceiling.text is not None and ceiling.text_interval is not None  # they are there where probabilities are given
    return {
        "papers": len(papers),
        "strict": round(float((predicted == labels).mean()), 4),
        "lenient": round(lenient_accuracy(papers, predicted), 4),
        "ceiling": {
            "of_several_groups": ceiling.cross_listed,
            "coin": round(ceiling.random_choice, 4),
            "habit": round(ceiling.majority_choice, 4),
            "text": round(ceiling.text, 4),
            "text_interval": [round(end, 4) for end in ceiling.text_interval],
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    papers = read_papers(parser.parse_args().papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    train, validation, test = ((split == side).to_numpy() for side in ("train", "validation", "test"))
    families = {}
    for family in FAMILIES:
        of_test = fitted(family, papers[train], papers[validation]).predict_proba(papers[test])
        out_of_fold = five_fold(family, papers)
        begin = perf_counter()
        suspects = label_issues_table(papers, labels, out_of_fold)
        families[family] = {
            "test": judged(papers[test], labels[test], of_test),
            "out_of_fold": judged(papers, labels, out_of_fold),
            "suspects": {
                "papers": len(suspects),
                "listed_under_the_predicted_group": int(suspects["listed"].sum()),
                "by_label": suspects["label"].value_counts().sort_index().to_dict(),
                "seconds": round(perf_counter() - begin, 2),
            },
            "scores_by": {by: scores_by(papers, labels, out_of_fold, by).round(4).to_dict(orient="records") for by in BIN_FUNCTIONS},
            "confused_pairs": confused_pairs(papers, labels, out_of_fold).round(4).to_dict(orient="records"),
        }
    result = {
        "benchmark": "diagnosis",
        "papers": len(papers),
        "families": families,
        **origin({"cleanlab": version("cleanlab")}),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
