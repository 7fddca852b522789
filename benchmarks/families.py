"""All families on the same papers, and their ensemble: prints one JSON line.

    python benchmarks/families.py PAPERS.xlsx [--work FOLDER] [--encoder minilm] [--set finetuned.epochs=3]

The seed split's train papers are fitted by each member of the ensemble, validation chooses and calibrates, and test is scored once
by each member, by their blend, by the blend with thresholds, by hybrid as `run` fits it (groups and categories, where the ensemble's member
learns groups alone), and by the packaged model: one run, one table. Scores and differences come
with 95 % intervals from a bootstrap over test papers; differences are paired, both models on the same resample. Fitted members stay in
the folder, and a fine-tuning that was interrupted goes on from its last epoch when the command is given again.
"""

import argparse
import json
import resource
from pathlib import Path
from time import perf_counter

import numpy as np
from _origin import origin
from _scores import METRICS, figures, fitted, gains

from arxiv_nbclf.classifiers.ensemble import OFFSET_GRID, log_probabilities
from arxiv_nbclf.classifiers.linear import fit_offsets
from arxiv_nbclf.classifiers.selection import make_classifier, parse_settings
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import load_packaged
from arxiv_nbclf.evaluation.intervals import score_intervals
from arxiv_nbclf.preprocessing import label_ids, split_papers


def intervals(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list[float]]:
    """The ends of each score's 95 % interval."""
    table = score_intervals(labels, probabilities).scores
    return {name: table.loc[name, ["low", "high"]].round(6).tolist() for name in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--work", type=Path, default=Path("runs/families"), help="where fitted members are kept")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--set", action="append", default=[], help="a setting, as of arxiv-nbclf run --family ensemble")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    train, validation, test = ((papers[split == name], labels[split == name]) for name in ("train", "validation", "test"))

    ensemble = make_classifier("ensemble", arguments.encoder, parse_settings(arguments.set))
    ensemble.work_folder = arguments.work
    start = perf_counter()
    ensemble.fit(*train, validation=validation)
    fit_end = perf_counter()
    names = {"hybrid": "hybrid_groups"}
    probabilities = {names.get(member.family, member.family): member.predict_proba(test[0]) for member in ensemble.members_}  # type: ignore[attr-defined]
    probabilities["ensemble"] = ensemble.predict_proba(test[0])
    scored = perf_counter()
    offsets = fit_offsets(log_probabilities(ensemble.predict_proba(validation[0])), validation[1], OFFSET_GRID)
    probabilities["ensemble with thresholds"] = np.exp(log_probabilities(probabilities["ensemble"]) + offsets)
    probabilities["ensemble with thresholds"] /= probabilities["ensemble with thresholds"].sum(axis=1, keepdims=True)

    probabilities["hybrid"] = fitted("hybrid", train[0], validation[0]).predict_proba(test[0])
    probabilities["packaged"] = load_packaged().predict_proba(test[0])

    predicted = {name: found.argmax(axis=1) for name, found in probabilities.items()}
    result = {
        "benchmark": "families",
        "papers": len(papers),
        "n_test": len(test[1]),
        "scores": {name: figures(test[1], found) for name, found in probabilities.items()},
        "intervals": {name: intervals(test[1], found) for name, found in probabilities.items()},
        "gains": {
            f"{name} over {other}": gains(test[1], predicted[other], predicted[name])
            for name in predicted
            for other in ("linear", "hybrid")
            if name not in ("linear", other)
        },
        "fitted": ensemble.fitted_,
        "fit_s": round(fit_end - start, 1),
        "score_s": round(scored - fit_end, 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
