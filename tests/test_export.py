"""Bundles and exports from strangers: whatever was done to a folder, loading it runs nothing and ends in one line."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_models import tiny_encoder

from arxiv_nbclf import ArxivNbclfError, load_classifier, sample
from arxiv_nbclf.classifiers.encoders import load_for_classification, load_tokenizer
from arxiv_nbclf.classifiers.linear import LinearClassifier
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.export import export_model
from arxiv_nbclf.deployment.onnx import load_exported
from arxiv_nbclf.preprocessing import label_ids, paper_texts
from arxiv_nbclf.training.finetuned import FineTunedClassifier

Copy = Callable[[str], Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles of a linear and a fine-tuned model, of an export and a cascade, as they were saved."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("models")
    papers = read_papers(sample(64, seed=1)).papers
    LinearClassifier(bits=10).fit(papers, label_ids(papers)).save(place / "linear")
    encoder = tiny_encoder(place / "tiny", paper_texts(papers), layers=1)
    tuned = FineTunedClassifier(encoder=str(encoder.folder), max_length=32, epochs=1)  # what a fit would leave, without its minutes
    tuned.model_, tuned.tokenizer_ = load_for_classification(encoder), load_tokenizer(encoder)
    tuned.offsets_, tuned._bf16, tuned.fitted_, tuned.thresholds_ = np.zeros(8, dtype=np.float32), False, {}, {}
    tuned.calibration_ = LinearClassifier.load(place / "linear").calibration_
    tuned.save(place / "finetuned")
    export_model(place / "finetuned", "onnx-int8", place / "exported", papers=papers.head(8))
    export_model(place / "finetuned", "onnx-cascade", place / "cascade", papers=read_papers(sample(128, seed=1)).papers)
    return place


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Copy:
    """Makes a copy of one of the models, to be tampered with."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(models / name, tmp_path / name))

    return make


def sha256(path: Path) -> str:
    """The digest that bundle.json would have of a file."""
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe(folder: Path, **changes: Any) -> None:
    """Change what bundle.json says; it names all files with their digests, as an attacker's would."""
    record = json.loads((folder / "bundle.json").read_text())
    there = [path for path in folder.rglob("*") if path.is_file() and path.name != "bundle.json"]
    record["files"] = {path.relative_to(folder).as_posix(): sha256(path) for path in there}
    (folder / "bundle.json").write_text(json.dumps(record | changes))


def refused(folder: Path, says: str = "") -> None:
    """Loading ends in one readable line within seconds, and so does asking where loading did not look."""
    begun = time.monotonic()
    with pytest.raises(ArxivNbclfError) as caught:
        load_classifier(folder).predict_proba(["a text"])
    line = str(caught.value)
    assert says in line and "\n" not in line and len(line) < 1_000, line[:2_000]
    assert time.monotonic() - begun < 20


def test_untouched_models_load(models: Path) -> None:
    for name in ("linear", "finetuned", "exported", "cascade"):
        probabilities = load_classifier(models / name).predict_proba(["a text", "another"])
        assert np.isfinite(probabilities).all() and probabilities.shape == (2, 8)


@pytest.mark.parametrize("name", ["linear", "finetuned", "exported", "cascade"])
def test_a_file_that_is_not_the_one_that_was_saved(copy: Copy, name: str) -> None:
    folder = copy(name)
    for file in json.loads((folder / "bundle.json").read_text())["files"]:
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        refused(folder, "is missing or not the file that was saved")
        (folder / file).write_bytes(before)
    load_classifier(folder)


@pytest.mark.parametrize("name", ["linear", "finetuned", "exported"])
def test_a_link_that_leads_outside(copy: Copy, tmp_path: Path, name: str) -> None:
    folder = copy(name)
    for file in json.loads((folder / "bundle.json").read_text())["files"]:
        inside = (folder / file).rename(tmp_path / "outside")
        (folder / file).symlink_to(inside)
        refused(folder, "outside of itself")
        (folder / file).unlink()
        inside.rename(folder / file)


def test_a_folder_that_is_a_link_to_the_outside(copy: Copy, tmp_path: Path) -> None:
    folder = copy("finetuned")
    (folder / "encoder").rename(tmp_path / "elsewhere")
    (folder / "encoder").symlink_to(tmp_path / "elsewhere")
    refused(folder, "outside of itself")


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "encoder/../../escape", "nul\0byte", "x" * 5_000])
def test_a_path_that_leads_outside(copy: Copy, name: str) -> None:
    folder = copy("linear")
    describe(folder, files={name: "0" * 64})
    refused(folder)


@pytest.mark.parametrize(
    ("name", "file"),
    [("linear", "weights.safetensors"), ("finetuned", "encoder/model.safetensors"), ("finetuned", "encoder/config.json"),
     ("exported", "model.onnx")],
)  # fmt: skip
def test_a_file_that_is_read_must_be_named(copy: Copy, name: str, file: str) -> None:
    folder = copy(name)
    record = json.loads((folder / "bundle.json").read_text())
    describe(folder, files={key: value for key, value in record["files"].items() if key != file})
    refused(folder)


LOAD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
from arxiv_nbclf import ArxivNbclfError, load_classifier
try:
    load_classifier(sys.argv[1]).predict_proba(["a text"])
except ArxivNbclfError as error:
    print(error)
"""


def outcome(folder: Path, seconds: float = 30) -> tuple[int, list[str]]:
    """Exit status and printed lines of loading in a process of its own, which may take so long and 6 GB; 124 if it takes longer."""
    try:
        done = subprocess.run([sys.executable, "-c", LOAD, folder], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 124, []
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()[-1:] * (done.returncode != 0)


def test_a_pipe_in_the_place_of_a_file(copy: Copy) -> None:
    folder = copy("linear")
    (folder / "weights.safetensors").unlink()
    os.mkfifo(folder / "weights.safetensors")
    describe(folder, files={})
    status, lines = outcome(folder)
    assert status == 0 and len(lines) == 1, (status, lines)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", "[" * 100_000, '{"a":' * 100_000, "\ufeff{}", '{"format": 1}', "1" * 10_000],
    ids=["empty", "list", "null", "torn", "deep list", "deep record", "byte order mark", "short", "digits"],
)
def test_a_description_that_is_none(copy: Copy, text: str) -> None:
    folder = copy("linear")
    (folder / "bundle.json").write_text(text, encoding="utf-8")
    refused(folder)


def test_a_description_larger_than_any(copy: Copy) -> None:
    folder = copy("linear")
    describe(folder, padding="x" * 200_000_000)
    refused(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2, "library_version": "9.1"}, "install arxiv_nbclf 9.1 or newer"),
        ({"format": "new"}, "bundle format"),
        ({"format": {"x": ["y"] * 5_000}}, ""),
        ({"labels": ["cs"]}, "labels"),
        ({"labels": ["x" * 10_000] * 8}, ""),
        ({"family": "pickle"}, "pickle"),
        ({"family": ["linear"]}, ""),
        ({"family": "os.system"}, ""),
        ({"settings": {"C": "import os"}}, "C"),
        ({"settings": {"bits": 60}}, "bits"),
        ({"settings": {"__class__": "x"}}, "no setting"),
        ({"settings": ["C"]}, ""),
        ({"files": ["weights.safetensors"]}, ""),
        ({"files": None}, ""),
        ({"calibration": None}, ""),
        ({"calibration": {"method": "temperature", "temperature": -1}}, "calibration"),
        ({"calibration": {"method": "temperature", "temperature": float("nan")}}, "calibration"),
        ({"calibration": {"method": "matrix", "weights": [[float("inf")] * 8] * 8, "bias": [0] * 8}}, "calibration"),
        ({"calibration": {"method": "matrix", "weights": [[1] * 7] * 8, "bias": [0] * 8}}, "calibration"),
        ({"thresholds": [{"accuracy": 2, "threshold": 0.5, "coverage": 0.5}]}, "thresholds"),
        ({"thresholds": "x"}, ""),
    ],
)
def test_a_description_that_says_what_cannot_be(copy: Copy, changes: dict[str, Any], says: str) -> None:
    folder = copy("linear")
    describe(folder, **changes)
    refused(folder, says)


def spoilt(values: np.ndarray) -> np.ndarray:
    """The array with one value that is no number."""
    found = values.copy()
    found.flat[0] = np.nan
    return found


TAMPERINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "no number": spoilt,
    "infinite": lambda values: np.full_like(values, np.inf),
    "one more": lambda values: np.concatenate([values, values[:1]]),
    "a dimension more": lambda values: values[None],
    "whole numbers in another shape": lambda values: np.zeros((*values.shape, 2), dtype=np.int64),
    "empty": lambda values: values[:0],
}


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize(
    "file", ["linear/weights.safetensors", "finetuned/offsets.safetensors", "exported/weights.safetensors", "cascade/bars.safetensors"]
)
def test_numbers_that_do_not_fit(copy: Copy, file: str, how: str) -> None:
    name, _, array_file = file.partition("/")
    folder = copy(name)
    arrays = load_file(folder / array_file)
    for key, values in arrays.items():
        save_file(arrays | {key: TAMPERINGS[how](values)}, folder / array_file)
        describe(folder)
        refused(folder)


@pytest.mark.parametrize("how", ["no number", "one more", "a dimension more", "empty"])
def test_a_transformer_whose_numbers_do_not_fit(copy: Copy, how: str) -> None:
    folder = copy("finetuned")
    tensors = load_file(folder / "encoder" / "model.safetensors")
    for key in ("classifier.weight", "distilbert.embeddings.word_embeddings.weight"):
        save_file(tensors | {key: TAMPERINGS[how](tensors[key])}, folder / "encoder" / "model.safetensors", metadata={"format": "pt"})
        describe(folder)
        refused(folder)


def test_a_head_that_is_not_there(copy: Copy) -> None:
    folder = copy("finetuned")
    tensors = load_file(folder / "encoder" / "model.safetensors")
    body = {key: value for key, value in tensors.items() if not key.startswith(("classifier", "pre_classifier"))}
    save_file(body, folder / "encoder" / "model.safetensors", metadata={"format": "pt"})
    describe(folder)
    refused(folder)


EVIL = "import pathlib; pathlib.Path({path!r}).write_text('ran')\nclass Evil: pass\n"


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("unknown", [False, True], ids=["known architecture", "unknown architecture"])
def test_code_beside_a_transformer_is_never_run(copy: Copy, tmp_path: Path, file: str, unknown: bool) -> None:
    folder, proof = copy("finetuned"), tmp_path / "it ran"
    (folder / "encoder" / "evil.py").write_text(EVIL.format(path=str(proof)))
    kinds = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
    auto_map: dict[str, Any] = dict.fromkeys(kinds, "evil.Evil") | {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    config = json.loads((folder / "encoder" / file).read_text()) | {"auto_map": auto_map}
    if unknown:
        config |= {"model_type": "evil", "tokenizer_class": "Evil"}
    (folder / "encoder" / file).write_text(json.dumps(config))
    describe(folder)
    try:
        load_classifier(folder).predict_proba(["a text"])
    except ArxivNbclfError as error:
        assert "\n" not in str(error)
    assert not proof.exists()


def test_a_pickle_beside_a_transformer_is_not_opened(copy: Copy, tmp_path: Path) -> None:
    folder, proof = copy("finetuned"), tmp_path / "it ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (proof,)

    torch.save(Evil(), folder / "encoder" / "pytorch_model.bin")
    describe(folder)
    with suppress(ArxivNbclfError):
        load_classifier(folder)
    (folder / "encoder" / "model.safetensors").unlink()
    describe(folder)
    refused(folder, "model.safetensors")
    shutil.copy(folder / "encoder" / "pytorch_model.bin", folder / "encoder" / "model.safetensors")
    describe(folder)
    refused(folder, "safetensors")
    assert not proof.exists()


@pytest.mark.parametrize(
    "changes",
    [{"n_layers": 10**6}, {"dim": 2**30}, {"vocab_size": 2**45}, {"max_position_embeddings": 2**45}, {"n_heads": 0},
     {"attn_implementation": "evil/kernel"}, {"_attn_implementation_internal": "evil/kernel"},
     {"quantization_config": {"quant_method": "evil"}}],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_asks_for_the_moon(copy: Copy, changes: dict[str, Any]) -> None:
    folder = copy("finetuned")
    config = json.loads((folder / "encoder" / "config.json").read_text())
    (folder / "encoder" / "config.json").write_text(json.dumps(config | changes))
    describe(folder)
    status, lines = outcome(folder)
    assert status == 0 and len(lines) <= 1, (status, lines)


def test_a_graph_that_reaches_outside(copy: Copy, tmp_path: Path) -> None:
    import onnx

    folder = copy("exported")
    (tmp_path / "secret").write_bytes(b"\0" * 4_096)
    graph = onnx.load(folder / "model.onnx")
    tensor = next(tensor for tensor in graph.graph.initializer if tensor.raw_data and tensor.data_type == onnx.TensorProto.FLOAT)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    describe(folder)
    refused(folder, "keeps numbers in another file")


@pytest.mark.parametrize("how", ["other outputs", "no number", "text"])
def test_a_graph_that_is_another(copy: Copy, how: str) -> None:
    import onnx
    from onnx import numpy_helper

    folder = copy("exported")
    graph = onnx.load(folder / "model.onnx")
    if how == "other outputs":
        del graph.graph.output[:]
        graph.graph.output.append(onnx.helper.make_tensor_value_info(graph.graph.node[0].output[0], 0, None))
    if how == "no number":
        for tensor in graph.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims:
                tensor.CopyFrom(numpy_helper.from_array(np.full_like(numpy_helper.to_array(tensor), np.nan), tensor.name))
    (folder / "model.onnx").write_bytes(b"a text" if how == "text" else graph.SerializeToString())
    describe(folder)
    refused(folder)


@pytest.mark.parametrize("name", ["words", "beginning", "whole"])
@pytest.mark.parametrize("how", ["another model", "not there", "spoilt"])
def test_a_reader_of_a_cascade_that_is_another(copy: Copy, models: Path, name: str, how: str) -> None:
    folder = copy("cascade")
    member = folder / "members" / name
    if how == "spoilt":
        file = member / ("weights.safetensors" if name == "words" else "model.onnx")
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    else:
        shutil.rmtree(member)
        if how == "another model":
            shutil.copytree(models / ("exported" if name == "words" else "linear"), member)
    refused(folder)
    describe(folder)
    refused(folder)


def test_a_cascade_answers_as_its_model_where_nobody_else_may(models: Path) -> None:
    cascade, papers = load_classifier(models / "cascade"), read_papers(sample(64, seed=1)).papers
    assert (cascade.stage_thresholds_ > 1).all()  # a dozen papers to be judged by are too few for a bar
    assert np.allclose(cascade.predict_proba(papers), load_classifier(models / "finetuned").predict_proba(papers), atol=1e-4)


def test_a_readme_may_be_edited(copy: Copy) -> None:
    folder = copy("exported")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Ours\n")
    (folder / "figures").mkdir()
    (folder / "figures" / "a.png").write_bytes(b"picture")
    assert load_exported(folder).predict(["a text"]).shape == (1,)
