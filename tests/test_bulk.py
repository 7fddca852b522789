"""A stream of papers that is killed time and again, the bulk snapshot's form, and a family that has no quick way."""

import gzip
import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from tiny_models import tiny_encoder

from arxiv_nbclf import label_ids, new_classifier, read_papers, sample
from arxiv_nbclf.classifiers.base import Classifier, load_classifier
from arxiv_nbclf.classifiers.hybrid import HybridClassifier
from arxiv_nbclf.core.basics import ArxivNbclfError
from arxiv_nbclf.deployment.bulk import predict_file, predict_stream
from arxiv_nbclf.deployment.export import export_model
from arxiv_nbclf.deployment.onnx import BatchingMode, to_exported
from arxiv_nbclf.deployment.prediction import predict_table
from arxiv_nbclf.preprocessing import LABELS, paper_texts

ROWS, REPEATED, KILLS = 1000, 12, 6
PROGRAM = "import sys; from arxiv_nbclf.deployment.bulk import predict_stream; predict_stream(*sys.argv[1:4], rows_per_shard=250)"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a file of some thousand papers with bad rows among them."""
    folder = tmp_path_factory.mktemp("bulk")
    papers = sample(ROWS)
    new_classifier("linear", C=0.5).fit(papers, label_ids(papers)).save(folder / "model")
    many = pd.concat([papers] * REPEATED, ignore_index=True)
    many["aid"] = [f"paper-{row}" for row in range(len(many))]
    many.loc[::97, "summary"] = " "
    many.to_parquet(folder / "papers.parquet", row_group_size=3_333)
    return folder


def shards(folder: Path) -> int:
    """How many are finished."""
    return len(list(folder.glob("part-*")))


def test_a_stream_that_is_killed_at_random_moments_loses_no_row_and_doubles_none(place: Path) -> None:
    whole = predict_stream(place / "papers.parquet", place / "model", place / "whole", rows_per_shard=5_000)
    out, rng, kills = place / "killed", random.Random(1), 0
    partial = out.with_name("killed.partial")
    while True:
        before = shards(partial)
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, place / "papers.parquet", place / "model", out])
        if kills < KILLS:  # it has got somewhere, and then at a moment that nobody has chosen
            while process.poll() is None and shards(partial) == before:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        if process.wait() == 0 or out.exists():
            break
        assert process.returncode == -9
        kills += 1
    assert kills >= 3
    predictions, expected = pd.read_parquet(out), pd.read_parquet(place / "whole")
    pd.testing.assert_frame_equal(predictions, expected)
    assert predictions.aid.is_unique
    bad = list(range(1, ROWS * REPEATED + 1, 97))
    assert len(predictions) == whole.papers == ROWS * REPEATED - len(bad)
    rejects = pd.concat([pd.read_parquet(path) for path in sorted(out.glob("_rejects-*"))])
    assert rejects.row.tolist() == bad
    assert not partial.exists() and not list(out.glob(".*"))
    record = json.loads((out / "_run.json").read_text())
    assert (record["papers"], record["rejects"], record["shards"]) == (len(predictions), len(bad), shards(out))


def test_the_bulk_snapshot_is_read_as_it_comes(place: Path) -> None:
    papers = sample(300)
    nested = {"authors_parsed": [[["Erdős", "P.", ""]]] * 300, "versions": [[{"version": "v1"}]] * 300}
    rows = papers.assign(id=papers.aid, abstract=papers.summary, **nested)
    snapshot = place / "snapshot"
    snapshot.mkdir()
    with gzip.open(snapshot / "arxiv-metadata-oai-snapshot.json.gz", "wt", encoding="utf-8") as file:
        for row in rows[["id", "title", "abstract", "authors_parsed", "versions"]].to_dict("records"):
            file.write(json.dumps(row) + "\n")
        file.write('{"id": "2504.99999", "title": "cut o')
    stream = predict_stream(snapshot, place / "model", place / "from_snapshot", rows_per_shard=128)
    assert (stream.papers, stream.rejects, stream.shards) == (300, 1, 3)
    expected = predict_table(load_classifier(place / "model"), read_papers(papers, purpose="prediction").papers)
    pd.testing.assert_frame_equal(pd.read_parquet(place / "from_snapshot"), expected)


@dataclass(eq=False)
class Slow(Classifier):
    """A family that takes long and is not to be asked by two threads at once."""

    text_plan: str = "raw"
    family: ClassVar[str] = "slow"
    busy: ClassVar[threading.Lock] = threading.Lock()

    def _fit(self, texts: list[str], labels: np.ndarray, validation: tuple[list[str], np.ndarray] | None) -> None:
        return None

    def _scores(self, texts: list[str]) -> np.ndarray:
        assert self.busy.acquire(blocking=False)
        time.sleep(0.01)
        self.busy.release()
        return np.array([[len(text) % 7 == group for group in range(len(LABELS))] for text in texts], dtype=float)

    def _save_weights(self, folder: Path) -> None:
        (folder / "nothing").write_text("learnt")

    def _load_weights(self, folder: Path) -> None:
        pass


def test_any_family_predicts_a_stream(place: Path) -> None:
    papers = read_papers(place / "papers.parquet", purpose="prediction").papers
    slow = Slow().fit(papers[:10], np.arange(10) % 8)
    stream = predict_stream(place / "papers.parquet", slow, place / "slow", top=2, abstain_below=0.99)
    assert stream.papers == len(papers)
    pd.testing.assert_frame_equal(pd.read_parquet(place / "slow"), predict_table(slow, papers, top=2, abstain_below=0.99))


@pytest.fixture(scope="module")
def hybrid(place: Path) -> Path:
    """A model with a tiny encoder, and fewer papers for it."""
    read_papers(place / "papers.parquet", purpose="prediction").papers.head(250).to_parquet(place / "few.parquet")
    train = read_papers(sample(200, seed=1)).papers
    encoder = tiny_encoder(place / "tiny", paper_texts(train), layers=1)
    model = HybridClassifier(encoder=str(encoder.folder), max_length=128, folds=2).fit(train, label_ids(train))
    return model.save(place / "hybrid")


def test_families_with_an_encoder_predict_a_stream(place: Path, hybrid: Path) -> None:
    papers = pd.read_parquet(place / "few.parquet")
    export_model(hybrid, "onnx-int8", place / "exported", papers=papers.head(8))
    export_model(hybrid, "onnx-cascade", place / "cascade", papers=read_papers(sample(200, seed=1)).papers)
    for model in ("hybrid", "exported", "cascade"):
        stream = predict_stream(place / "few.parquet", place / model, place / f"by_{model}", rows_per_shard=60)
        assert (stream.papers, stream.shards) == (250, 5)
        expected = predict_table(load_classifier(place / model), papers)
        pd.testing.assert_frame_equal(pd.read_parquet(stream.folder), expected)


def test_a_shard_is_encoded_in_batches_of_like_lengths(place: Path, hybrid: Path, tmp_path: Path) -> None:
    export = to_exported(load_classifier(hybrid), "fp32", tmp_path)
    export.set_batching(BatchingMode(batch_tokens=1_024))
    graph, batches = export.graph_, []

    def watched(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        batches.append(mask)
        return graph(ids, mask)

    export.graph_ = watched  # type: ignore[assignment]
    stream = predict_stream(place / "few.parquet", export, place / "in_batches", rows_per_shard=125)
    assert sum(len(mask) for mask in batches) == stream.papers == 250
    assert max(mask.size for mask in batches) <= 1_024  # what is in memory at once
    assert sum(mask.size for mask in batches) < 1.1 * sum(mask.sum() for mask in batches)  # hardly any filling


@pytest.mark.parametrize("name", ["papers.csv", "papers.tsv", "papers.csv.gz"])
def test_a_latin_1_header_leaves_nothing(tmp_path: Path, name: str) -> None:
    data = "title\tabstract\tr\xe9sum\xe9\na\tb\tc\n".replace("\t", "\t" if "tsv" in name else ",").encode("latin-1")
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    for out in ("o", "o.csv"):
        with pytest.raises(ArxivNbclfError, match="byte 0xe9 at position 16 .line 1."):
            predict_file(tmp_path / name, None, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == [name]
