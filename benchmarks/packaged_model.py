"""Make the model that comes with the package, score it, and write its card: prints one JSON line.

    python benchmarks/packaged_model.py PAPERS.xlsx NATURAL.parquet [MORE.parquet …] --out arxiv_nbclf/models/NAME

The first table is divided as the seed split does; its test papers are for the scores and nothing else. Its train papers are learnt from, and so
are the papers of the other tables, but for those that the first table holds on its other sides, near-duplicates too. The second table has
the natural mixture of categories: its shares and those of the first are what the model answers for, and 10,000 of its papers are held out
with the first table's validation papers, to calibrate by. Further tables may have any mixture. Without `--out` the model is only scored.
`--sizes` prints what fewer features and fewer bits cost on the held-out papers, and makes no model. Learning takes two or three gigabytes.
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
    FeatureTable,
    LinearClassifier,
    SoftmaxModel,
    count_pairs,
)
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import file_records
from arxiv_nbclf.deployment.prediction import (
    CompactClassifier,
    from_compact,
    to_compact,
)
from arxiv_nbclf.evaluation.intervals import level_intervals, score_intervals
from arxiv_nbclf.evaluation.metrics import score_level
from arxiv_nbclf.preprocessing import (
    LABELS,
    PaperSketch,
    _name_hashes,
    class_ids,
    group_matrix,
    label_ids,
    listed_labels,
    paper_labels,
    split_papers,
)

HELD_OUT = 10_000  # papers of the second table that calibrate


def divide(
    tables: list[str],  # the first is split, the others are learnt from
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, float], int]:
    """Papers to learn from, to calibrate by, to score; the natural shares of categories; and how many are left out."""
    first, *others = (read_papers(table).papers for table in tables)
    split = split_papers(first, plan="seed")
    kept_out = PaperSketch.of(first[split != "train"])
    known = [kept_out.contains(other) for other in others]
    others = [other[~gone] for other, gone in zip(others, known, strict=True)]
    held = np.zeros(len(others[0]), dtype=bool)
    held[np.random.default_rng(0).permutation(len(held))[:HELD_OUT]] = True
    natural = pd.concat([first[split == "train"], others[0][~held]])
    learnt = pd.concat([natural, *others[1:]]).drop_duplicates("aid", ignore_index=True)
    calibrate = pd.concat([first[split == "validation"], others[0][held]])
    shares = pd.Series(paper_labels(natural, "category")).value_counts()
    # half a paper more: a category that the natural tables lack is not impossible
    prior = {str(name): float(papers) + 0.5 for name, papers in shares.items() if name}
    # papers of divided archives have no category of today
    learnt, calibrate = (some[paper_labels(some, "category") != ""] for some in (learnt, calibrate))
    return learnt, calibrate, first[split == "test"], prior, int(sum(map(np.sum, known)))


def level_scores(
    classifier: LinearClassifier,  # of categories
    papers: pd.DataFrame,  # with their codes
) -> dict[str, Any]:
    """The scores of the category level, with intervals."""
    classes = classifier.labels_
    papers = papers[np.isin(paper_labels(papers, "category"), classes)]
    labels = class_ids(paper_labels(papers, "category"), classes)
    probabilities = classifier.predict_proba(papers, level="category")
    listed, found = classifier.predict_listed_proba(papers), listed_labels(papers, classes)
    decided = listed >= classifier.listed_.thresholds  # type: ignore[union-attr]
    decided[np.arange(len(labels)), probabilities.argmax(axis=1)] = True
    scores = score_level(labels, probabilities, classes, found, listed, decided)
    return {"n": len(labels), **scores.to_dict(), "intervals": level_intervals(scores).scores.round(4).to_dict("index")}


def sizes(
    papers: pd.DataFrame,  # to learn from
    held: pd.DataFrame,  # to score
    prior: dict[str, float],  # natural shares
) -> list[dict[str, Any]]:
    """What the number of features and of bits costs, on held-out papers."""
    whole = LinearClassifier()
    whole.class_prior = prior
    whole.fit(papers, paper_labels(papers, "category").tolist(), validation=(held, paper_labels(held, "category").tolist()))
    model, texts = whole.softmax_, whole._texts(held)
    assert model is not None
    names = paper_labels(held, "category")
    known = np.isin(names, whole.labels_)
    labels, counts = class_ids(names[known], whole.labels_), count_pairs(texts)[known]
    table, rows = model.features, []
    for features in (1 << 18, 3 << 16, 1 << 17, 1 << 16, 1 << 15):
        kept = np.sort(np.argsort(table.idf, kind="stable")[:features])
        part = SoftmaxModel(FeatureTable(table.buckets[kept], table.idf[kept]), model.embeddings[kept], model.output, model.bias)
        small = to_compact(part)
        for bits, tried, size in (
            (32, part, sum(array.nbytes for array in part.arrays().values())),
            (4, from_compact(small), sum(array.nbytes for array in small.values())),
        ):
            scores = tried.of_counts(counts)[:, : len(whole.labels_)].astype(float)
            found = whole.calibration_(scores)
            nats = -np.log(np.maximum(found[np.arange(len(labels)), labels], 1e-12)).mean()
            top = np.argsort(-found, axis=1)[:, :5] == labels[:, None]
            rows.append({
                "features": len(kept), "bits": bits, "bytes": int(size), "log_loss": round(float(nats), 4),
                "accuracy": round(float(top[:, 0].mean()), 4), "top_5": round(float(top.any(axis=1).mean()), 4),
            })  # fmt: skip
    return rows


def months(
    papers: pd.DataFrame,  # with dates
) -> tuple[str, str]:  # 2014-02, 2026-08
    """The first and the last month."""
    return papers.published.min().strftime("%Y-%m"), papers.published.max().strftime("%Y-%m")


def card(
    made: dict[str, Any],  # what the bundle keeps about itself
    per_class: pd.DataFrame,  # precision, recall, f1, support of each group
    level: dict[str, Any],  # the scores of the category level
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
    of_codes = "\n".join(
        f"| {name.replace('_', ' ')} | {level[name]:.3f} | {level['intervals'][name]['low']:.3f} to {level['intervals'][name]['high']:.3f} |"
        for name in level["intervals"]
    )
    return f"""# {made["name"]}

A linear model of words and word pairs that names the primary category of a paper among {made["classes"]} of arXiv's, the group that it
belongs to, and the categories that it may be cross-listed under, from title and abstract in English. It comes with `arxiv_nbclf` and answers
where no other model is named: in groups, and in categories where they are asked for. It is {size / 1e6:.2f} MB of weights; neither a
vocabulary nor the text of any paper is in it, but hashes of ids, by which `evaluate` leaves out what it has learnt from.

## What it is made of

- Family `compact`: the {made["features"]:,} most frequent words and pairs in four million hashed buckets, tf-idf, an embedding of 64 numbers
  each in four bits, one softmax over categories, and a second score for being listed. A group's probability is the sum of its categories'.
- Trained on {made["papers"]:,} real papers of {made["from"]} to {made["to"]}. These very weights were scored below: the test papers
  are not among what they were trained on. Calibrated on {made["n_validation"]:,} other papers of the natural mixture of categories.
- Made by `python benchmarks/packaged_model.py TABLE TABLE TABLE --out {made["name"]}` from these tables, the first of which was split, and
  the first two of which have the natural mixture:
{sources}

## How good it is

On the {made["n_test"]:,} test papers of the first table's seed split, none of which it has seen (95 % intervals of a bootstrap), groups:

| accuracy | macro F1 | weighted F1 | calibration error |
|---|---|---|---|
| {span["accuracy"]} | {span["macro_f1"]} | {span["weighted_f1"]} | {made["calibration_error"]:.3f} |

| group | trained on | precision | recall | F1 | tested on |
|---|---|---|---|---|---|
{groups}

Categories, on the {level["n"]:,} of them that have a category of today:

| score | value | 95 % interval |
|---|---|---|
{of_codes}

The calibration error is the expected one over 15 equal bins of the predicted class's probability.

## Limits

- It always names a category, also for a text that is no paper, and it knows nothing but English. With
  `abstain_below="auto"` a text with too few words that it knows is flagged, whatever its probability.
- The label is a paper's first category. Papers on the border of two are listed under both by their authors, and the model is wrong there
  most often.
- q-fin, econ and q-bio are rare in arXiv: their figures rest on few test papers, see the last column; so are half of the categories.
- The papers are a sample that was gathered from public collections, not a random draw: some months, and papers that are listed under
  several categories, are in it more often than in arXiv. Words that are newer than {made["to"]} say nothing to it.
- A category is a topic, no judgement of a paper.

## Licence

Apache-2.0, like the library. arXiv's metadata, from which it was trained, is in the public domain (CC0 1.0).
"""


def make(
    papers: pd.DataFrame,  # to learn from
    held: pd.DataFrame,  # to calibrate by
    test: pd.DataFrame,  # to score
    prior: dict[str, float],  # natural shares of categories
    tables: list[str],  # which they are from
    out: Path,  # the bundle to make; its name is the model's
) -> dict[str, Any]:
    """Fit, score, save, and write the card."""
    start = perf_counter()
    classifier = CompactClassifier(level="group", epochs=8)
    classifier.class_prior = prior
    codes, of_held = (paper_labels(some, "category").tolist() for some in (papers, held))
    classifier.fit(papers, codes, validation=(held, of_held))
    fitted = perf_counter()
    truth, probabilities = label_ids(test), classifier.predict_proba(test)
    found, level = score_intervals(truth, probabilities), level_scores(classifier, test)
    first, last = months(papers)
    sums = group_matrix(classifier.labels_)
    per_group = np.bincount(sums.argmax(axis=1)[class_ids(codes, classifier.labels_)], minlength=len(LABELS))
    made = {
        "name": out.name,
        "papers": len(papers),
        "classes": len(classifier.labels_),
        "features": classifier.fitted_["features"],
        "from": first,
        "to": last,
        "per_group": dict(zip(LABELS, per_group.tolist(), strict=True)),
        "n_test": len(test),
        "n_validation": len(held),
        **{name: round(float(found.scores.value[name]), 4) for name in ("accuracy", "macro_f1", "weighted_f1")},
        "intervals": {name: found.scores.loc[name, ["low", "high"]].round(4).tolist() for name in ("accuracy", "macro_f1", "weighted_f1")},
        "calibration_error": round(calibration_error(truth, probabilities), 4),
    }
    classifier.fitted_ = classifier.fitted_ | {"made_of": made}
    # ids alone, for the package has to stay small
    classifier.learnt_from_ = PaperSketch(np.setdiff1d(_name_hashes(papers)[:, 0], [np.uint32(0)]))
    classifier.save(out)
    size = (out / "weights.safetensors").stat().st_size
    records = [record for table in tables for record in file_records(table)]
    (out / "README.md").write_text(card(made, found.per_class, level, records, size), encoding="utf-8")
    digests = {file.name: sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())}
    total = sum(file.stat().st_size for file in out.iterdir())
    level = {name: value for name, value in level.items() if not isinstance(value, list | dict) or name == "intervals"}
    return made | {"category": level, "fit_s": round(fitted - start, 1), "bytes": total, "sha256": digests}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="files of papers, two at least; the first is split")
    parser.add_argument("--out", type=Path, help="the folder to make; what is there is replaced; absent: the model is only scored")
    parser.add_argument("--sizes", action="store_true", help="print what features and bits cost, and make nothing")
    options = parser.parse_args()
    if len(options.tables) < 2:
        parser.error("two tables at least: one to split, one of the natural mixture")
    papers, held, test, prior, left_out = divide(options.tables)
    result: dict[str, Any] = {"benchmark": "packaged_model", "left_out": left_out}
    if options.sizes:
        result |= {"papers": len(papers), "n_held_out": len(held), "sizes": sizes(papers, held, prior)}
    elif options.out:
        result |= make(papers, held, test, prior, options.tables, options.out)
    else:
        with TemporaryDirectory() as folder:
            result |= make(papers, held, test, prior, options.tables, Path(folder) / "model")
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
