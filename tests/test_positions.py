"""A table in memory counts by position: whatever its index is, answers belong to the rows that they were made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arxiv_nbclf import (
    ArxivNbclfError,
    evaluate,
    explore,
    label_ids,
    new_classifier,
    predict,
    predict_stream,
    read_papers,
    run,
    sample,
    score,
    split_papers,
    train,
)
from arxiv_nbclf.data.papers import near_duplicates
from arxiv_nbclf.evaluation.drift import drift_report
from arxiv_nbclf.preprocessing import LABELS

RAW = sample(300, seed=5)
PAPERS = read_papers(RAW).papers
NAMES = np.array(LABELS)[label_ids(PAPERS)]
MODEL = new_classifier("linear").fit(PAPERS, NAMES)
ANSWERS = MODEL.predict_proba(PAPERS)
INDEXES: dict[str, Callable[[int], Any]] = {
    "reversed": lambda n: range(n)[::-1],
    "shuffled": lambda n: np.random.default_rng(n).permutation(n),
    "one label": lambda n: [7] * n,
    "texts": lambda n: [f"row {at % 3}" for at in range(n)],
    "dates": lambda n: pd.date_range("2024-01-01", periods=n)[::-1],
    "pairs": lambda n: pd.MultiIndex.from_arrays([range(n)[::-1], ["a"] * n]),
    "missing": lambda n: [np.nan] * n,
}


@st.composite
def row_orders(draw: st.DrawFn) -> list[int]:
    """Positions of some rows in any order, perhaps one of them several times."""
    return draw(st.lists(st.integers(0, len(PAPERS) - 1), min_size=1, max_size=40))


def indexed(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """A table with an index of that kind."""
    return table.set_axis(pd.Index(INDEXES[kind](len(table))))


@settings(max_examples=20, deadline=None)
@given(row_orders(), st.sampled_from(sorted(INDEXES)))
def test_answers_move_with_their_rows(order: list[int], kind: str) -> None:
    table = indexed(PAPERS.iloc[order], kind)
    assert np.allclose(MODEL.predict_proba(table), ANSWERS[order], rtol=1e-9)  # sums of a batch may round otherwise
    answers = predict(table, model=MODEL, top=3)
    assert answers["aid"].tolist() == PAPERS["aid"].iloc[order].tolist()
    assert np.allclose(answers[[f"p_{name}" for name in MODEL.classes_]], ANSWERS[order], atol=1e-6)
    assert label_ids(table).tolist() == label_ids(PAPERS)[order].tolist()
    assert read_papers(indexed(RAW.iloc[order], kind), "prediction").papers["title"].tolist() == RAW["title"].iloc[order].tolist()


@settings(max_examples=15, deadline=None)
@given(row_orders(), st.sampled_from(sorted(INDEXES)))
def test_labels_and_dates_stay_with_their_rows(order: list[int], kind: str) -> None:
    rows = list(dict.fromkeys(order))
    for column in ("published", "categories"):
        table = RAW.iloc[rows].assign(aid=range(len(rows)))
        if column == "published":
            table["published"] = pd.to_datetime(table["published"], format="ISO8601", utc=True)
        else:
            table["categories"] = [codes.split(",") for codes in table["categories"]]
        found = read_papers(indexed(table, kind)).papers
        for name in ("title", "main_category", "published"):
            assert found[name].tolist() == PAPERS[name].iloc[rows].tolist()


@pytest.mark.parametrize("kind", ["shuffled", "one label", "dates"])
def test_the_index_changes_no_figure(kind: str, tmp_path: Path) -> None:
    table, raw = indexed(PAPERS, kind), indexed(RAW, kind)
    ids, names = pd.Series(label_ids(table), index=table.index), pd.Series(NAMES, index=table.index)
    assert evaluate(MODEL, table).accuracy == evaluate(MODEL, raw).accuracy == evaluate(MODEL, PAPERS).accuracy
    assert score(ids[::-1], ANSWERS[::-1]).accuracy == score(ids, pd.DataFrame(ANSWERS)).accuracy
    assert explore(raw).groups.equals(explore(PAPERS).groups)
    assert np.array_equal(new_classifier("linear").fit(table, names).predict_proba(PAPERS), ANSWERS)
    assert split_papers(table, "stable").tolist() == split_papers(PAPERS, "stable").tolist()
    assert near_duplicates(table)["aid"].tolist() == near_duplicates(PAPERS)["aid"].tolist()
    first, second = slice(None, 150), slice(150, None)
    measures = [drift_report(papers[first], papers[second], permutations=99).measures for papers in (raw, PAPERS)]
    assert measures[0] == measures[1]
    assert predict_stream(raw, MODEL, tmp_path / "shards").papers == len(raw)
    shards = pd.concat([pd.read_parquet(file) for file in sorted((tmp_path / "shards").glob("*.parquet")) if "reject" not in file.name])
    assert shards["aid"].tolist() == PAPERS["aid"].tolist()
    assert np.allclose(shards[[f"p_{name}" for name in MODEL.classes_]], ANSWERS, atol=1e-6)


def test_one_row_and_labels_by_name() -> None:
    one = predict(PAPERS.iloc[3], model=MODEL)
    assert one["predicted"].tolist() == [MODEL.predict(PAPERS.iloc[3:4])[0]]
    assert score(NAMES, ANSWERS).accuracy == score(label_ids(PAPERS), ANSWERS).accuracy
    assert label_ids(PAPERS.to_dict("records")).tolist() == label_ids(PAPERS).tolist()
    assert split_papers(RAW.to_dict("records"), "stable").tolist() == split_papers(PAPERS, "stable").tolist()
    with pytest.raises(ArxivNbclfError, match="no column main_category"):
        label_ids(PAPERS[["title"]])


def test_an_index_that_is_named_like_a_column_is_one() -> None:
    found = read_papers(RAW.rename(columns={"aid": "id"}).set_index("id")).papers
    assert found["aid"].tolist() == PAPERS["aid"].tolist()


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "frame": lambda table: table,
    "records": lambda table: table.to_dict("records"),
    "generator": lambda table: iter(table.to_dict("records")),
    "columns": lambda table: table.to_dict("list"),
    "series": lambda table: dict(table.set_axis([0] * len(table)).items()),
    "arrow": lambda table: pa.Table.from_pandas(table.set_axis(table.index[::-1])),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_any_kind_is_read(form: str, tmp_path: Path) -> None:
    make = FORMS[form]
    assert read_papers(make(RAW)).papers.equals(PAPERS)
    assert predict(make(RAW), model=MODEL)["predicted"].tolist() == predict(PAPERS, model=MODEL)["predicted"].tolist()
    assert explore(make(RAW)).rows == len(RAW)
    assert evaluate(MODEL, make(RAW)).accuracy == evaluate(MODEL, PAPERS).accuracy
    assert train(make(RAW), tmp_path / "train", family="linear").record["n_train"] == 216


@pytest.mark.parametrize("wrong", [None, 3, b"a.csv", ["a", "b"], pd.Series(["a"]), [{"title": "a"}], {"title": ["a"], "summary": []}, {}, [], pd.DataFrame()])
def test_what_is_no_table_is_one_line(wrong: Any, tmp_path: Path) -> None:
    actions: list[Callable[[], object]] = [
        lambda: read_papers(wrong),
        lambda: explore(wrong),
        lambda: evaluate(MODEL, wrong),
        lambda: drift_report(wrong, PAPERS),
        lambda: run(wrong, tmp_path / "run", family="linear"),
    ]
    for action in actions:
        with pytest.raises(ArxivNbclfError) as caught:
            action()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert not (tmp_path / "run").exists()
