"""Can the accuracy on new papers be told without their labels? Prints one JSON line.

    python benchmarks/expected_accuracy.py PAPERS.parquet [PAPERS.xlsx …] [--cache FILE]

The linear family learns from papers before a month (8,000 of them at most) and predicts each later month (1,500 papers at most), at both
levels. For each month four estimates stand beside the accuracy that the labels give: the mean probability of the predicted class (`plain`, what
`expected_accuracy` takes), the same with the classes' shares estimated anew (Saerens 2002: `prior`, what drift does for categories), the
difference of confidences (Guillory 2021: `doc`) and the average thresholded confidence (Garg 2022: `atc`), which both need held-out papers.

Months before October 2025 chose the estimate and the margin for what no calibration sees; months from then on were not looked at before, and
give the error and the coverage of the interval. `unseen` is the share of a month's papers whose category no training paper had; `of_known` is
the accuracy on the others, and errors of `plain_of_known` are from that. No paper is named. `--cache` keeps the probabilities, so that another estimate needs no other fit.
"""

import argparse
import json
import pickle
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.drift import (
    PRIOR_SHIFT,
    class_shares,
    expected_accuracy,
    shift_prior,
)
from arxiv_nbclf.preprocessing import LABELS, class_ids, group_matrix, paper_labels

FIRST_TEST_MONTH = "2025-10"
CUTS = ("2025-03", "2025-06", "2025-10")  # months that training papers are older than
MOST, MONTH_MOST, MONTH_LEAST = 8_000, 1_500, 50  # papers


def months_of(papers: pd.DataFrame, month: pd.Series, cut: str, end: str) -> list[tuple[str, pd.DataFrame]]:
    """Papers of each month from cut to before end."""
    found = []
    for name in sorted(month[(month >= cut) & (month < end)].unique()):
        some = papers[month == name]
        if len(some) >= MONTH_LEAST:
            found.append((name, some.sample(min(MONTH_MOST, len(some)), random_state=0)))
    return found


def predicted(papers: pd.DataFrame, cut: str, end: str) -> list[dict[str, Any]]:
    """Probabilities and labels of the months after a cut, of both levels."""
    month, found = papers["published"].dt.strftime("%Y-%m"), []
    old = papers[month < cut]
    train = old.sample(min(len(old), MOST), random_state=0)
    for learnt in ("group", "category"):
        classifier = new_classifier("linear").fit(train, paper_labels(train, learnt))
        ids = class_ids(paper_labels(train, learnt), classifier.labels_)
        held, truth = classifier.held_out_proba_, ids[ids >= 0][classifier.held_out_rows_]
        assert held is not None
        shares = [(name, some, classifier.predict_proba(some)) for name, some in months_of(papers, month, cut, end)]
        for level in ("group",) if learnt == "group" else ("group", "category"):
            sums = group_matrix(classifier.labels_) if level != learnt else np.eye(len(classifier.labels_))
            names = np.array(LABELS if level == "group" else classifier.labels_)
            own, true = held @ sums, sums.argmax(axis=1)[truth]
            found.append({
                "cut": cut, "learn": learnt, "level": level, "n": len(train), "names": names,
                "prior": class_shares(paper_labels(train, level), names),
                "hc": own.max(axis=1), "hr": own.argmax(axis=1) == true,
                "months": {name: ((q @ sums).astype(np.float32), class_ids(paper_labels(some, level), [*names])) for name, some, q in shares},
            })  # fmt: skip
    return found


def row(part: dict[str, Any], name: str) -> dict[str, Any]:
    """All estimates of a month beside its accuracy."""
    shares, truth = part["months"][name]
    shares = shares.astype(float)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    held, held_right = part["hc"], part["hr"]
    adapted = shift_prior(shares, part["prior"])[np.arange(len(shares)), shares.argmax(axis=1)]
    threshold = np.quantile(held, 1 - held_right.mean())
    found = expected_accuracy(confidence, part["level"])
    with_prior = expected_accuracy(adapted, part["level"], shift=PRIOR_SHIFT if part["level"] == "category" else None)
    return {
        "table": part["table"], "cut": part["cut"], "learnt": part["learn"], "level": part["level"], "month": name, "papers": len(truth),
        "unseen": float((truth < 0).mean()), "accuracy": float(right.mean()), "of_known": float(right[truth >= 0].mean()),
        "plain": found.accuracy, "low": found.low, "high": found.high,
        "prior": with_prior.accuracy, "prior_low": with_prior.low, "prior_high": with_prior.high,
        "doc": float(confidence.mean() + held_right.mean() - held.mean()), "atc": float((confidence >= threshold).mean()),
    }  # fmt: skip


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Mean absolute errors of the estimates, and the coverage of the intervals."""
    errors = {name: round(float((rows[name] - rows["accuracy"]).abs().mean()), 4) for name in ("plain", "prior", "doc", "atc")}
    errors["plain_of_known"] = round(float((rows["plain"] - rows["of_known"]).abs().mean()), 4)
    inside = {
        name: round(float(((rows[low] <= rows["accuracy"]) & (rows["accuracy"] <= rows[high])).mean()), 3)
        for name, low, high in (("plain", "low", "high"), ("prior", "prior_low", "prior_high"))
    }
    widths = {"plain": round(float((rows["high"] - rows["low"]).mean()), 3), "prior": round(float((rows["prior_high"] - rows["prior_low"]).mean()), 3)}
    return {"months": len(rows), "unseen": round(float(rows["unseen"].mean()), 3), "mean_absolute_error": errors, "coverage": inside, "width": widths}


def summaries(rows: pd.DataFrame) -> dict[str, Any]:
    """Of each table, what was learnt, and level."""
    keys = ["table", "learnt", "level"]
    found = {" ".join(map(str, key)): summary(some) for key, some in rows.groupby(keys, sort=False)}
    few = rows[(rows["level"] == "category") & (rows["unseen"] <= 0.2)]
    more = {"category, a fifth unseen at most": summary(few)} if len(few) else {}
    return found | {f"all {level}": summary(some) for level, some in rows.groupby("level", sort=False)} | more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="+", help="files, or folders of files")
    parser.add_argument("--cache", type=Path, help="a file of our own to keep the probabilities in; never one of others")
    arguments = parser.parse_args()
    begin = perf_counter()
    parts: list[dict[str, Any]] = pickle.loads(arguments.cache.read_bytes()) if arguments.cache and arguments.cache.exists() else []
    for path in arguments.papers:
        name = Path(path).stem
        done = {part["cut"] for part in parts if part["table"] == name}
        papers = read_papers(path).papers if set(CUTS) - done else pd.DataFrame()
        for cut, end in zip(CUTS, (*CUTS[1:], "9999"), strict=True):
            if cut not in done:
                parts += [{"table": name} | part for part in predicted(papers, cut, end)]
                if arguments.cache:
                    arguments.cache.write_bytes(pickle.dumps(parts))
    rows = pd.DataFrame([row(part, name) for part in parts for name in part["months"]])
    later = rows["month"] >= FIRST_TEST_MONTH
    result = {
        "benchmark": "expected_accuracy",
        "family": "linear",
        "chosen_by": summaries(rows[~later]),
        "later": summaries(rows[later]),
        "months": rows.round(4).to_dict(orient="records"),
        "seconds": round(perf_counter() - begin, 1),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
