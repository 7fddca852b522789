"""Write the packaged model as two scripts for the page of the site that runs it in a browser (nbs/try.qmd).

model.js has the most frequent words and pairs, and answers at once; model-more.js has the others, and what names cross-lists.
"""

import argparse
import base64
import inspect
import json
import math
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from arxiv_nbclf.classifiers.base import (
    WEIGHTS_FILE,
    BadBundle,
    Classifier,
    load_classifier,
    read_safetensors,
)
from arxiv_nbclf.classifiers.calibration import (
    DECISION_MARGIN,
    MIN_LISTED_PROBABILITY,
    BiasScaling,
)
from arxiv_nbclf.classifiers.linear import SOFTMAX_BITS, STOP_WORDS
from arxiv_nbclf.core.basics import atomic_write
from arxiv_nbclf.data.taxonomy import GROUP_NAMES, name_of
from arxiv_nbclf.deployment.prediction import (
    COMMON,
    FIRST_WORDS,
    MAX_CROSS_LISTS,
    MIN_KNOWN,
    MIN_KNOWN_SHARE,
    RARITY_STEPS,
    TEX,
    TOP_CATEGORIES,
    CompactClassifier,
    describe_model,
    from_gaps,
    packaged_model,
    to_gaps,
)
from arxiv_nbclf.preprocessing import (
    LABELS,
    MAX_NOTICE,
    SEPARATOR_TOKEN,
    WITHDRAWN,
    group_matrix,
)

ACCURACY: float = inspect.signature(Classifier.threshold).parameters["accuracy"].default  # of the answers that count as sure
FIRST_FEATURES = 1 << 14  # the most frequent ones, in model.js: under 1 MB; the words by which a text counts as known are among them


def check_bundle(
    classifier: Classifier,  # fitted
    bundle: Path,  # where it is from, for the message
) -> None:  # or BadBundle
    """Refuse a model that a browser has no scoring for."""
    fits = isinstance(classifier, CompactClassifier) and classifier.text_plan == "raw" and classifier.learnt_level == "category"
    listed = classifier.listed_
    fits = fits and isinstance(classifier.calibration_, BiasScaling) and listed is not None and listed.slopes.shape[1] == 2
    if not fits:
        raise BadBundle(f"{bundle} is no model that a browser can run: give a compact one of categories and their cross-lists, of raw text")


def split_features(
    arrays: dict[str, np.ndarray],  # of the bundle's weights
    first: int = FIRST_FEATURES,  # features of the first part
) -> list[dict[str, np.ndarray]]:  # gaps, rarities, codes, exponents; twice
    """The most frequent features, and the others, each in the order of their buckets."""
    buckets = from_gaps(arrays["gaps"])
    order = np.argsort(arrays["rarities"], kind="stable")
    parts = [np.sort(order[:first]), np.sort(order[first:])]
    return [{"gaps": to_gaps(buckets[rows])} | {name: arrays[name][rows] for name in ("rarities", "codes", "exponents")} for rows in parts]


def describe(
    classifier: CompactClassifier,  # fitted
    features: int,  # of the first part
) -> dict[str, Any]:  # plain JSON
    """What the page has to know beside the numbers."""
    assert classifier.softmax_ is not None and isinstance(classifier.calibration_, BiasScaling)
    idf, labels = classifier.softmax_.features.idf, classifier.labels_
    return {
        "labels": labels, "titles": [name_of(code) for code in labels],
        "groups": LABELS, "names": GROUP_NAMES, "group_of": group_matrix(labels).argmax(axis=1).tolist(),
        "bits": SOFTMAX_BITS, "width": classifier.softmax_.embeddings.shape[1], "rarity_steps": float(RARITY_STEPS),
        "rarest": float(idf.max()), "features": [features, len(idf)], "calibration": classifier.calibration_.to_dict(), "hair": DECISION_MARGIN,
        "mark": SEPARATOR_TOKEN, "separator": classifier.separator, "withdrawn": {"pattern": WITHDRAWN, "longest": MAX_NOTICE},
        "known": {"first": FIRST_WORDS, "least": MIN_KNOWN, "share": MIN_KNOWN_SHARE, "limit": 1 - math.log(COMMON), "tex": TEX},
        "stop_words": sorted(STOP_WORDS), "top": TOP_CATEGORIES,
        "listed": {"least": MIN_LISTED_PROBABILITY, "most": MAX_CROSS_LISTS},
        "about": describe_model(classifier), "sure": {"accuracy": ACCURACY, "threshold": classifier.threshold(level="group")},
    }


def as_text(
    arrays: dict[str, np.ndarray],  # name → numbers
) -> str:  # base64
    """Arrays in the safetensors format."""
    from safetensors.numpy import save

    return base64.b64encode(save({name: np.ascontiguousarray(array) for name, array in arrays.items()})).decode()


def write_script(
    path: Path,  # of the script
    name: str,  # of the constant
    value: dict[str, Any],  # plain JSON
) -> Path:  # the script
    """A script that defines one constant."""
    with atomic_write(path) as part:
        part.write_text(f"const {name} = {json.dumps(value, separators=(',', ':'))};\n", encoding="ascii")
    return path


def write_try_model(
    folder: Path,  # the folder try of a built site; made if it is not there
    bundle: Path | None = None,  # a compact model of categories; None: the packaged one
    first: int = FIRST_FEATURES,  # features of the first script
) -> tuple[Path, Path]:  # model.js and model-more.js
    """The model in two parts, and what Python knows beside it. Raises `BadBundle`, and `BadSettings` if it has no threshold."""
    bundle = bundle or packaged_model()
    classifier = load_classifier(bundle)
    check_bundle(classifier, bundle)
    assert isinstance(classifier, CompactClassifier) and classifier.listed_ is not None
    arrays = read_safetensors(bundle / WEIGHTS_FILE)
    frequent, others = split_features(arrays, first)
    description = describe(classifier, len(frequent["rarities"]))
    more = as_text(others | {f"listed_{name}": array for name, array in classifier.listed_.arrays().items()})
    version = sha256((bundle / WEIGHTS_FILE).read_bytes() + more.encode()).hexdigest()[:16]
    of_both = {"version": version, "bytes": len(more)}
    first_part = description | of_both | {"weights": as_text(frequent | {name: arrays[name] for name in ("output", "bias")})}
    folder.mkdir(parents=True, exist_ok=True)
    other = write_script(folder / "model-more.js", "arxivNbclfMore", {"version": version, "weights": more})
    return write_script(folder / "model.js", "arxivNbclfModel", first_part), other


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder try of a built site, such as _docs/try")
    parser.add_argument("--model", type=Path, help="a bundle; without it the packaged model")
    options = parser.parse_args()
    print(*write_try_model(options.folder, options.model), sep="\n")


if __name__ == "__main__":
    main()
