"""Fine-tuning by the fast recipe against a reference script, on the same rows and the same machine: prints one JSON line.

    python benchmarks/finetuning_speed.py PAPERS.xlsx [--reference SCRIPT] [--encoder minilm] [--rows 400] [--epochs 6] [--our-epochs 3] [--threads 2]

The reference is a script that fine-tunes by a plain recipe (blocks of a thousand texts padded to their longest, batches of eight
rows, fp32, learning rate 2e-5) and prints one JSON line with train_s, train_examples_per_s and validation_weighted_f1 by epoch. It is
called as `SCRIPT PAPERS --model FOLDER --rows N --epochs N --threads N --validate`. Both sides get the first rows of the same
train side, the same encoder and a window of 512 tokens, one after the other, each in a process of its own. Seconds are those of training
alone; validation is not counted on either side.
"""

import argparse
import json
import resource
import subprocess
import sys
from time import perf_counter

import numpy as np
from _origin import origin

from arxiv_nbclf.classifiers.encoders import find_encoder


def ours(arguments: argparse.Namespace) -> dict:
    """Train by the fast recipe and tell of each epoch."""
    import torch
    from sklearn.model_selection import train_test_split

    from arxiv_nbclf.classifiers.selection import make_classifier, parse_settings
    from arxiv_nbclf.data.papers import read_papers
    from arxiv_nbclf.preprocessing import label_ids

    torch.set_num_threads(arguments.threads)
    papers = read_papers(arguments.papers).papers
    labels = label_ids(papers)
    rest, test = train_test_split(np.arange(len(papers)), test_size=0.2, random_state=42, stratify=labels)
    train, validation = train_test_split(rest, test_size=0.1, random_state=42, stratify=labels[rest])
    train, test = train[: arguments.rows], test[: arguments.rows]
    settings = {"max_length": 512, "epochs": arguments.our_epochs, "patience": 0} | parse_settings(arguments.set)
    classifier = make_classifier("finetuned", arguments.encoder, settings)
    classifier.fit(papers.iloc[train], labels[train], validation=(papers.iloc[validation], labels[validation]))
    start = perf_counter()
    predicted = classifier.predict(papers.iloc[test])
    predict_s = perf_counter() - start
    seconds = [row["seconds"] for row in classifier.fitted_["epochs"]]
    return {
        "rows": len(train),
        "train_s": round(sum(seconds), 2),
        "train_examples_per_s": round(len(train) * len(seconds) / sum(seconds), 3),
        "predict_docs_per_s": round(len(test) / predict_s, 3),
        "accuracy": round(float((predicted == labels[test]).mean()), 4),
        "validation_weighted_f1": [round(row["weighted F1"], 4) for row in classifier.fitted_["epochs"]],
        "recipe": classifier.fitted_["recipe"],
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def said(command: list[str]) -> dict:
    """The last line of what a program prints, which is JSON."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} exited {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def until(result: dict, wanted: float) -> float | None:
    """Seconds of training until an epoch reaches a weighted F1 on validation; None if none does."""
    history = result["validation_weighted_f1"]
    reached = [epoch for epoch, f1 in enumerate(history, start=1) if f1 >= wanted]
    return round(result["train_s"] * reached[0] / len(history), 2) if reached else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a table of papers")
    parser.add_argument("--reference", help="the reference script; without it, only our side is run")
    parser.add_argument("--encoder", default="minilm", help="a name that find_encoder knows, or a folder")
    parser.add_argument("--rows", type=int, default=400, help="training rows of both sides")
    parser.add_argument("--epochs", type=int, default=6, help="of the reference, which learns slowly")
    parser.add_argument("--our-epochs", type=int, default=3, help="of the fast recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="a setting of the fine-tuned family")
    arguments = parser.parse_args()
    if not arguments.reference:
        print(json.dumps(ours(arguments)))
        return
    capped = ["--rows", str(arguments.rows), "--threads", str(arguments.threads)]
    changes = [word for setting in arguments.set for word in ("--set", setting)]
    fast = said([__file__, arguments.papers, "--encoder", arguments.encoder, *capped,
                 "--our-epochs", str(arguments.our_epochs), *changes])  # fmt: skip
    plain = said([arguments.reference, arguments.papers, "--model", str(find_encoder(arguments.encoder).folder), *capped,
                  "--epochs", str(arguments.epochs), "--validate"])  # fmt: skip
    best = max(plain["validation_weighted_f1"])
    reference_s, fast_s = until(plain, best), until(fast, best)
    result = {
        "benchmark": "finetuning_speed",
        "rows": arguments.rows,
        "reference": plain,
        "fast": fast,
        "examples_per_s_ratio": round(fast["train_examples_per_s"] / plain["train_examples_per_s"], 2),
        "best_f1_of_reference": best,
        "reference_s_to_its_best_f1": reference_s,
        "fast_s_to_that_f1": fast_s,
        "time_ratio": round(reference_s / fast_s, 1) if reference_s and fast_s else None,
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
