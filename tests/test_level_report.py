"""The report at category level: odd tables, models that answer in groups, models that only have `predict_proba`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_checks import html_errors

from arxiv_nbclf.classifiers.linear import LinearClassifier
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.evaluation.error_analysis import CannotExplain, explain
from arxiv_nbclf.evaluation.intervals import CannotCompare, compare_runs
from arxiv_nbclf.evaluation.metrics import evaluate, evaluate_level
from arxiv_nbclf.preprocessing import (
    LABELS,
    PreparedPapers,
    label_ids,
    paper_labels,
    prepare,
)
from arxiv_nbclf.report.page import write_report
from arxiv_nbclf.report.sections import (
    SECTIONS,
    EvaluationContext,
    describe,
    group_sums,
)


@pytest.fixture(scope="module")
def prepared() -> PreparedPapers:
    return prepare(sample(800, seed=3), level="category")


def fitted(prepared: PreparedPapers, **settings: object) -> LinearClassifier:
    (papers, ids), (others, their) = map(prepared.subset, ("train", "validation"))
    codes = np.array(prepared.classes)
    return LinearClassifier(C=1.0, **settings).fit(papers, codes[ids], validation=(others, codes[their]))


@pytest.fixture(scope="module")
def model(prepared: PreparedPapers) -> LinearClassifier:
    return fitted(prepared)


def write(folder: Path, context: EvaluationContext, **record: object) -> tuple[dict, str, str]:
    """The report of a context: its JSON, its page, its card."""
    described = describe(context, SECTIONS)
    known = context.prepared.record | {"name": "x", "family": "linear", "level": context.level} | record
    report = write_report(folder, known, *context.scores, context.prepared.papers, sections=described)
    page, card = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    assert html_errors(page) == []
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == report
    return report, page, card


def test_the_report_has_both_levels(prepared: PreparedPapers, model: LinearClassifier, tmp_path: Path) -> None:
    context = EvaluationContext(prepared, model, fitted(prepared, class_weight=0.0))
    report, page, card = write(tmp_path / "report", context)
    assert report["level"] == "category"
    same = {"accuracy", "macro_f1", "weighted_f1", "log_loss", "per_class", "confusion", "labels"}
    assert same <= set(report) and same <= set(report["group"]) and same <= set(report["baseline"]["group"])
    assert report["group"]["labels"] == list(LABELS)
    assert len(report["labels"]) == len(report["confusion"]) >= len(model.labels_)
    sums = group_sums(context.predictions)
    assert report["group"]["accuracy"] == (sums.probabilities.argmax(axis=1) == sums.labels).mean()
    assert report["intervals"]["group_accuracy"]["low"] < report["group_accuracy"] < report["intervals"]["group_accuracy"]["high"]
    for name in report["summaries"]:
        assert report["summaries"][name]
    titles = prepared.papers["title"].tolist()
    assert not [title for title in titles if title in card or title in json.dumps(report)]
    assert "<details>" in page


def test_what_is_learnt_in_categories_may_answer_in_groups(prepared: PreparedPapers, tmp_path: Path) -> None:
    """The run is then one of groups: eight classes, no section about categories, every test paper scored."""
    model = fitted(prepared, level="group")
    context = EvaluationContext(prepared, model)
    assert context.level == "group" and context.classes == LABELS
    papers, labels = context.test
    assert len(papers) == (prepared.split == "test").sum()
    assert (labels == label_ids(papers)).all()
    assert np.allclose(context.predictions.probabilities, model.predict_proba(papers))
    assert context.scores[0].accuracy == evaluate(model, papers).accuracy
    report, _, card = write(tmp_path / "report", context)
    assert "categories" not in report["summaries"] and "categories" not in report["skipped"]
    assert "learnt categories" in report["skipped"]["learning_curve"]
    assert report["labels"] == list(LABELS) and "one of 8 groups" in card
    assert list(context.predictions.table)[2:] == [f"p_{group}" for group in LABELS]


class Shares:
    """A model of three categories that has nothing but `predict_proba`."""

    labels_ = ("cs.CV", "cs.LG", "math.CO")

    def predict_proba(self, papers: pd.DataFrame) -> np.ndarray:
        return np.tile([0.2, 0.5, 0.3], (len(papers), 1))


def test_any_object_with_labels_is_evaluated(prepared: PreparedPapers) -> None:
    papers, _ = prepared.subset("test")
    scores = evaluate_level(Shares(), papers)
    names = paper_labels(papers, "category")
    assert scores.values["accuracy"] == (names == "cs.LG").mean() == evaluate(Shares(), papers).accuracy
    assert scores.values["group_accuracy"] == (label_ids(papers) == 0).mean()
    assert set(names) | set(Shares.labels_) <= set(scores.categories.labels)


def test_papers_of_divided_archives_are_not_scored(prepared: PreparedPapers, model: LinearClassifier, tmp_path: Path) -> None:
    papers = prepared.papers.copy()
    test = np.flatnonzero(prepared.split == "test")[:7]
    papers.iloc[test, [papers.columns.get_loc(name) for name in ("main_category", "categories")]] = "astro-ph"
    labels = prepared.labels.copy()
    labels[test] = -1
    context = EvaluationContext(replace(prepared, papers=papers, labels=labels), model)
    assert context.scores[0].n == (prepared.split == "test").sum() - 7
    report, *_ = write(tmp_path / "report", context)
    assert report["n_test"] == context.scores[0].n


def test_a_category_that_the_model_lacks_is_an_error(prepared: PreparedPapers, model: LinearClassifier) -> None:
    papers = prepared.papers.copy()
    test = np.flatnonzero(prepared.split == "test")[:7]
    papers.iloc[test, [papers.columns.get_loc(name) for name in ("main_category", "categories")]] = "nucl-ex"
    assert "nucl-ex" not in model.labels_
    context = EvaluationContext(replace(prepared, papers=papers), model)
    scores = context.scores[0]
    assert scores.per_class.loc["nucl-ex", "support"] == 7 and scores.per_class.loc["nucl-ex", "recall"] == 0
    assert (context.predictions.table["p_nucl-ex"] == 0).all()
    assert set(describe(context, SECTIONS).skipped) == {"learning_curve"}


@pytest.mark.parametrize("case", ["one paper", "one group", "no dates", "no abstracts"])
def test_odd_tables_leave_sections_out_with_a_reason(prepared: PreparedPapers, model: LinearClassifier, case: str, tmp_path: Path) -> None:
    names = paper_labels(prepared.papers, "category")
    test = (prepared.split == "test").to_numpy()
    stay = {
        "one paper": test & (np.cumsum(test) == 1),
        "one group": test & np.char.startswith(names, "math."),
        "no dates": test,
        "no abstracts": test,
    }[case] | ~test
    papers = prepared.papers[stay].copy()
    if case == "no dates":
        papers["published"] = pd.NaT
    if case == "no abstracts":
        papers["summary"] = ""
    some = replace(prepared, papers=papers, labels=prepared.labels[stay], split=prepared.split[stay])
    context = EvaluationContext(some, model)
    report, *_ = write(tmp_path / "report", context, n_test=context.scores[0].n)
    assert all(reason and "\n" not in reason for reason in report["skipped"].values())
    assert "categories" in report["summaries"] or case == "one paper"


def test_a_saved_model_of_categories_is_scored_on_a_table(prepared: PreparedPapers, model: LinearClassifier, tmp_path: Path) -> None:
    """As `evaluate` makes it: all papers are test papers, with ids of groups as labels."""
    papers = prepared.papers[(prepared.split == "test").to_numpy()]
    all_test = PreparedPapers(papers, prepared.rejects, label_ids(papers), pd.Series("test", papers.index), {"n_test": len(papers)})
    context = EvaluationContext(all_test, model)
    assert context.level == "category"
    assert context.scores[0].accuracy == EvaluationContext(prepared, model).scores[0].accuracy
    report, *_ = write(tmp_path / "report", context)
    assert "label_issues" in report["summaries"]


def test_words_of_a_category_are_explained(prepared: PreparedPapers, model: LinearClassifier) -> None:
    text = "We train a convolutional network for image segmentation of street scenes"
    found = explain(model, text)
    assert found.group in model.labels_ and found.exact
    assert np.isclose(found.constant + found.units["contribution"].sum(), found.total, atol=1e-3)
    assert explain(model, text, group=model.labels_[0]).group == model.labels_[0]
    with pytest.raises(CannotExplain, match="there is no category 'cs.XX'"):
        explain(model, text, group="cs.XX")
    groups = fitted(prepared, level="group")
    assert explain(groups, text).group in LABELS and not explain(groups, text).exact


def test_runs_of_two_levels_are_not_compared(prepared: PreparedPapers, model: LinearClassifier, tmp_path: Path) -> None:
    contexts = {"categories": model, "again": fitted(prepared, class_weight=0.0), "groups": fitted(prepared, level="group")}
    for name, classifier in contexts.items():
        context = EvaluationContext(prepared, classifier)
        (tmp_path / name).mkdir()
        context.predictions.table.to_parquet(tmp_path / name / "predictions.parquet")
        record = {"family": "linear", "split_digest": "d", "level": context.level}
        (tmp_path / name / "run.json").write_text(json.dumps(record))
    with pytest.raises(CannotCompare, match="answer at different levels") as caught:
        compare_runs([tmp_path / "categories", tmp_path / "groups"])
    assert "\n" not in str(caught.value)
    found = compare_runs([tmp_path / "categories", tmp_path / "again"], resamples=200)
    assert {"accuracy", "macro_f1", "group_accuracy"} <= set(found.comparisons["again"].metrics.index)
    assert "group accuracy" in repr(found)
