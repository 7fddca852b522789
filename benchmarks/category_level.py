"""Categories by linear and hybrid, learnt from the same papers, beside the packaged model: prints one JSON line.

    python benchmarks/category_level.py PAPERS.xlsx NATURAL.parquet [MORE.parquet …] [--family linear hybrid]

The tables are divided as `packaged_model.py` does it: the test papers of the first table's seed split score, its validation papers and 10,000
of the second table calibrate, all others are learnt from, near-duplicates of the former left out. Hybrid encodes every paper first: about
30 processor minutes for 88,000; the cache of features keeps them.
"""

import argparse
import json
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin
from packaged_model import divide

from arxiv_nbclf.classifiers.base import Classifier, new_classifier
from arxiv_nbclf.deployment.prediction import load_packaged
from arxiv_nbclf.evaluation.intervals import (
    compare_levels,
    level_intervals,
    score_intervals,
)
from arxiv_nbclf.evaluation.metrics import LevelScores, score_level
from arxiv_nbclf.preprocessing import (
    class_ids,
    label_ids,
    listed_labels,
    paper_labels,
)


def level_scores(
    classifier: Classifier,  # of categories
    papers: pd.DataFrame,  # with their codes
    classes: tuple[str, ...],  # of all models; what one does not know has probability 0
) -> LevelScores:
    """Scores of categories, over the classes that are compared."""
    columns = [classes.index(name) for name in classifier.labels_]
    probabilities, listed, thresholds = np.zeros((len(papers), len(classes))), np.zeros((len(papers), len(classes))), np.ones(len(classes))
    probabilities[:, columns] = classifier.predict_proba(papers, level="category")
    listed[:, columns] = classifier.predict_listed_proba(papers)
    thresholds[columns] = classifier.listed_.thresholds  # type: ignore[union-attr]
    decided = listed >= thresholds
    decided[np.arange(len(papers)), probabilities.argmax(axis=1)] = True
    labels = class_ids(paper_labels(papers, "category"), classes)
    return score_level(labels, probabilities, classes, listed_labels(papers, classes), listed, decided)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="files of papers, two at least; the first is split")
    parser.add_argument("--family", nargs="+", default=["linear", "hybrid"])
    arguments = parser.parse_args()
    learnt, calibrate, test, prior, _ = divide(arguments.tables)
    codes, of_held = (paper_labels(some, "category").tolist() for some in (learnt, calibrate))
    models, seconds = {}, {}
    for family in arguments.family:
        start = perf_counter()
        models[family] = new_classifier(family, level="group")
        models[family].class_prior = prior
        models[family].fit(learnt, codes, validation=(calibrate, of_held))
        seconds[family] = round(perf_counter() - start, 1)
    models["packaged"] = load_packaged()
    classes = tuple(sorted(set.union(*(set(model.labels_) for model in models.values()))))
    scored = test[np.isin(paper_labels(test, "category"), classes)]
    levels = {name: level_scores(model, scored, classes) for name, model in models.items()}
    truth = label_ids(test)
    result: dict[str, Any] = {"benchmark": "category_level", "papers": len(learnt), "n_test": len(scored), "classes": len(classes)}
    for name, scores in levels.items():
        groups = score_intervals(truth, models[name].predict_proba(test, level="group")).scores
        result[name] = {
            "seconds": seconds.get(name),
            "category": level_intervals(scores).scores.round(4).to_dict("index"),
            "group": groups.round(4).to_dict("index"),
        }
    first, *others = levels
    result["gains"] = {
        f"{name} over {first}": compare_levels(levels[first], levels[name]).to_dict()["metrics"] for name in others
    }
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
