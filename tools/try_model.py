"""Write the packaged model as a script, model.js, for the page of the site that runs it in a browser (nbs/try.qmd)."""

import argparse
import base64
import inspect
import json
import math
from pathlib import Path

from arxiv_nbclf.classifiers.base import BadBundle, Classifier, load_classifier
from arxiv_nbclf.classifiers.calibration import DECISION_MARGIN, MatrixScaling
from arxiv_nbclf.classifiers.linear import STOP_WORDS
from arxiv_nbclf.core.basics import atomic_write
from arxiv_nbclf.data.taxonomy import GROUP_NAMES
from arxiv_nbclf.deployment.prediction import (
    COMMON,
    FIRST_WORDS,
    MIN_KNOWN,
    MIN_KNOWN_SHARE,
    TEX,
    CompactClassifier,
    describe_model,
    packaged_model,
)
from arxiv_nbclf.preprocessing import MAX_NOTICE, SEPARATOR_TOKEN, WITHDRAWN

ACCURACY: float = inspect.signature(Classifier.threshold).parameters["accuracy"].default  # of the answers that count as sure


def write_try_model(
    folder: Path,  # the folder try of a built site; made if it is not there
    bundle: Path | None = None,  # a compact model; None: the packaged one
) -> Path:  # the script, model.js
    """The model's files as they are, and what Python knows beside them. Raises `BadBundle`, and `BadSettings` if it has no threshold."""
    bundle = bundle or packaged_model()
    classifier = load_classifier(bundle)
    fits = isinstance(classifier, CompactClassifier) and classifier.text_plan == "raw"
    if not fits or not isinstance(classifier.calibration_, MatrixScaling):
        raise BadBundle(f"{bundle} is no model that a browser can run: give a compact one, of raw text and calibrated by matrix scaling")
    packed = {
        "bundle": json.loads((bundle / "bundle.json").read_text(encoding="utf-8")),
        "weights": base64.b64encode((bundle / "weights.safetensors").read_bytes()).decode(),
        "mark": SEPARATOR_TOKEN, "separator": classifier.separator, "withdrawn": {"pattern": WITHDRAWN, "longest": MAX_NOTICE},
        "known": {"first": FIRST_WORDS, "least": MIN_KNOWN, "share": MIN_KNOWN_SHARE, "limit": 1 - math.log(COMMON), "tex": TEX},
        "hair": DECISION_MARGIN, "stop_words": sorted(STOP_WORDS), "names": GROUP_NAMES,
        "told": describe_model(classifier), "sure": {"accuracy": ACCURACY, "threshold": classifier.threshold()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "model.js") as part:
        part.write_text(f"const arxivNbclfModel = {json.dumps(packed, separators=(',', ':'))};\n", encoding="ascii")
    return folder / "model.js"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder try of a built site, such as _docs/try")
    print(write_try_model(parser.parse_args().folder))


if __name__ == "__main__":
    main()
