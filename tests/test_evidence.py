"""What a prediction rests on, and what goes in and out of a classifier: texts, labels, settings, scikit-learn's tools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from arxiv_nbclf import (
    explain,
    label_ids,
    load_classifier,
    new_classifier,
    predict,
    read_papers,
    sample,
)
from arxiv_nbclf.classifiers.base import BadSettings, Classifier
from arxiv_nbclf.classifiers.linear import LinearClassifier
from arxiv_nbclf.core.basics import ArxivNbclfError
from arxiv_nbclf.deployment.bulk import predict_stream
from arxiv_nbclf.deployment.prediction import load_packaged, predict_table
from arxiv_nbclf.preprocessing import LABELS, paper_texts

PAPERS = read_papers(sample(400, seed=2)).papers
IDS = label_ids(PAPERS)
NAMES = np.array(LABELS)[IDS]
EMPTY = {
    "Japanese": ("深層学習による画像認識", "本論文では新しい手法を提案する。"),
    "Chinese": ("深度学习", "我们提出一种新方法。"),
    "Cyrillic": ("Глубокое обучение", "Мы изучаем свойства случайных графов."),
    "Greek": ("Θεωρία γραφημάτων", "Αποδεικνύουμε ένα κάτω φράγμα."),
    "Arabic": ("التعلم العميق", "نقدم طريقة جديدة لتحليل الصور."),
    "Hebrew": ("למידה עמוקה", "אנו מציגים שיטה חדשה."),
    "Hindi": ("गहन शिक्षण", "हम एक नई विधि प्रस्तुत करते हैं।"),
    "Korean": ("심층 학습", "새로운 방법을 제안한다."),
    "N/A": ("N/A", "N/A"),
    "dash": ("-", "–"),
    "empty": ("", ""),
    "blank": (" \n", "\t"),
    "digits": ("1984", "3.14159 2718 42 10 100 1000 2020 2021"),
    "stop words": ("The", "of the and to which that were in on by"),
    "emoji": ("🧠🕸️", "👩‍🔬 🇩🇪"),
    "TeX": (r"$\mathcal{N}=4$", r"\begin{equation}\label{eq:sum} \sum_{i=0}^n \frac{1}{2} \alpha_i \leq \beta \end{equation}"),
    "token": ("[SUMMARY]", " [SUMMARY] "),
    "one word": ("Graphs", ""),
    "German": (
        "Über die Spektren zufälliger Graphen",
        "Wir beweisen eine untere Schranke für die Lücke. Die Methode beruht auf einer Zerlegung der Matrix in kleine Blöcke, deren "
        "Eigenwerte sich leicht berechnen lassen. Zum Schluss werden Anwendungen besprochen.",
    ),
    "nonsense": ("asdf qwer", "zxcv hjkl uiop yxcv fghj tzui"),
}
NOTICES = ["This paper has been withdrawn by the author.", "Withdrawn.", "This submission has been removed by arXiv administrators."]
TITLE = " ".join(PAPERS.title[:3])  # of words that a model of these papers knows


@pytest.fixture(scope="module", params=["linear", "hybrid", "finetuned", "ensemble"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A small model of each family."""
    pytest.importorskip("torch")
    from tiny_models import tiny_encoder

    encoder = str(tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", PAPERS.title, width=16, layers=1).folder)
    of_encoder = {"encoder": encoder, "max_length": 24, "precision": "fp32"}
    settings: dict[str, dict[str, Any]] = {"linear": {"C": 0.5}, "hybrid": of_encoder, "finetuned": of_encoder | {"epochs": 1}}
    settings["ensemble"] = {"members": ["linear", "finetuned"], "settings": {"finetuned": settings["finetuned"]}}
    return new_classifier(request.param, **settings[request.param]).fit(PAPERS, IDS)


@pytest.mark.parametrize("kind", EMPTY)
def test_the_packaged_model_abstains_without_evidence(kind: str) -> None:
    found = predict(*EMPTY[kind], abstain_below="auto")
    assert found.abstained and found.reason == "too few known words" and "too few known words" in str(found)


def test_every_family_abstains_without_evidence(model: Classifier) -> None:
    of_words = [kind for kind in EMPTY if kind not in ("German", "nonsense") or model.family != "finetuned"]
    table = pd.DataFrame([EMPTY[kind] for kind in of_words], columns=["title", "summary"], index=of_words)
    found = predict_table(model, table, abstain_below=0.01)
    assert found.abstained.all(), found.index[~found.abstained].tolist()
    assert set(found.reason) == {"too few known words"} and found.index.tolist() == of_words
    one = predict(*EMPTY["Japanese"], model=model, abstain_below=0.01)
    assert one.abstained and one.reason == "too few known words"
    known = predict_table(model, PAPERS.head(50), abstain_below=0.01)
    assert not known.abstained.any() and (known.reason == "").all()


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_is_no_abstract(model: Classifier, notice: str) -> None:
    one, alone = (predict(TITLE, summary, model=model, abstain_below=0.01) for summary in (notice, ""))
    assert one.probabilities == alone.probabilities and not one.abstained
    assert (one.reason, alone.reason) == ("withdrawn, title only", "")
    assert predict("Errata", notice, model=model, abstain_below=0.01).reason == "withdrawn, title only; too few known words"


def test_no_mark_of_ours_is_a_feature(model: Classifier) -> None:
    if model.family != "linear":
        pytest.skip("words are told apart in the linear family")
    for text in paper_texts(PAPERS.head(20)):
        assert "[SUMMARY]" in text and "summary" not in {unit for pair in explain(model, text).units["unit"] for unit in pair.split()}
    nothing = model.decision_function(["", " [SUMMARY] ", "[SUMMARY]", "- [SUMMARY] 深層"])
    assert np.allclose(nothing, model.intercepts_)  # type: ignore[attr-defined]


def odd_table() -> pd.DataFrame:
    """Enough papers for native code, some of them odd, with an index that is of no use."""
    odd = pd.DataFrame([*EMPTY.values(), *((TITLE, notice) for notice in NOTICES), (None, None)], columns=["title", "summary"])
    table = pd.concat([odd, *[PAPERS[["title", "summary"]]] * 11, odd]).sample(frac=1, random_state=0)
    return table.set_axis(["same"] * len(table))


@pytest.mark.parametrize("packaged", [False, True])
def test_native_code_and_streams_answer_alike(packaged: bool, tmp_path: Path) -> None:
    model = load_packaged() if packaged else LinearClassifier(bits=12, C=0.5, text_plan="letters").fit(PAPERS, IDS)
    table = odd_table()
    by_native = predict_table(model, table, abstain_below=0.3, batch_size=10_000)
    in_python = predict_table(model, table, abstain_below=0.3, batch_size=1_000)
    pd.testing.assert_frame_equal(by_native, in_python, atol=2e-6)
    assert (by_native.reason != "").sum() >= 2 * len(EMPTY) + 2 * len(NOTICES)
    texts = paper_texts(table)
    assert np.allclose(model.decision_function(texts), model.decision_function(table), atol=1e-12)
    table.fillna("").to_parquet(tmp_path / "papers.parquet", index=False)
    predict_stream(tmp_path / "papers.parquet", model, tmp_path / "out", abstain_below=0.3, rows_per_shard=1_000)
    shards = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("part-*.parquet"))])
    kept = shards.set_index("aid").reindex([f"row-{i + 1}" for i in range(len(table))]).dropna()
    known = in_python.set_axis([f"row-{i + 1}" for i in range(len(table))]).loc[kept.index]
    assert kept.reason.tolist() == known.reason.tolist() and kept.abstained.tolist() == known.abstained.tolist()


def test_an_old_bundle_counts_the_token_as_it_did(tmp_path: Path) -> None:
    old = LinearClassifier(bits=12, C=0.5, separator=" [SUMMARY] ").fit(PAPERS, IDS)
    new = LinearClassifier(bits=12, C=0.5).fit(PAPERS, IDS)
    assert (old.weights_ != new.weights_).any()
    for classifier, name in ((old, "old"), (new, "new")):
        classifier.save(tmp_path / name)
    path = tmp_path / "old" / "bundle.json"
    record = json.loads(path.read_text())
    assert record["settings"].pop("separator") == " [SUMMARY] "
    path.write_text(json.dumps(record))  # as version 0.1.0 wrote it
    again = load_classifier(tmp_path / "old")
    assert again.get_params() == old.get_params()
    odd = [*paper_texts(PAPERS.head(20)), "", "a [SUMMARY] b", f"{TITLE} [SUMMARY] Withdrawn."]
    assert np.array_equal(again.predict_proba(odd), old.predict_proba(odd))
    assert load_classifier(tmp_path / "new").get_params()["separator"] == " "


@pytest.mark.parametrize("family", ["linear", "compact"])
def test_settings_of_numpy_can_be_saved(family: str, tmp_path: Path) -> None:
    drawn = {"bits": np.int64(11), "C": np.float32(0.5), "pairs": np.bool_(True), "seed": np.uint8(3), "text_plan": np.str_("raw")}
    classifier = new_classifier(family, **drawn).fit(PAPERS, IDS)
    again = load_classifier(classifier.save(tmp_path / "model"))
    assert again.get_params() == classifier.get_params() and type(again.get_params()["bits"]) is int
    with pytest.raises(BadSettings, match="bits=True must be int"):
        new_classifier(family, bits=np.bool_(True)).fit(PAPERS, IDS)


def test_a_search_over_numpys_settings(tmp_path: Path) -> None:
    space = {"C": np.logspace(-1, 0, 3), "bits": np.arange(9, 12), "pairs": np.array([True, False])}
    search = RandomizedSearchCV(LinearClassifier(offsets=False), space, n_iter=2, cv=2, random_state=0)
    best = search.fit(PAPERS, NAMES).best_estimator_
    again = load_classifier(best.save(tmp_path / "best"))
    assert again.predict(PAPERS[:9]).tolist() == best.predict(PAPERS[:9]).tolist()
    assert set(best.predict(PAPERS)) <= set(LABELS)


SOME = np.flatnonzero(np.isin(IDS, [0, 3, 4]))[:90]
TEXTS = [PAPERS.summary.iloc[row] for row in SOME]
SMALL = {"bits": 10, "C": 0.5, "offsets": False, "folds": 2}


@pytest.mark.parametrize("labels", [IDS[SOME], NAMES[SOME], pd.Series(NAMES[SOME], index=SOME[::-1], dtype="category")])
def test_tools_of_sklearn_take_absent_groups(labels: Any) -> None:
    model, kept = LinearClassifier(**SMALL), np.unique(np.asarray(labels))
    for method, rows in (("predict_proba", 90), ("decision_function", 90)):
        assert cross_val_predict(model, TEXTS, labels, cv=3, method=method).shape == (rows, 3)
    search = GridSearchCV(model, {"pairs": [False, True]}, cv=2, scoring="accuracy").fit(TEXTS, labels)
    assert search.predict_proba(TEXTS[:2]).shape == (2, 3) and search.classes_.tolist() == kept.tolist()
    for tool in (
        CalibratedClassifierCV(model, cv=2),
        CalibratedClassifierCV(model, cv=2, ensemble=False),
        VotingClassifier([("a", model), ("b", clone(model))], voting="soft"),
        VotingClassifier([("a", model), ("b", clone(model))], voting="hard"),
        StackingClassifier([("a", model), ("b", clone(model))], LogisticRegression(), cv=2),
        Pipeline([("same", FunctionTransformer(list)), ("model", model)]),
    ):
        found = clone(tool).fit(TEXTS, labels)
        assert set(found.predict(TEXTS)) <= set(kept.tolist()) and found.classes_.tolist() == kept.tolist(), tool
        assert found.score(TEXTS, labels) > 0.5, tool


@pytest.mark.filterwarnings("ignore:Number of classes in training fold")
def test_a_group_may_be_absent_from_a_fold() -> None:
    labels = np.sort(IDS[SOME])  # without shuffling, each fold holds out what the others do not have
    folds = [(np.arange(45), np.arange(45, 90)), (np.arange(45, 90), np.arange(45))]
    shares = cross_val_predict(LinearClassifier(**SMALL), TEXTS, labels, cv=folds, method="predict_proba")
    assert shares.shape == (90, 3) and np.isfinite(shares).all() and (shares[:45].sum(axis=1) < 1 + 1e-9).all()


def test_two_groups() -> None:
    rows = [row for row, label in enumerate(IDS[SOME]) if label != 4]
    texts, labels = [TEXTS[row] for row in rows], NAMES[SOME][rows]
    model = LinearClassifier(**SMALL)
    assert cross_val_predict(model, texts, labels, cv=2, method="decision_function").shape == (len(rows),)
    assert CalibratedClassifierCV(model, cv=2).fit(texts, labels).predict_proba(texts).shape == (len(rows), 2)


INDEXES = [
    range(399, -1, -1), [0] * 400, [f"{i:03}" for i in range(400)], pd.date_range("2020", periods=400)[::-1], np.arange(400) * 7 + 3,
]  # fmt: skip


@pytest.mark.parametrize("index", INDEXES)
def test_only_the_position_counts(index: Any) -> None:
    model = LinearClassifier(**SMALL).fit(PAPERS, IDS)
    table, labels = PAPERS.set_axis(index), pd.Series(IDS)
    again = LinearClassifier(**SMALL).fit(table, labels, validation=None)
    assert np.array_equal(again.weights_, model.weights_) and again.score(table, labels) == model.score(PAPERS, IDS)
    order = np.random.default_rng(0).permutation(400)
    shuffled = LinearClassifier(**SMALL).fit(table.iloc[order], pd.Series(IDS[order], index=np.arange(400)))
    plain = LinearClassifier(**SMALL).fit(paper_texts(PAPERS.iloc[order]), IDS[order].tolist())
    assert np.array_equal(shuffled.weights_, plain.weights_)
    assert np.array_equal(model.predict(table.iloc[order]), model.predict(PAPERS)[order])
    columns = predict(table.title, PAPERS.summary, model=model)
    assert columns.predicted.tolist() == predict(PAPERS, model=model).predicted.tolist() and columns.index.equals(table.index)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_what_is_missing_is_no_word(missing: Any) -> None:
    texts = [*TEXTS[:-1], missing]
    model = LinearClassifier(**SMALL).fit(texts, IDS[SOME])
    assert np.array_equal(model.weights_, LinearClassifier(**SMALL).fit([*TEXTS[:-1], ""], IDS[SOME]).weights_)
    for given in ([missing], pd.Series([missing], dtype=object), pd.DataFrame({"title": [missing], "summary": [missing]}, dtype=object)):
        assert np.allclose(model.decision_function(given), model.decision_function([""]))
    if missing is not None:  # None: the abstract was not given
        assert predict("A title", missing, model=model).probabilities == predict("A title", "", model=model).probabilities


WRONG = [{"title": "a"}, b"bytes", 7, 0.5, ["a"], ("a",), np.zeros(2), pd.Timestamp("2024"), Path("a"), object()]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: type(one).__name__)
def test_what_is_no_text_is_refused_with_its_position(wrong: Any) -> None:
    model, texts = LinearClassifier(**SMALL).fit(TEXTS, IDS[SOME]), TEXTS[:3] + [wrong] + TEXTS[4:]
    for call in (
        lambda: LinearClassifier(**SMALL).fit(texts, IDS[SOME]), lambda: model.predict(texts), lambda: model.predict_proba(texts),
        lambda: model.score(texts, IDS[SOME]), lambda: model.out_of_fold_proba(texts, IDS[SOME]),
        lambda: predict(texts, TEXTS, model=model),
        lambda: model.fit(TEXTS, IDS[SOME], validation=(texts, IDS[SOME])),
    ):  # fmt: skip
        with pytest.raises(ArxivNbclfError, match=r"(texts|title)\[3\] is an? \w+; a text is a str"):
            call()
    many = pd.DataFrame({"title": texts * 50, "summary": ["x"] * 4500}, dtype=object)
    with pytest.raises(ArxivNbclfError, match=r"title\[3\] is an? \w+; a text is a str"):
        model.predict(many)  # in native code as well


@pytest.mark.parametrize(
    "arguments",
    [
        (["a"], None), (None, "x"), (None, None), ("a", None), (["a", "b"], ["c"]), (["a"], "b"), ("a", ["b"]), (b"a", b"b"), (1, 2),
        (PAPERS[["title"]], None), (PAPERS, "x"), (PAPERS, PAPERS), ({"title": "a"}, None), ([{"title": "a"}], None), (PAPERS.title, None),
        ([["a"]], [["b"]]),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_is_one_line(arguments: Any) -> None:
    with pytest.raises(ArxivNbclfError) as error:
        predict(*arguments)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_what_is_obvious_is_predicted() -> None:
    import pyarrow

    table = PAPERS[["title", "summary"]].head(3)
    wanted = predict(table).predicted.tolist()
    titles, abstracts = table.title, table.summary
    for given in (
        (titles, abstracts), (titles.tolist(), abstracts.tolist()), (tuple(titles), np.array(abstracts, dtype=object)),
        (pyarrow.Table.from_pandas(table, preserve_index=False),), (table.to_dict("records"),), (titles, abstracts.iloc[[0, 1, 2]]),
        (pyarrow.array(titles.tolist()), pyarrow.array(abstracts.tolist())),
    ):  # fmt: skip
        assert predict(*given).predicted.tolist() == wanted
    assert isinstance(predict([], []), pd.DataFrame) and len(predict(table.head(0))) == 0


@pytest.mark.parametrize(
    "labels", [None, "cs", 3, ["cs"], [None] * 90, ["maths"] * 90, [0.5] * 90, [True, False] * 45, [[0]] * 90, [8] * 90, [-1] * 90]
)
def test_labels_that_do_not_fit_are_one_line(labels: Any) -> None:
    with pytest.raises(ArxivNbclfError) as error:
        LinearClassifier(**SMALL).fit(TEXTS, labels)
    assert "\n" not in str(error.value)


def test_labels_are_names_or_ids(tmp_path: Path) -> None:
    by_id = LinearClassifier(**SMALL).fit(TEXTS, IDS[SOME])
    for labels in (NAMES[SOME], NAMES[SOME].tolist(), NAMES[SOME].astype(object), pd.Series(NAMES[SOME]), pd.Categorical(NAMES[SOME])):
        by_name = LinearClassifier(**SMALL).fit(TEXTS, labels)
        assert np.array_equal(by_name.weights_, by_id.weights_) and by_name.classes_.tolist() == list(LABELS)
        assert by_name.predict(TEXTS).tolist() == np.array(LABELS)[by_id.predict(TEXTS)].tolist()
        assert by_name.score(TEXTS, labels) == by_name.score(TEXTS, IDS[SOME]) == by_id.score(TEXTS, labels)
    assert load_classifier(by_name.save(tmp_path / "model")).predict(TEXTS[:1]).tolist() == by_name.predict(TEXTS[:1]).tolist()
    assert by_id.classes_.tolist() == list(range(8)) and by_id.predict_proba(TEXTS[:1]).shape == (1, 8)
