"""Bundles from strangers: whatever numbers and names they hold, a model with finite predictions or one line, and no code is run.

Hypothesis changes one value of a JSON file, one array of a safetensors file, or some bytes, and makes the digests fit again. What failed once
is kept as an example.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from arxiv_nbclf import load_classifier, sample
from arxiv_nbclf.classifiers.base import Classifier
from arxiv_nbclf.classifiers.calibration import BadScores
from arxiv_nbclf.classifiers.ensemble import EnsembleClassifier
from arxiv_nbclf.classifiers.hybrid import HybridClassifier
from arxiv_nbclf.classifiers.linear import LinearClassifier
from arxiv_nbclf.core.basics import ArxivNbclfError, file_sha256
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.prediction import CompactClassifier, predict
from arxiv_nbclf.preprocessing import label_ids, paper_texts

PAPERS = read_papers(sample(200)).papers
TEXTS = ["", "A lemma on graphs", "We measure the redshift of galaxies. " * 40, "\ud800 漢字"]
NUMBERS: list[Any] = [
    0, -1, 1, 2, 255, 65504, 1 << 31, 1 << 64, 10**400, 0.5, -0.5, 5e-324, 1e-9, 1e9, 1e39, 1e308, -1e308, float("nan"), float("inf"), -float("inf"),
]
VALUES: list[Any] = [
    None, True, False, "", "x", "0.5", "NaN", "cs", "../../../etc/passwd", "os.system", "\0", "two\nlines", "é" * 300, [], {}, [[]], [None], {"": {}}, *NUMBERS,
]
LOUD = ("os.exec", "os.system", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class")
heard: list[str] = []
sys.addaudithook(lambda event, _: heard.append(event) if event in LOUD else None)


def fitted() -> dict[str, Classifier]:
    "A small model of each family that needs no training of a transformer."
    found: dict[str, Classifier] = {"linear": LinearClassifier(bits=8, C=1.0, folds=2), "compact": CompactClassifier(bits=8, C=1.0, folds=2)}
    for model in found.values():
        model.fit(PAPERS, label_ids(PAPERS))
    return found


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    "Each family's model as a bundle."
    place = tmp_path_factory.mktemp("bundles")
    return {name: model.save(place / name) for name, model in fitted().items()}


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    "Models that read with a transformer, and blend."
    pytest.importorskip("torch")
    from tiny_models import tiny_encoder

    place = tmp_path_factory.mktemp("deep")
    encoder = str(tiny_encoder(place / "tiny", paper_texts(PAPERS)[:50], layers=1).folder)
    small = {"bits": 8, "C": 1.0, "folds": 2}
    hybrid = HybridClassifier(encoder, precision="fp32", **small)  # type: ignore[arg-type]
    blend = EnsembleClassifier(("linear", "hybrid"), encoder, {"linear": small, "hybrid": small | {"precision": "fp32"}})
    return {name: model.fit(PAPERS, label_ids(PAPERS)).save(place / name) for name, model in {"hybrid": hybrid, "ensemble": blend}.items()}


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    "The way to each value in JSON; of a long list the first few stand for all."
    if way:
        yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*way, key))


def changed(record: Any, way: int, value: Any, gone: bool) -> Any:
    "A copy of JSON in which one value is another, or gone."
    record = json.loads(json.dumps(record))
    every = list(places(record))
    *above, last = every[way % len(every)]
    home = record
    for key in above:
        home = home[key]
    if gone:
        del home[last]
    else:
        home[last] = value
    return record


def refit(folder: Path) -> None:
    "Make digests fit, of the bundles inside first, as somebody would who wants to be believed."
    for path in sorted(folder.rglob("bundle.json"), key=lambda path: -len(path.parts)):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            names = list(record["files"])
            record["files"] = {name: file_sha256(path.parent / name) for name in names}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        path.write_text(json.dumps(record), encoding="utf-8")


def check(folder: Path) -> None:
    "A model that works, or one line."
    heard.clear()
    try:
        model = load_classifier(folder)
        probabilities, scores = model.predict_proba(TEXTS), model.decision_function(TEXTS)
        table = predict(TEXTS, TEXTS, model=model, top=3)
    except ArxivNbclfError as error:
        assert str(error) and "\n" not in str(error), error
    else:
        assert np.isfinite(probabilities).all() and np.isfinite(scores).all()
        assert np.abs(probabilities.sum(axis=1) - 1).max() < 1e-6 and (probabilities >= 0).all()
        assert table["probability"].between(0, 1).all()
    assert not heard, heard


def try_json(source: Path, name: int, way: int, value: Any, gone: bool) -> None:
    "Check a bundle in which one value of one JSON file is another."
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(source, Path(home) / "model"))
        files = sorted(path for path in folder.rglob("*.json"))
        path = files[name % len(files)]
        record = json.loads(path.read_text(encoding="utf-8"))
        if list(places(record)):
            path.write_text(json.dumps(changed(record, way, value, gone)), encoding="utf-8")
        refit(folder)
        check(folder)


def try_arrays(source: Path, name: int, array: int, value: Any, how: str, at: int) -> None:
    "Check a bundle in which one array is another, or some bytes are."
    with TemporaryDirectory() as home:
        folder = Path(shutil.copytree(source, Path(home) / "model"))
        files = sorted(folder.rglob("*.safetensors"))
        path = files[name % len(files)]
        arrays = dict(load_file(path))
        key = sorted(arrays)[array % len(arrays)]
        found = arrays[key].copy()
        if how in ("cut", "flip"):
            content = bytearray(path.read_bytes())
            place = at % len(content)
            content = content[:place] if how == "cut" else content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
            path.write_bytes(content)
        else:
            with np.errstate(all="ignore"):
                number = np.float64(value) if abs(value) < 1e309 else np.float64(0)
                if how == "one":
                    found.flat[at % max(found.size, 1)] = number.astype(found.dtype)
                elif how == "all":
                    found = np.full_like(found, number.astype(found.dtype))
                elif how == "kind":
                    found = found.astype([np.float16, np.float64, np.int8, np.int64, np.uint8, np.bool_][at % 6])
                elif how == "shape":
                    found = [found[:-1], found.reshape(-1), found[None], found.T, found[:0]][at % 5]
            arrays[key] = np.ascontiguousarray(found)
            if how == "gone":
                del arrays[key]
            save_file(arrays, path, {"format": "pt"})
        refit(folder)
        check(folder)


WAYS = {"name": st.integers(0, 9), "way": st.integers(0, 400), "value": st.sampled_from(VALUES), "gone": st.booleans()}
ARRAYS = {
    "name": st.integers(0, 9), "array": st.integers(0, 40), "value": st.sampled_from([n for n in NUMBERS if n != 10**400]),
    "how": st.sampled_from(["one", "all", "all", "kind", "shape", "gone", "cut", "flip"]), "at": st.integers(0, 1 << 20),
}
BOUNDED = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


@given(which=st.sampled_from(["linear", "compact"]), **WAYS)
@settings(max_examples=250, **BOUNDED)
def test_values_of_a_description(bundles: dict[str, Path], which: str, name: int, way: int, value: Any, gone: bool) -> None:
    try_json(bundles[which], name, way, value, gone)


@given(which=st.sampled_from(["linear", "compact"]), **ARRAYS)
@settings(max_examples=250, **BOUNDED)
def test_arrays(bundles: dict[str, Path], which: str, name: int, array: int, value: Any, how: str, at: int) -> None:
    try_arrays(bundles[which], name, array, value, how, at)


@example(which="hybrid", name=3, way=3, value="", gone=False)  # a tokenizer that fails when it is used
@given(which=st.sampled_from(["hybrid", "ensemble"]), **WAYS)
@settings(max_examples=60, **BOUNDED)
def test_values_of_an_encoder_and_of_members(deep: dict[str, Path], which: str, name: int, way: int, value: Any, gone: bool) -> None:
    try_json(deep[which], name, way, value, gone)


@given(which=st.sampled_from(["hybrid", "ensemble"]), **ARRAYS)
@settings(max_examples=60, **BOUNDED)
def test_arrays_of_an_encoder_and_of_members(deep: dict[str, Path], which: str, name: int, array: int, value: Any, how: str, at: int) -> None:
    try_arrays(deep[which], name, array, value, how, at)


MATRIX = {"method": "matrix", "weights": np.eye(8).tolist(), "bias": [0.0] * 8}


@pytest.mark.parametrize(
    "calibration",
    [
        {"method": "temperature", "temperature": 5e-324},
        {"method": "temperature", "temperature": 1e308},
        {"method": "temperature", "temperature": float("nan")},
        {"method": "temperature", "temperature": "1.5"},
        {"method": "temperature", "temperature": True},
        MATRIX | {"weights": np.full((8, 8), 1e308).tolist()},
        MATRIX | {"bias": [-1e308] * 8},
        MATRIX | {"bias": [float("inf")] * 8},
        MATRIX | {"bias": ["0"] * 8},
    ],
)
def test_calibrations_that_are_none(bundles: dict[str, Path], calibration: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles["linear"], tmp_path / "model"))
    record = json.loads((folder / "bundle.json").read_text(encoding="utf-8")) | {"calibration": calibration}
    (folder / "bundle.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ArxivNbclfError, match="save the model again|under calibration are not finite"):
        load_classifier(folder)


@pytest.mark.parametrize(
    ("which", "name", "value"),
    [
        ("linear", "idf", np.nan), ("linear", "idf", -1.0), ("linear", "weights", 1e30), ("compact", "scales", 0.0), ("compact", "scales", 1e38),
        ("compact", "idf", 65504.0), ("linear", "intercepts", -np.inf),
    ],
)
def test_arrays_that_are_none(bundles: dict[str, Path], which: str, name: str, value: float, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles[which], tmp_path / "model"))
    arrays = load_file(folder / "weights.safetensors")
    arrays[name] = np.full_like(arrays[name], value)
    save_file(arrays, folder / "weights.safetensors")
    refit(folder)
    with pytest.raises(ArxivNbclfError, match=f"{name} holds more than numbers"):
        load_classifier(folder)


def test_native_code_gives_no_label_of_nan(bundles: dict[str, Path]) -> None:
    pytest.importorskip("numba")
    from arxiv_nbclf.deployment.bulk import fastest_predictor

    model = load_classifier(bundles["linear"])
    model.intercepts_ = np.full(8, np.nan)  # type: ignore[attr-defined]
    many = ["A lemma on graphs"] * 5000
    for score in (model.predict, model.predict_proba, model.decision_function, fastest_predictor(model)[0].predict_proba):
        with pytest.raises(BadScores, match="paper 0: .* are not finite"):
            score(many)


def spoil(path: Path, change: str) -> None:
    "Change a tokenizer so that it loads, and fails when it reads."
    record = json.loads(path.read_text(encoding="utf-8"))
    if change == "ids beyond the vocabulary":
        record["model"]["vocab"] = {word: number + 1_000_000 for word, number in record["model"]["vocab"].items()}
    elif change == "no tokens at all":
        record["model"]["vocab"] = {"[UNK]": 1}
    else:
        record["model_max_length"] = ""
    path.write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize("change", ["ids beyond the vocabulary", "no tokens at all", "no length"])
def test_tokenizers_that_fail_when_they_read(deep: dict[str, Path], change: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(deep["hybrid"], tmp_path / "model"))
    spoil(folder / "encoder" / ("tokenizer_config.json" if change == "no length" else "tokenizer.json"), change)
    refit(folder)
    check(folder)
