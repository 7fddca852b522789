"""How good the hybrid family is beside the linear one, and what it costs, on a table of papers: prints one JSON line.

    python benchmarks/hybrid_quality.py PAPERS.xlsx [--threads 2] [--cold]

`hybrid_both` is what `run` does where a table has categories: groups learnt directly and through categories, and blended.
Five-fold out of fold (stratified, shuffled, seed 0): every paper is scored by a model that has not seen it; the family's own
choices are made anew inside each fold's training papers. Then the main job: the seed split's train papers fitted, its test papers
scored. Differences from linear come with the ends of 95 % intervals (both models on the same resampled papers). Features are
encoded once, before; with --cold into an empty folder, and the seconds of that are told.
"""

import argparse
import json
import os
import resource
import tempfile
from time import perf_counter
from typing import Any

import numpy as np
from _origin import origin
from _scores import figures, gains
from sklearn.model_selection import StratifiedKFold

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.classifiers.embeddings import encoder_features
from arxiv_nbclf.classifiers.encoders import find_encoder
from arxiv_nbclf.classifiers.hybrid import HybridClassifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import (
    LABELS,
    label_ids,
    paper_labels,
    split_papers,
)
from arxiv_nbclf.runs import MIN_PAPERS_OF_GROUPS

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "hybrid": ("hybrid", {}),
    "hybrid_both": ("hybrid", {"level": "group", "learn": "both", "min_papers": MIN_PAPERS_OF_GROUPS}),
}


def both_gains(labels: np.ndarray, predicted: dict[str, np.ndarray]) -> dict[str, Any]:
    """What hybrid has over linear, and both levels over groups alone."""
    return {
        "gain": gains(labels, predicted["linear"], predicted["hybrid"]),
        "gain_of_both": gains(labels, predicted["hybrid"], predicted["hybrid_both"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--threads", type=int, default=2, help="processor threads for encoding")
    parser.add_argument("--cold", action="store_true", help="encode into an empty folder, and measure that")
    arguments = parser.parse_args()
    if arguments.cold:
        os.environ["ARXIV_NBCLF_CACHE"] = tempfile.mkdtemp()
    start = perf_counter()
    papers = read_papers(arguments.papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    codes = paper_labels(papers, "category")
    read = perf_counter()
    settings = HybridClassifier()
    encoded = encoder_features(
        settings._texts(papers), find_encoder(settings.encoder), settings.max_length, settings.truncation, settings.precision, arguments.threads
    )
    encode_s = perf_counter() - read

    side = {name: (split == name).to_numpy() for name in ("train", "validation", "test")}
    seed_split: dict[str, dict] = {}
    predicted: dict[str, np.ndarray] = {}
    for name, (family, settings_of) in reversed(VARIANTS.items()):  # hybrid first, so that the peak of memory is its own
        begin = perf_counter()
        classifier, named = new_classifier(family, **settings_of), codes if settings_of else labels
        train, validation = ((papers[side[part]], named[side[part]].tolist()) for part in ("train", "validation"))
        classifier.fit(*train, validation=validation)
        fitted = perf_counter()
        probabilities = classifier.predict_proba(papers[side["test"]])
        times = {"fit_s": round(fitted - begin, 2), "predict_s": round(perf_counter() - fitted, 2)}
        predicted[name] = probabilities.argmax(axis=1)
        seed_split[name] = {"chosen": classifier.fitted_} | figures(labels[side["test"]], probabilities) | times
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    five_fold, out_of_fold = {}, {}
    for name, (family, settings_of) in VARIANTS.items():
        named = codes if settings_of else labels
        probabilities = np.empty((len(labels), len(LABELS)))
        for fit, held_out in StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels):
            classifier = new_classifier(family, **settings_of).fit(papers.iloc[fit], named[fit].tolist())
            probabilities[held_out] = classifier.predict_proba(papers.iloc[held_out])
        five_fold[name], out_of_fold[name] = figures(labels, probabilities), probabilities.argmax(axis=1)
    result = {
        "benchmark": "hybrid_quality",
        "papers": len(papers),
        "n_test": int(side["test"].sum()),
        "five_fold": five_fold | both_gains(labels, out_of_fold),
        "seed_split": seed_split | both_gains(labels[side["test"]], predicted),
        "encoding": {
            "seconds": round(encode_s, 1),
            "computed": encoded.computed,
            "cached": encoded.cached,
            "cut": encoded.truncated,
            "threads": arguments.threads,
        },
        "read_s": round(read - start, 2),
        "peak_memory_gb": round(peak_gb, 2),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
