"""Learning from chunks: the same papers as a table read whole, the same model, and a killed fit that goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from arxiv_nbclf import runs, sample
from arxiv_nbclf.classifiers.base import load_classifier
from arxiv_nbclf.classifiers.linear import LinearClassifier, fit_softmax
from arxiv_nbclf.data.chunks import SEEN_BEFORE, read_chunks
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.tables import write_table
from arxiv_nbclf.preprocessing import paper_labels, prepare

QUICK: dict[str, Any] = {"epochs": 2, "width": 8}


def in_chunks(papers: pd.DataFrame, rows: int) -> Iterator[pd.DataFrame]:
    """A stream of papers."""
    for start in range(0, len(papers), rows):
        yield papers[start : start + rows]


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    """Papers of many categories."""
    return read_papers(sample(500)).papers


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "xlsx"])
def test_chunks_for_training_are_those_of_a_whole_table(ending: str, tmp_path: Path) -> None:
    table = sample(60)
    table["published"] = table["published"].astype(str)
    table.loc[[7, 13], "main_category"] = table.loc[[7, 13], "categories"] = "no.such"
    table.loc[20, "aid"] = table.loc[18, "aid"]
    write_table(table, tmp_path / f"papers.{ending}")
    whole, chunks = read_papers(tmp_path / f"papers.{ending}"), [*read_chunks(tmp_path / f"papers.{ending}", 25, purpose="training")]
    found = pd.concat([chunk.papers for chunk in chunks if chunk], ignore_index=True)
    pd.testing.assert_frame_equal(found, whole.papers)
    rejects = pd.concat([chunk.rejects for chunk in chunks if chunk], ignore_index=True)
    assert rejects.reason.tolist() == whole.rejects.reason.tolist()


def test_a_paper_counts_once_in_all_chunks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(sample(30), tmp_path / f"{name}.csv")
    chunks = [chunk for chunk in read_chunks(tmp_path, 20, purpose="training") if chunk]
    assert sum(len(chunk.papers) for chunk in chunks) == 30
    rejects = pd.concat([chunk.rejects for chunk in chunks])
    assert set(rejects.reason) == {SEEN_BEFORE} and len(rejects) == 30


def test_chunks_of_any_size_come_to_the_same_held_out_papers(papers: pd.DataFrame, tmp_path: Path) -> None:
    first, other = (
        LinearClassifier(**QUICK).fit_stream(in_chunks(papers, rows), tmp_path / str(rows)) for rows in (70, 500)
    )
    assert first.labels_ == other.labels_ and first.fitted_ == other.fitted_
    assert first.held_out_proba_ is not None and other.held_out_proba_ is not None
    assert first.held_out_proba_.shape == other.held_out_proba_.shape
    assert np.array_equal(first.softmax_.features.buckets, other.softmax_.features.buckets)  # type: ignore[union-attr]
    np.testing.assert_allclose(first.predict_proba(papers[:9]).sum(axis=1), 1)


def test_a_stream_is_as_good_as_a_table(papers: pd.DataFrame, tmp_path: Path) -> None:
    settings = {"epochs": 4, "width": 16}
    streamed = LinearClassifier(**settings).fit_stream(in_chunks(papers, 100), tmp_path)
    whole = LinearClassifier(**settings).fit(papers, papers.main_category)
    known = np.isin(paper_labels(papers, "category"), streamed.labels_)
    names = papers.main_category[known].tolist()
    assert streamed.score(papers[known], names) > whole.score(papers[known], names) - 0.15


def test_a_killed_fit_goes_on(papers: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def watched() -> Iterator[pd.DataFrame]:
        for some in in_chunks(papers, 100):
            read.append(len(some))
            yield some

    expected = LinearClassifier(**QUICK).fit_stream(watched(), tmp_path / "whole")
    with monkeypatch.context() as changed:

        def dies(*words: Any, **named: Any) -> None:
            fit_softmax(*words[:3], 1, *words[4:], **named)  # one of two passes
            raise KeyboardInterrupt

        changed.setattr("arxiv_nbclf.classifiers.linear.fit_softmax", dies)
        with pytest.raises(KeyboardInterrupt):
            LinearClassifier(**QUICK).fit_stream(watched(), tmp_path / "killed", digest="same")
    before = len(read)
    found = LinearClassifier(**QUICK).fit_stream(watched(), tmp_path / "killed", digest="same")
    assert len(read) == before  # the blocks were whole
    assert found.softmax_ is not None and expected.softmax_ is not None
    assert found.softmax_.embeddings.tobytes() == expected.softmax_.embeddings.tobytes()
    np.testing.assert_array_equal(found.predict_proba(papers[:9]), expected.predict_proba(papers[:9]))


def test_partial_fit_goes_on_from_its_state(papers: pd.DataFrame) -> None:
    classes = sorted({*paper_labels(papers, "category")} - {""})
    model = LinearClassifier(width=16)
    for _ in range(3):
        for some in in_chunks(papers, 250):
            model.partial_fit(some, some.main_category, classes=classes)
    assert list(model.labels_) == classes and model.fitted_["partial_fits"] == 6
    probabilities = model.predict_proba(papers[:20])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    # fitted otherwise, it begins anew
    model.fit(papers, papers.main_category)
    model.partial_fit(papers, papers.main_category)
    assert model.fitted_["partial_fits"] == 1


def test_train_streams_a_large_table(papers: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(papers, tmp_path / "papers.parquet")
    monkeypatch.setattr(runs, "STREAM_PAPERS", 400)
    run = runs.train(tmp_path / "papers.parquet", tmp_path / "run", family="linear", level="category", settings=QUICK)
    record, whole = json.loads((run.folder / "run.json").read_text()), prepare(tmp_path / "papers.parquet", "stable").record
    assert record["streamed"] and record["level"] == "category" and record["split"] == "stable"
    for name in ("split_digest", "rows", "n_train", "n_validation", "n_test"):
        assert record[name] == whole[name]
    assert sorted(path.name for path in run.folder.iterdir()) == ["model", "rejects.parquet", "run.json", "splits.parquet"]
    model = load_classifier(run.folder)
    assert model.fitted_["streamed"] <= record["n_train"] and model.predict(["a lemma on graphs"]).shape == (1,)
    # smaller, it is read whole
    monkeypatch.setattr(runs, "STREAM_PAPERS", 501)
    assert not runs.is_streamed(tmp_path / "papers.parquet", {"split": "seed", "level": "category", "family": "linear", "encoder": None})
