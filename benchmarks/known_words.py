"""How few known words are too few to predict from: prints one JSON line.

    python benchmarks/known_words.py PAPERS.xlsx MORE.parquet

A compact model learns from the train papers of the first table's seed split. Passages of one to forty words, half of them from the beginning,
are cut out of papers of the second table, which the model has not seen (nor are they test papers of the first). Of the passages whose
probability reaches the threshold for an accuracy of 0.94, it counts how many are right, by the number of known words. The last figures are of
whole papers: which share of their first words is known.
"""

import argparse
import json
from typing import Any

import numpy as np
from _origin import origin

from arxiv_nbclf.classifiers.linear import bucket
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import (
    COMMON,
    FIRST_WORDS,
    MIN_KNOWN,
    MIN_KNOWN_SHARE,
    CompactClassifier,
    first_words,
)
from arxiv_nbclf.preprocessing import label_ids, paper_texts, split_papers

GROUPS = [(low, low) for low in range(7)] + [(7, 8), (9, 12), (13, 40)]  # of counts of known words


def count_known(
    classifier: CompactClassifier,  # fitted
    texts: list[str],  # whose first words are looked at
) -> np.ndarray:  # (n_texts, 2): known words, and words
    """Known words of each text."""
    common = classifier.idf_ <= 1 - np.log(COMMON)
    words = [first_words(text) for text in texts]
    return np.array([(sum(common[bucket(word)] for word in some), len(some)) for some in words])


def passage(
    text: str,  # of a paper
    rng: np.random.Generator,
) -> str:  # one to forty words of it
    """A passage, at random."""
    words, length = text.split(), int(rng.integers(1, 41))
    start = int(rng.integers(0, max(1, len(words) - length))) if rng.random() < 0.5 else 0
    return " ".join(words[start : start + length])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs=2, help="files of papers: to learn from, to cut passages out of")
    parser.add_argument("--passages", type=int, default=12_000)
    options = parser.parse_args()
    first, second = (read_papers(table).papers for table in options.tables)
    train = first[split_papers(first) == "train"]
    classifier = CompactClassifier(C=0.5).fit(train, label_ids(train))
    second = second[~second.aid.isin(first.aid)].sample(options.passages, random_state=0)
    rng, texts, labels = np.random.default_rng(0), paper_texts(second, separator=" "), label_ids(second)
    passages = [passage(text, rng) for text in texts]
    probabilities, known = classifier.predict_proba(passages), count_known(classifier, passages)[:, 0]
    right, sure = probabilities.argmax(axis=1) == labels, probabilities.max(axis=1) >= classifier.threshold()
    rows: list[dict[str, Any]] = []
    for low, high in GROUPS:
        some = (known >= low) & (known <= high)
        rows.append({
            "known_words": str(low) if low == high else f"{low} to {high}", "passages": int(some.sum()),
            "accuracy": round(float(right[some].mean()), 3), "confident": int((some & sure).sum()),
            "accuracy_of_confident": round(float(right[some & sure].mean()), 3),
        })  # fmt: skip
    whole = count_known(classifier, texts)
    shares = whole[:, 0] / np.maximum(whole[:, 1], 1)
    result = {
        "benchmark": "known_words", "by_known_words": rows, "least_known_share": round(float(shares.min()), 3),
        "papers_with_too_few": int(((whole[:, 0] < MIN_KNOWN) | (shares < MIN_KNOWN_SHARE)).sum()), "papers": len(texts),
        "limits": {"common": COMMON, "first_words": FIRST_WORDS, "min_known": MIN_KNOWN, "min_known_share": MIN_KNOWN_SHARE},
    }  # fmt: skip
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
