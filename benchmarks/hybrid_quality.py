"""How good the hybrid family is beside the linear one, and what it costs, on a table of papers: prints one JSON line.

    python benchmarks/hybrid_quality.py PAPERS.xlsx [--threads 2] [--cold]

`hybrid` is what `run` does where a table has categories: groups learnt directly and through categories, and blended;
`hybrid_groups` learns groups alone.
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
from _scores import VARIANTS, figures, fitted, five_fold, gains

from arxiv_nbclf.classifiers.embeddings import encoder_features
from arxiv_nbclf.classifiers.encoders import find_encoder
from arxiv_nbclf.classifiers.hybrid import HybridClassifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, split_papers


def both_gains(labels: np.ndarray, predicted: dict[str, np.ndarray]) -> dict[str, Any]:
    """What hybrid has over linear, and what learning categories too has over groups alone."""
    return {
        "gain": gains(labels, predicted["linear"], predicted["hybrid"]),
        "gain_of_categories": gains(labels, predicted["hybrid_groups"], predicted["hybrid"]),
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
    read = perf_counter()
    settings = HybridClassifier()
    encoded = encoder_features(
        settings._texts(papers), find_encoder(settings.encoder), settings.max_length, settings.truncation, settings.precision, arguments.threads
    )
    encode_s = perf_counter() - read

    side = {name: (split == name).to_numpy() for name in ("train", "validation", "test")}
    seed_split: dict[str, dict] = {}
    predicted: dict[str, np.ndarray] = {}
    for name in reversed(VARIANTS):  # hybrid first, so that the peak of memory is its own
        begin = perf_counter()
        classifier = fitted(name, papers[side["train"]], papers[side["validation"]])
        fit_s = perf_counter() - begin
        probabilities = classifier.predict_proba(papers[side["test"]])
        times = {"fit_s": round(fit_s, 2), "predict_s": round(perf_counter() - begin - fit_s, 2)}
        predicted[name] = probabilities.argmax(axis=1)
        seed_split[name] = {"chosen": classifier.fitted_} | figures(labels[side["test"]], probabilities) | times
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    of_folds = {name: five_fold(name, papers) for name in VARIANTS}
    out_of_fold = {name: probabilities.argmax(axis=1) for name, probabilities in of_folds.items()}
    scores = {name: figures(labels, probabilities) for name, probabilities in of_folds.items()}
    result = {
        "benchmark": "hybrid_quality",
        "papers": len(papers),
        "n_test": int(side["test"].sum()),
        "five_fold": scores | both_gains(labels, out_of_fold),
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
