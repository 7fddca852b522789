"""Exports of a fine-tuned model against the original and a reference script, on the same papers and machine: prints one JSON line.

    python benchmarks/export_speed.py PAPERS.xlsx [--reference SCRIPT] [--encoder minilm] [--rows 3600] [--model DIR] [--threads 2]

A model is fine-tuned on the first rows of the train side (or read from DIR) and exported to ONNX in 32 and in 8 bits, and as a cascade,
whose first reader learns from the whole train side and whose bars are found on validation. All of them answer the test side:
`agreement` compares each export with the original in full precision, paper by paper, and `scores` are those against the true groups.
Papers per second are measured on the first `--timed` papers of the test side, tokenising included. The reference is a script that predicts
by a plain recipe (blocks of a thousand texts padded to their longest, batches of eight) and prints one JSON line with predict_docs_per_s.
It is called as `SCRIPT PAPERS --model FOLDER --rows N --epochs 0.05 --threads N` and predicts the same papers; the 8-bit export and the
cascade are timed before and after it, and the slower figure counts.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _origin import origin
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from arxiv_nbclf.classifiers.tokenization import tokenize
from arxiv_nbclf.deployment.onnx import CascadeClassifier
from arxiv_nbclf.classifiers.base import load_classifier
from arxiv_nbclf.classifiers.encoders import find_encoder
from arxiv_nbclf.deployment.export import compare_probabilities, export_model
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.export import float32_scores
from arxiv_nbclf.preprocessing import label_ids, paper_texts
from arxiv_nbclf.training.finetuned import FineTunedClassifier

EXPORTED_FAMILIES = ("onnx", "onnx-int8", "onnx-cascade")


def reference_speed(
    script: str,
    papers: str,  # a table
    encoder: Path,  # a folder
    rows: int,  # papers to predict
    threads: int,
) -> dict[str, Any]:  # what it printed
    """Let the reference predict, after next to no training."""
    words = [papers, "--model", str(encoder), "--rows", str(rows), "--epochs", "0.05", "--threads", str(threads)]
    with TemporaryDirectory() as scratch:
        done = subprocess.run([sys.executable, script, *words, "--out", scratch], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script} exited {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def papers_per_s(
    predict: Callable[[Any], Any],
    papers: Any,  # to predict
) -> float:
    """How many papers are predicted in a second."""
    predict(papers[:2])
    start = perf_counter()
    predict(papers)
    return round(len(papers) / (perf_counter() - start), 2)


def one_paper_ms(
    predict: Callable[[Any], Any],
    papers: Any,  # each is asked about alone
) -> float:  # the median
    """Milliseconds until one paper is answered, once the model is loaded."""
    seconds = []
    for row in range(len(papers)):
        start = perf_counter()
        predict(papers[row : row + 1])
        seconds.append(perf_counter() - start)
    return round(median(seconds) * 1000, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a table of papers")
    parser.add_argument("--reference", help="the reference script; without it, only our side is run")
    parser.add_argument("--encoder", default="minilm", help="a name that find_encoder knows, or a folder")
    parser.add_argument("--model", help="a fine-tuned model of this table's train side; without it, one is trained")
    parser.add_argument("--rows", type=int, default=3600, help="papers to train on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--test", type=int, default=3000, help="papers to compare by, at most")
    parser.add_argument("--timed", type=int, default=512, help="of these, papers to be timed with")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    papers = read_papers(options.papers).papers
    labels = label_ids(papers)
    rest, test = train_test_split(np.arange(len(papers)), test_size=0.2, random_state=42, stratify=labels)
    train, validation = train_test_split(rest, test_size=0.1, random_state=42, stratify=labels[rest])
    test, timed = test[: options.test], papers.iloc[test[: options.timed]]
    with TemporaryDirectory() as scratch:
        model = options.model or f"{scratch}/model"
        if not options.model:
            classifier = FineTunedClassifier(encoder=options.encoder, epochs=options.epochs, patience=0)
            train = train[: options.rows]
            held = validation[:500]
            classifier.fit(papers.iloc[train], labels[train], validation=(papers.iloc[held], labels[held])).save(model)
        original = load_classifier(model)
        assert isinstance(original, FineTunedClassifier)
        texts = paper_texts(papers.iloc[test], original.resolved().text_plan)
        probabilities = {"original": original.calibration_(float32_scores(original, texts))}
        speeds = {"original": papers_per_s(original.predict_proba, timed)}
        latencies = {"original": one_paper_ms(original.predict_proba, timed[:60])}
        sizes, paces, exports = {}, {}, {}
        for to in EXPORTED_FAMILIES:
            given = papers if to == "onnx-cascade" else papers.iloc[validation[:200]]
            made = export_model(model, to, f"{scratch}/{to}", papers=given)
            exports[to] = export = load_classifier(made.folder)
            for graph in getattr(export, "stages_", [None, export])[1:]:
                graph.set_batching(graph.batching, options.threads)
            probabilities[to], speeds[to] = export.predict_proba(texts), papers_per_s(export.predict_proba, timed)
            latencies[to] = one_paper_ms(export.predict_proba, timed[:60])
            sizes[to] = sum(path.stat().st_size for path in made.folder.rglob("*.onnx"))
            paces[to] = made.record.get("paces", made.record.get("answered_by"))
        assert isinstance(export, CascadeClassifier)
        cascade = {name: made.record[name] for name in ("answered_by", "bars", "held")}
        cascade["test_answered_by"] = np.bincount(export.predict_by_stage(texts)[1], minlength=3).tolist()
        reference = None
        if options.reference:
            folder = find_encoder(options.encoder).folder
            reference = reference_speed(options.reference, options.papers, folder, options.timed, options.threads)
            speeds["reference"] = reference["predict_docs_per_s"]
            for to in EXPORTED_FAMILIES[1:]:
                again = papers_per_s(exports[to].predict_proba, timed)
                speeds |= {f"{to}, before and after": [speeds[to], again], to: min(speeds[to], again)}  # type: ignore[dict-item]
        tokens = tokenize(original.tokenizer_, original._texts(timed), original.resolved().max_length)
        scores = {
            name: {
                "accuracy": round(float((found.argmax(axis=1) == labels[test]).mean()), 4),
                "macro_f1": round(float(f1_score(labels[test], found.argmax(axis=1), average="macro", zero_division=0)), 4),
            }
            for name, found in probabilities.items()
        }
    result = {
        "benchmark": "export_speed",
        "encoder": options.encoder,
        "trained_on": len(train) if not options.model else original.fitted_["n_train"],
        "test": len(test),
        "timed": len(timed),
        "threads": options.threads,
        "max_length": original.resolved().max_length,
        "mean_tokens": round(float(tokens.lengths.mean()), 1),
        "papers_per_s": speeds,
        "ratio_to_reference": {to: round(speeds[to] / speeds["reference"], 2) for to in EXPORTED_FAMILIES[1:]} if reference else None,
        "one_paper_ms": latencies,
        "reference": reference,
        "agreement": {to: asdict(compare_probabilities(probabilities["original"], probabilities[to])) for to in EXPORTED_FAMILIES},
        "scores": scores,
        "macro_f1_difference": {to: round(scores[to]["macro_f1"] - scores["original"]["macro_f1"], 4) for to in EXPORTED_FAMILIES},
        "cascade": cascade,
        "graph_bytes": sizes,
        "paces": paces,
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
