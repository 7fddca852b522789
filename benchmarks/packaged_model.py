"""Make the model that comes with the package, score it, and write its card: prints one JSON line.

    python benchmarks/packaged_model.py PAPERS.xlsx MORE.parquet --out arxiv_nbclf/models/NAME

The first table is divided as the seed split does; its test papers are for the scores and nothing else, its validation papers stay out as
well. The model learns from its train papers and from all papers of the other tables, but for those that the first table holds on its
other sides, near-duplicates too. C, group offsets and calibration are chosen out of fold, on training papers. The same tables, seed and
versions of the libraries give the same bytes on any processor. Without `--out` the model is only scored. `--search` prints what each setting reaches
out of fold, and makes no model.
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin

from arxiv_nbclf.classifiers.calibration import calibration_error
from arxiv_nbclf.classifiers.linear import (
    STOP_WORDS,
    accuracy_plus_macro_f1,
    choose_C,
    fold,
    tfidf_builder,
)
from arxiv_nbclf.classifiers.native import count_natively, new_hasher
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import file_records
from arxiv_nbclf.deployment.prediction import CompactClassifier
from arxiv_nbclf.evaluation.intervals import score_intervals
from arxiv_nbclf.preprocessing import (
    LABELS,
    PaperSketch,
    _name_hashes,
    label_ids,
    split_papers,
)

SETTINGS: dict[str, Any] = {"C": 0.25, "class_weight": 0.75}  # the best of GRID out of fold, on training papers alone: `--search`
GRID = [(0.25, 0.75), (0.5, 0.5), (0.5, 0.75), (0.5, 1.0), (1.0, 0.75)]  # of C and class_weight


def divide(
    tables: list[str],  # the first is split, the others are learnt from
) -> tuple[pd.DataFrame, int, pd.DataFrame, int]:  # train papers, those of the first table, test papers, left out
    """Which papers to learn from and which to score."""
    first, *others = (read_papers(table).papers for table in tables)
    split = split_papers(first, plan="seed")
    train, kept_out = first[split == "train"], first[split != "train"]
    more = pd.concat(others, ignore_index=True) if others else first.head(0)
    known = PaperSketch.of(kept_out).contains(more)
    learnt = pd.concat([train, more[~known]], ignore_index=True)
    return learnt.drop_duplicates("aid", ignore_index=True), len(train), first[split == "test"], int(known.sum())


def search(
    papers: pd.DataFrame,  # to learn from
    first: int,  # how many of them, at the beginning, are of the first table: like those that are tested
) -> list[dict[str, Any]]:
    """Out-of-fold accuracy and macro F1 of each setting of GRID, before rounding to a byte."""
    labels, found = label_ids(papers), []
    features = tfidf_builder(count_natively(papers, new_hasher(fold, STOP_WORDS, pairs=True, separator=" ")))
    for C, class_weight in GRID:
        predicted = choose_C(features, labels, (C,), class_weight)[2].argmax(axis=1)
        row: dict[str, Any] = {"C": C, "class_weight": class_weight}
        for name, part in (("all", slice(None)), ("first_table", slice(first))):
            accuracy = float(np.mean(predicted[part] == labels[part]))
            row[name] = {
                "accuracy": round(accuracy, 4),
                "macro_f1": round(accuracy_plus_macro_f1(labels[part], predicted[part]) - accuracy, 4),
            }
        found.append(row)
    return found


def months(
    papers: pd.DataFrame,  # with dates
) -> tuple[str, str]:  # 2014-02, 2026-08
    """The first and the last month."""
    return papers.published.min().strftime("%Y-%m"), papers.published.max().strftime("%Y-%m")


def card(
    made: dict[str, Any],  # what the bundle keeps about itself
    per_class: pd.DataFrame,  # precision, recall, f1, support of each group
    tables: list[dict[str, Any]],  # names, sizes and digests
    size: int,  # bytes of the weights
) -> str:
    """The model's card in Markdown."""
    groups = "\n".join(
        f"| {name} | {made['per_group'][name]:,} | {row.precision:.3f} | {row.recall:.3f} | {row.f1:.3f} | {row.support:,.0f} |"
        for name, row in per_class.iterrows()
    )
    sources = "\n".join(f"  - `{table['file']}`, {table['bytes']:,} bytes, sha256 `{table['sha256']}`" for table in tables)
    span = {name: f"{made[name]:.3f} ({low:.3f} to {high:.3f})" for name, (low, high) in made["intervals"].items()}
    return f"""# {made["name"]}

A linear model of words and word pairs that names which of arXiv's eight groups a paper belongs to, from its title and abstract in
English. It comes with `arxiv_nbclf` and answers where no other model is named. It is {size / 1e6:.2f} MB of weights; neither a vocabulary
nor the text of any paper is in it, but hashes of ids and titles, by which `evaluate` leaves out what it has learnt from.

## What it is made of

- Family `compact`: words and pairs hashed to 65,536 buckets, sublinear tf-idf, one-against-rest linear support vector machines,
  a byte a weight. C = {made["settings"]["C"]}, class weights n^-{made["settings"]["class_weight"]}, group offsets. These choices and the
  calibration were made out of fold, on papers that it was trained on.
- Trained on {made["papers"]:,} real papers of {made["from"]} to {made["to"]}. These very weights were scored below: the test papers
  are not among what they were trained on, nor are the {made["n_validation"]:,} validation papers of the same split.
- Made by `python benchmarks/packaged_model.py TABLE TABLE --out {made["name"]}` from these tables, the first of which was split:
{sources}

## How good it is

On the {made["n_test"]:,} test papers of the first table's seed split, none of which it has seen (95 % intervals of a bootstrap):

| accuracy | macro F1 | weighted F1 | calibration error |
|---|---|---|---|
| {span["accuracy"]} | {span["macro_f1"]} | {span["weighted_f1"]} | {made["calibration_error"]:.3f} |

| group | trained on | precision | recall | F1 | tested on |
|---|---|---|---|---|---|
{groups}

The calibration error is the expected one over 15 equal bins of the predicted group's probability.

## Limits

- It always names one of the eight groups, also for a text that is no paper, and it knows nothing but English. With
  `abstain_below="auto"` a text with too few words that it knows is flagged, whatever its probability.
- The label is the group of the paper's first category. Papers on the border of two groups (cs and stat, eess and cs) are listed under
  both by their authors, and the model is wrong there most often.
- q-fin, econ and q-bio are rare, in training as in arXiv: their figures rest on few test papers, see the last column.
- The papers are a sample that was gathered from public collections, not a random draw: some months, and papers that are listed under
  several categories, are in it more often than in arXiv. Words that are newer than {made["to"]} say nothing to it.
- A group is a topic, no judgement of a paper.

## Licence

Apache-2.0, like the library. arXiv's metadata, from which it was trained, is in the public domain (CC0 1.0).
"""


def make(
    papers: pd.DataFrame,  # to learn from
    test: pd.DataFrame,  # to score
    tables: list[str],  # which they are from
    out: Path,  # the bundle to make; its name is the model's
) -> dict[str, Any]:
    """Fit, score, save, and write the card."""
    start = perf_counter()
    classifier = CompactClassifier(**SETTINGS).fit(papers, label_ids(papers))
    fitted = perf_counter()
    truth, probabilities = label_ids(test), classifier.predict_proba(test)
    found = score_intervals(truth, probabilities)
    first, last = months(papers)
    made = {
        "name": out.name,
        "papers": len(papers),
        "from": first,
        "to": last,
        "per_group": dict(zip(LABELS, np.bincount(label_ids(papers), minlength=len(LABELS)).tolist(), strict=True)),
        "settings": SETTINGS,
        "n_test": len(test),
        "n_validation": int((split_papers(read_papers(tables[0]).papers) == "validation").sum()),
        **{name: round(float(found.scores.value[name]), 4) for name in ("accuracy", "macro_f1", "weighted_f1")},
        "intervals": {name: found.scores.loc[name, ["low", "high"]].round(4).tolist() for name in ("accuracy", "macro_f1", "weighted_f1")},
        "calibration_error": round(calibration_error(truth, probabilities), 4),
    }
    classifier.fitted_ = classifier.fitted_ | {"made_of": made}
    # ids and titles alone, for the package has to stay small
    classifier.learnt_from_ = PaperSketch(np.setdiff1d(_name_hashes(papers), [np.uint32(0)]))
    classifier.save(out)
    size = (out / "weights.safetensors").stat().st_size
    records = [record for table in tables for record in file_records(table)]
    (out / "README.md").write_text(card(made, found.per_class, records, size), encoding="utf-8")
    digests = {file.name: sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())}
    total = sum(file.stat().st_size for file in out.iterdir())
    return made | {"fit_s": round(fitted - start, 1), "bytes": total, "sha256": digests}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="files of papers; the first is split")
    parser.add_argument("--out", type=Path, help="the folder to make; what is there is replaced; absent: the model is only scored")
    parser.add_argument("--search", action="store_true", help="print what each setting reaches, and make nothing")
    options = parser.parse_args()
    papers, first, test, left_out = divide(options.tables)
    result: dict[str, Any] = {"benchmark": "packaged_model", "left_out": left_out}
    if options.search:
        result |= {"papers": len(papers), "settings": search(papers, first)}
    elif options.out:
        result |= make(papers, test, options.tables, options.out)
    else:
        with TemporaryDirectory() as folder:
            result |= make(papers, test, options.tables, Path(folder) / "model")
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
