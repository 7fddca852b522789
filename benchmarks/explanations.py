"""How true explanations by leaving words out are, and how long they take: prints one JSON line.

    python benchmarks/explanations.py PAPERS.xlsx [--explained 20]

The hybrid family is fitted on the seed split's train papers; some of the test papers are explained word by word. Then the words that
are named first are left out together: the further the probability of the predicted group falls, the truer the explanation. Beside it
stand words at random and, where captum is installed (pip install captum), its FeatureAblation, which must come to the same figures,
and its KernelShap with 300 evaluations. No paper is named.
"""

import argparse
import json
from importlib.util import find_spec
from time import perf_counter

import numpy as np
from _origin import origin

from arxiv_nbclf.classifiers.base import Classifier, new_classifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.evaluation.error_analysis import (
    Spans,
    occlusion,
    probability_drop,
    sentence_spans,
    word_spans,
)
from arxiv_nbclf.preprocessing import label_ids, paper_texts, split_papers

LEFT_OUT = (3, 6, 12)  # words


def by_captum(classifier: Classifier, text: str, group: int, spans: Spans) -> dict[str, np.ndarray]:
    """Contributions of the words by two methods of captum."""
    import torch
    from captum.attr import FeatureAblation, KernelShap

    def without(kept: np.ndarray) -> str:
        pieces, end = [], 0
        for start, stop in sorted(place for places, truncation in zip(spans.values(), kept, strict=True) if not truncation for place in places):
            pieces.append(text[end:start])
            end = stop
        return " ".join([*pieces, text[end:]])

    def forward(masks: torch.Tensor) -> torch.Tensor:
        return torch.tensor(classifier.predict_proba([without(row) for row in masks.numpy() > 0.5]))

    everything, nothing = torch.ones(1, len(spans)), torch.zeros(1, len(spans))
    ablation = FeatureAblation(forward).attribute(everything, nothing, target=group, perturbations_per_eval=len(spans))
    shap = KernelShap(forward).attribute(everything, nothing, target=group, n_samples=300, perturbations_per_eval=300)
    return {"captum FeatureAblation": ablation.numpy()[0], "captum KernelShap": shap.numpy()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--explained", type=int, default=20, help="papers to explain")
    arguments = parser.parse_args()
    papers = read_papers(arguments.papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    train, validation, test = (np.flatnonzero(split == side) for side in ("train", "validation", "test"))
    classifier = new_classifier("hybrid")
    classifier.fit(papers.iloc[train], labels[train], validation=(papers.iloc[validation], labels[validation]))
    rng = np.random.default_rng(0)
    falls: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[float]] = {"words": [], "sentences": []}
    apart, words = 0.0, []
    for text in paper_texts(papers.iloc[rng.choice(test, arguments.explained, replace=False)]):
        spans, group = word_spans(text), int(classifier.predict_proba([text])[0].argmax())
        begin = perf_counter()
        found = {"leaving out": occlusion(classifier, text, group, spans)["contribution"].to_numpy()}
        seconds["words"].append(perf_counter() - begin)
        begin = perf_counter()
        occlusion(classifier, text, group, sentence_spans(text))
        seconds["sentences"].append(perf_counter() - begin)
        words.append(len(spans))
        if find_spec("captum"):
            found |= by_captum(classifier, text, group, spans)
            apart = max(apart, float(np.abs(found["leaving out"] - found["captum FeatureAblation"]).max()))
        for name, contributions in (found | {"at random": rng.random(len(spans))}).items():
            units = np.array(list(spans))[np.argsort(-contributions)]
            falls.setdefault(name, []).append([probability_drop(classifier, text, group, spans, units[:most].tolist()) for most in LEFT_OUT])
    means = {name: dict(zip(map(str, LEFT_OUT), np.mean(rows, axis=0).round(3).tolist(), strict=True)) for name, rows in falls.items()}
    result = {
        "benchmark": "explanations",
        "family": "hybrid",
        "papers": arguments.explained,
        "words_of_a_paper": round(float(np.mean(words)), 1),
        "seconds_per_paper": {name: round(float(np.median(times)), 2) for name, times in seconds.items()},
        "fall_of_probability_without_words": means,
        "captum": {"installed": bool(find_spec("captum")), "largest_difference_from_its_ablation": apart},
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
