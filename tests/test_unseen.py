"""Only papers that a model has not learnt from are scored, however they come again: as another file, without ids, or nearly the same."""

import logging
from pathlib import Path

import pandas as pd
import pytest
from short_reports import short_reports

from arxiv_nbclf import load_classifier, read_papers, runs, sample, write_table
from arxiv_nbclf.classifiers.base import SKETCH_FILE
from arxiv_nbclf.evaluation.drift import BadDrift, drift_report
from arxiv_nbclf.evaluation.intervals import CannotCompare, compare_runs

TEXT = ["title", "summary", "categories", "main_category", "published"]


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Papers without ids to make a run of, and others."""
    papers = read_papers(sample(700, seed=11)).papers[TEXT]
    return papers[:500], papers[500:]


@pytest.fixture(scope="module")
def model(
    tables: tuple[pd.DataFrame, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run on a csv file."""
    place = tmp_path_factory.mktemp("runs")
    tables[0].to_csv(place / "papers.csv", index=False)
    with short_reports():
        return runs.run(
            place / "papers.csv", place / "run", family="linear", settings={"bits": 12}
        ).folder


def typed_again(papers: pd.DataFrame) -> pd.DataFrame:
    """Every fortieth word of each abstract is another one."""

    def other(text: str) -> str:
        return " ".join(
            "other" if place % 40 == 3 else word
            for place, word in enumerate(text.split())
        )

    return papers.assign(summary=papers["summary"].map(other))


AGAIN = {
    "another format": lambda papers: papers,
    "another order": lambda papers: papers[::-1],
    "other ids": lambda papers: papers.assign(
        aid=[f"2501.{row:05d}" for row in range(len(papers))]
    ),
    "capitals": lambda papers: papers.assign(
        title=papers["title"].str.upper(), summary=papers["summary"].str.upper()
    ),
    "no titles": lambda papers: papers.assign(title="Untitled"),
    "no abstracts": lambda papers: papers.assign(summary="We say nothing."),
    "other words": typed_again,
    "a line more": lambda papers: papers.assign(
        summary=papers["summary"] + " Code is available at our page."
    ),
}


@pytest.mark.parametrize("how", AGAIN)
@pytest.mark.parametrize("part", [".", "model"])
@short_reports()
def test_training_papers_are_left_out(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    model: Path,
    tmp_path: Path,
    how: str,
    part: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a table with all papers again and others, the run's test papers and the others are scored: by the run and by the bare bundle."""
    known, others = tables
    splits = pd.read_parquet(model / "splits.parquet")
    write_table(
        pd.concat([AGAIN[how](known), others], ignore_index=True),
        tmp_path / "again.parquet",
    )
    monkeypatch.setattr(runs.log, "propagate", True)  # the command line takes messages to itself
    with caplog.at_level(logging.INFO, runs.log.name):
        found = runs.evaluate_bundle(
            tmp_path / "again.parquet", model / part, tmp_path / "out"
        ).record
    learnt = int((splits["split"] != "test").sum())
    missed = 0.05 * learnt if how == "no abstracts" else 0  # a title of three words is not enough
    assert learnt - missed <= found["left_out"] <= learnt + 5  # a few test papers resemble training papers
    assert found["n_test"] == 700 - found["left_out"]
    assert f"{found['left_out']} of 700 papers are left out" in caplog.text


@short_reports()
def test_a_bundle_without_a_sketch_says_so(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    model: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older bundle knows nothing of its papers: all are scored, with a warning."""
    classifier = load_classifier(model)
    classifier.learnt_from_ = None
    classifier.save(tmp_path / "old")
    assert not (tmp_path / "old" / SKETCH_FILE).exists()
    write_table(tables[0], tmp_path / "again.parquet")
    monkeypatch.setattr(runs.log, "propagate", True)
    with caplog.at_level(logging.WARNING, runs.log.name):
        found = runs.evaluate_bundle(tmp_path / "again.parquet", tmp_path / "old", tmp_path / "out")
    assert found.record["n_test"] == 500
    assert (
        "nobody can tell whether it has learnt from some of these papers" in caplog.text
    )


def test_drift_leaves_out_what_both_tables_hold(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """A new table that has grown out of the old one is compared by what is new in it."""
    known, others = tables
    grown = drift_report(
        known, pd.concat([typed_again(known), others]), permutations=99
    )
    alone = drift_report(known, others, permutations=99)
    assert (grown.shared, grown.after) == (500 + alone.shared, alone.after)
    assert [part.distance for part in grown.measures] == [
        part.distance for part in alone.measures
    ]
    with pytest.raises(
        BadDrift, match="the old table holds all but 0 papers of the new one"
    ):
        drift_report(known, known[::-1])


def test_runs_of_other_texts_are_not_compared(
    tables: tuple[pd.DataFrame, pd.DataFrame], model: Path, tmp_path: Path
) -> None:
    """Two tables without ids have the same row numbers, which does not make them the same papers."""
    known, others = tables
    groups = known["main_category"]
    texts = pd.concat([others, others, others])[: len(known)]
    strange = known.assign(
        title=texts["title"].to_numpy() + " again", summary=texts["summary"].to_numpy()
    )
    assert (strange["main_category"] == groups).all()
    strange.to_csv(tmp_path / "papers.csv", index=False)
    with short_reports():
        second = runs.run(
            tmp_path / "papers.csv",
            tmp_path / "second",
            family="linear",
            settings={"bits": 12},
        ).folder
    with pytest.raises(CannotCompare, match="have the same ids but other texts"):
        compare_runs([model, second])
