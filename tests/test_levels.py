"""Models of categories: labels in and out, both levels of one model, what is left out, and listed codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from tiny_models import tiny_encoder

from arxiv_nbclf import sample
from arxiv_nbclf.classifiers.base import (
    BadBundle,
    BadSettings,
    Classifier,
    load_classifier,
)
from arxiv_nbclf.classifiers.ensemble import EnsembleClassifier
from arxiv_nbclf.classifiers.hybrid import HybridClassifier
from arxiv_nbclf.classifiers.linear import LinearClassifier
from arxiv_nbclf.core.basics import log
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.taxonomy import group_of
from arxiv_nbclf.deployment.prediction import CompactClassifier
from arxiv_nbclf.preprocessing import (
    LABELS,
    BadLabels,
    group_matrix,
    label_ids,
    listed_labels,
    paper_texts,
    prepare,
)
from arxiv_nbclf.training.finetuned import FineTunedClassifier

# what is fitted, with settings that are quick, and the folder of an encoder where it has one
Make = Callable[..., Classifier]
CODES = ("cs.CL", "cs.CV", "math.NT", "math.AG", "quant-ph", "hep-th", "eess.SY", "stat.ML", "q-bio.NC", "econ.GN")
RARE = "cs.GL"


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    """Papers of ten categories with words of their own, one rare category, and codes of the past."""
    table = read_papers(sample(420)).papers[:400].copy()
    codes = np.resize([*CODES, "cs.SY", "q-fin.EC", "cmp-lg"], len(table)).astype(object)
    codes[:3], codes[3:6] = RARE, "astro-ph"
    words = [code.replace(".", "").replace("-", "") for code in codes]
    table["title"] = [f"On {word}x and {word}y, number {row}" for row, word in enumerate(words)]
    table["main_category"] = codes
    second = np.where(np.arange(len(table)) % 3 == 0, "cs.LG,stat.ML", "")
    table["categories"] = [f"{code},{more}".strip(",") for code, more in zip(codes, second, strict=True)]
    return table


@pytest.fixture(scope="module")
def encoder(papers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a small encoder."""
    return str(tiny_encoder(tmp_path_factory.mktemp("tiny"), paper_texts(papers)[:200]).folder)


@pytest.fixture(scope="module", params=["linear", "hybrid", "compact"])
def make(request: pytest.FixtureRequest, encoder: str) -> Make:
    """Makes a family of models that is quick to fit."""
    if request.param == "hybrid":
        return lambda **settings: HybridClassifier(encoder=encoder, max_length=32, bits=12, folds=2, **settings)
    family = LinearClassifier if request.param == "linear" else CompactClassifier
    return lambda **settings: family(C=0.5, bits=12, folds=2, **settings)


@pytest.fixture(scope="module")
def fitted(make: Make, papers: pd.DataFrame) -> Classifier:
    """A model of categories."""
    return make().fit(papers, papers["main_category"])


def test_codes_go_in_and_codes_come_out(fitted: Classifier, papers: pd.DataFrame) -> None:
    assert fitted.labels_ == tuple(sorted(CODES)) and fitted.classes_.tolist() == sorted(CODES)
    shares = fitted.predict_proba(papers)
    assert shares.shape == (len(papers), len(CODES)) and np.allclose(shares.sum(axis=1), 1)
    predicted = fitted.predict(papers)
    assert (predicted == fitted.classes_[shares.argmax(axis=1)]).all()
    assert fitted.score(papers, papers["main_category"]) > 0.9
    assert (fitted.decision_function(papers[:5]).shape) == (5, len(CODES))
    few, many = fitted.predict_proba(papers[:3]), fitted.predict_proba(pd.concat([papers] * 11))
    assert np.allclose(few, shares[:3], atol=1e-6) and np.allclose(many[: len(papers)], shares, atol=1e-6)
    assert fitted.predict_proba(papers[:0]).shape == (0, len(CODES))


def test_codes_of_the_past_count_as_those_of_today(fitted: Classifier, papers: pd.DataFrame) -> None:
    today = {"cs.SY": "eess.SY", "q-fin.EC": "econ.GN", "cmp-lg": "cs.CL"}
    old = papers[papers["main_category"].isin(today)]
    assert (fitted.predict(old) == old["main_category"].map(today)).mean() > 0.9
    assert fitted.score(old, old["main_category"]) == fitted.score(old, old["main_category"].map(today)) > 0.9


def test_rare_and_divided_categories_are_left_out_and_counted(
    fitted: Classifier, make: Make, papers: pd.DataFrame, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)  # other tests switch it off
    assert fitted.fitted_["left_out"] == {"astro-ph": 3, RARE: 3}
    assert fitted.held_out_proba_ is not None and len(fitted.held_out_proba_) == len(papers) - 6
    few = papers[:60]
    with caplog.at_level("INFO", log.name):
        model = make(min_papers=3).fit(few, few["main_category"])
    assert RARE in model.labels_ and model.fitted_["left_out"] == {"astro-ph": 3}
    assert any("3 papers not learnt from" in message for message in caplog.messages)
    assert model.score(papers[3:6], ["astro-ph"] * 3) == 0  # they count as errors


def test_what_is_no_code_is_refused_in_one_line(make: Make, papers: pd.DataFrame) -> None:
    codes = papers["main_category"].tolist()
    for wrong, says in (
        ("cs.Cl", "labels[7]: unknown category 'cs.Cl'; did you mean cs.CL"),
        ("math", "labels[7] is the group 'math', among codes"),
        (None, "labels[7]: no category code: None"),
    ):
        with pytest.raises(BadLabels) as error:
            make().fit(papers, [*codes[:7], wrong, *codes[8:]])
        assert says in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(BadLabels, match="level='category' needs codes"):
        make(level="category").fit(papers, label_ids(papers))
    with pytest.raises(BadLabels, match="0 categories have 500 papers or more"):
        make(min_papers=500).fit(papers, codes)
    with pytest.raises(BadSettings, match="level='archive' is not known"):
        make(level="archive").fit(papers, codes)
    with pytest.raises(BadSettings, match="min_papers=0 is out of range"):
        make(min_papers=0).fit(papers, codes)


def test_the_group_is_the_sum_of_its_categories(fitted: Classifier, papers: pd.DataFrame) -> None:
    shares, sums = fitted.predict_proba(papers), fitted.predict_proba(papers, level="group")
    assert np.array_equal(sums, shares @ group_matrix(fitted.labels_)) and sums.shape == (len(papers), 8)
    groups = fitted.predict(papers, level="group")
    assert (groups == np.array(LABELS)[sums.argmax(axis=1)]).all()
    kept = ~papers["main_category"].isin([RARE, "astro-ph"])
    truth = [group_of(code) for code in papers["main_category"][kept].replace({"cs.SY": "eess.SY", "q-fin.EC": "econ.GN"})]
    assert (groups[kept] == truth).mean() > 0.9
    assert fitted.score(papers[kept], truth) == (groups[kept] == truth).mean()


def test_a_model_of_groups_can_learn_categories(make: Make, papers: pd.DataFrame, tmp_path: Path) -> None:
    model = make(level="group").fit(papers, papers["main_category"], validation=(papers[:50], papers["main_category"][:50]))
    assert model.classes_.tolist() == list(LABELS) and len(model.labels_) == len(CODES)
    assert model.predict_proba(papers).shape == (len(papers), 8)
    assert (model.predict(papers) == np.array(LABELS)[model.predict_proba(papers).argmax(axis=1)]).all()
    assert model.thresholds_ == model.group_thresholds_
    assert set(model.predict(papers, level="category")) <= set(CODES)
    again = load_classifier(model.save(tmp_path / "model"))
    assert np.array_equal(again.predict_proba(papers), model.predict_proba(papers))
    assert (again.level, again.thresholds_) == ("group", model.thresholds_)


@pytest.mark.parametrize("level", ["group", "category"])
def test_groups_are_learnt_beside_categories(make: Make, papers: pd.DataFrame, tmp_path: Path, level: str) -> None:
    if isinstance(make(), CompactClassifier):
        with pytest.raises(BadSettings, match="the compact family learns one level"):
            make(learn="both").fit(papers, papers["main_category"])
        return
    codes = papers["main_category"]
    model = make(level=level, learn="both").fit(papers, codes, validation=(papers[:50], codes[:50]))
    shares, sums = model.predict_proba(papers, level="category"), model.predict_proba(papers, level="group")
    assert np.allclose(shares @ group_matrix(model.labels_), sums) and np.allclose(sums.sum(axis=1), 1)
    of_group = group_matrix(model.labels_).argmax(axis=1)
    assert (of_group[shares.argmax(axis=1)] == sums.argmax(axis=1)).all()
    assert (model.predict(papers, level="category") == np.array(model.labels_)[shares.argmax(axis=1)]).all()
    assert (model.predict(papers, level="group") == np.array(LABELS)[sums.argmax(axis=1)]).all()
    primary, listed = model.predict_with_listed(papers)
    assert np.array_equal(primary, shares) and listed is not None and (listed >= shares).all()
    alone = make(level=level).fit(papers, codes, validation=(papers[:50], codes[:50]))
    assert not np.allclose(alone.predict_proba(papers, level="group"), sums), "groups that were learnt directly count"
    again = load_classifier(model.save(tmp_path / "model"))
    assert np.array_equal(again.predict_with_listed(papers)[0], shares)
    assert again.thresholds_ == model.thresholds_ and again.learn == "both"
    (tmp_path / "model" / "groups.safetensors").unlink()
    with pytest.raises(BadBundle):
        load_classifier(tmp_path / "model")
    assert model.out_of_fold_proba(papers[codes.isin(CODES)], codes[codes.isin(CODES)]).shape[1] == len(CODES)  # type: ignore[union-attr]


def test_what_cannot_be_learnt_together_is_one_line(make: Make, papers: pd.DataFrame) -> None:
    if isinstance(make(), CompactClassifier):
        return
    with pytest.raises(BadLabels, match="learn='both' needs codes of categories"):
        make(learn="both").fit(papers, label_ids(papers))
    for name, value in (("learn", "groups"), ("decide", "recall")):
        with pytest.raises(BadSettings, match=f"{name}='{value}' is not known: take"):
            make(**{name: value}).fit(papers, papers["main_category"])
    with pytest.raises(BadSettings, match="members of an ensemble learn one level"):
        EnsembleClassifier(("linear", "hybrid"), settings={"linear": {"learn": "both"}})._check_settings()


def test_a_model_of_groups_is_as_it_was(make: Make, papers: pd.DataFrame, tmp_path: Path) -> None:
    """Settings that are not asked for change neither numbers nor bundles."""
    ids = label_ids(papers)
    one, other = make().fit(papers, ids), make(learn=None, decide=None).fit(papers, ids)
    assert np.array_equal(one.predict_proba(papers), other.predict_proba(papers))
    saved = json.loads((one.save(tmp_path / "model") / "bundle.json").read_text(encoding="utf-8"))
    assert not {"learn", "decide", "level", "min_papers"} & saved["settings"].keys()


def confusing(papers: pd.DataFrame) -> pd.DataFrame:
    """The papers, half of them with words of another one."""
    titles = papers["title"].to_numpy().copy()
    titles[::2] = np.roll(titles, 7)[::2] + " " + titles[::2]
    return papers.assign(title=titles)


@pytest.mark.parametrize("level", ["group", "category"])
def test_a_decision_is_for_something(papers: pd.DataFrame, level: str) -> None:
    some = confusing(papers)
    codes, n = some["main_category"], None
    for learn in (None, "both"):
        models = {one: LinearClassifier(bits=12, folds=2, level=level, learn=learn, decide=one) for one in (None, "accuracy", "macro_f1")}
        for model in models.values():
            model.fit(some, codes)
            shares = model.predict_proba(some, level="category")
            sums = shares @ group_matrix(model.labels_)
            assert (group_matrix(model.labels_).argmax(axis=1)[shares.argmax(axis=1)] == sums.argmax(axis=1)).all()
            n = n or model.predict_proba(some).shape
            assert model.predict_proba(some).shape == n
        if learn is None:  # the most probable one is what is right most often
            assert np.array_equal(models[None].predict_proba(some), models["accuracy"].predict_proba(some))


def test_another_mixture_of_categories(papers: pd.DataFrame) -> None:
    some = confusing(papers)
    codes = some["main_category"]
    plain = LinearClassifier(bits=12, folds=2).fit(some, codes)
    before = dict(codes.value_counts())
    more = LinearClassifier(bits=12, folds=2)
    more.answer_prior = {code: int(papers) * (20 if code == "cs.CL" else 1) for code, papers in before.items()}
    more.fit(some, codes)
    column = plain.labels_.index("cs.CL")
    assert more.predict_proba(some)[:, column].mean() > plain.predict_proba(some)[:, column].mean() + 0.02
    assert np.allclose(more.predict_proba(some).sum(axis=1), 1)


def test_a_saved_model_is_the_same(fitted: Classifier, papers: pd.DataFrame, tmp_path: Path) -> None:
    again = load_classifier(fitted.save(tmp_path / "model"))
    assert again.labels_ == fitted.labels_ and type(again) is type(fitted)
    for answer in ("predict", "predict_proba", "predict_listed_proba"):
        assert np.array_equal(getattr(again, answer)(papers), getattr(fitted, answer)(papers))
    assert again.threshold(0.8) == fitted.threshold(0.8)
    assert again.threshold(0.8, level="group") == fitted.threshold(0.8, level="group")
    assert clone(again).get_params() == again.get_params() and clone(again).labels_ == LABELS


def test_listed_is_never_below_primary(fitted: Classifier, papers: pd.DataFrame) -> None:
    primary, listed = fitted.predict_proba(papers), fitted.predict_listed_proba(papers)
    assert listed.shape == primary.shape and (listed >= primary).all() and listed.max() <= 1
    truth = listed_labels(papers, fitted.labels_)
    column = fitted.labels_.index("stat.ML")  # a third of all papers is listed there
    others = truth[:, column] & (papers["main_category"] != "stat.ML").to_numpy()
    assert listed[others, column].mean() > 2 * primary[others, column].mean()


def test_listed_codes_need_a_column_and_categories(make: Make, papers: pd.DataFrame) -> None:
    without = papers.drop(columns="categories")
    model = make().fit(without, papers["main_category"])
    with pytest.raises(BadSettings, match="without held-out papers that have a column categories"):
        model.predict_listed_proba(papers)
    # validation papers alone have it: training papers were scored too, but not listed
    model = make().fit(without, papers["main_category"], validation=(papers, papers["main_category"]))
    assert model.listed_ is None
    of_groups = make().fit(papers, label_ids(papers))
    with pytest.raises(BadSettings, match="the model has learnt groups"):
        of_groups.predict_listed_proba(papers)
    with pytest.raises(BadSettings, match="has learnt groups and knows no categories"):
        of_groups.predict(papers, level="category")
    assert of_groups.predict(papers, level="group").tolist() == of_groups.predict(papers).tolist()


def test_scikit_learn_searches_over_codes(make: Make, papers: pd.DataFrame) -> None:
    kept = papers[papers["main_category"].isin(CODES)]
    search = GridSearchCV(make(), {"class_weight": [0.5, 0.75]}, cv=2, scoring="accuracy")
    search.fit(paper_texts(kept), kept["main_category"].tolist())
    assert search.best_score_ > 0.6 and search.classes_.tolist() == sorted(CODES)
    loss = GridSearchCV(make(), {"class_weight": [0.75]}, cv=2, scoring="neg_log_loss", error_score="raise")
    assert loss.fit(paper_texts(kept), kept["main_category"].tolist()).best_score_ > -2


def test_out_of_fold_scores_have_a_row_per_paper(make: Make, papers: pd.DataFrame) -> None:
    kept = papers[papers["main_category"].isin(CODES)]
    shares = make().out_of_fold_proba(kept, kept["main_category"])
    assert shares is not None and shares.shape == (len(kept), len(CODES))
    with pytest.raises(BadLabels, match=r"6 of 400 papers are of no class"):
        make().out_of_fold_scores(papers, papers["main_category"])


def test_one_split_for_both_levels(papers: pd.DataFrame) -> None:
    few = papers.assign(categories=papers["main_category"])
    groups, codes = prepare(few, split="stable"), prepare(few, split="stable", level="category")
    assert groups.split.equals(codes.split) and groups.level == "group" and groups.classes == LABELS
    assert codes.classes == tuple(sorted(CODES)) and codes.record["n_classes"] == len(CODES)
    assert set(codes.record["left_out_classes"]) == {RARE, "astro-ph"}
    train, ids = codes.subset("train")
    assert (ids >= 0).all() and len(train) == len(ids)
    assert len(codes.subset("test")[0]) == codes.record["n_test"]  # rare ones are there, and count as errors


def quick_settings(encoder: str) -> dict[str, Any]:
    """Of a training that takes seconds."""
    return {"encoder": encoder, "epochs": 3, "learning_rate": 3e-3, "head_learning_rate": 1.0, "train_embeddings": True,
            "max_length": 32, "tokens_per_batch": 512}  # fmt: skip


def test_fine_tuning_has_a_head_for_all_categories(papers: pd.DataFrame, encoder: str, tmp_path: Path) -> None:
    held = papers[:80], papers["main_category"][:80]
    model = FineTunedClassifier(**quick_settings(encoder)).fit(papers[80:], papers["main_category"][80:], validation=held)
    assert model.labels_ == tuple(sorted(CODES)) and model.predict_proba(papers[:9]).shape == (9, len(CODES))
    assert model.model_.config.id2label[0] == "cs.CL"
    assert model.held_out_rows_ is not None and model.held_out_rows_.min() >= len(papers) - 80 - 6
    assert (model.predict_listed_proba(papers[:9]) >= model.predict_proba(papers[:9])).all()
    again = load_classifier(model.save(tmp_path / "model"))
    assert np.array_equal(again.predict_proba(papers[:9]), model.predict_proba(papers[:9]))
    own = FineTunedClassifier(**quick_settings(encoder) | {"epochs": 1}).fit(papers, papers["main_category"])
    assert own.listed_ is not None  # papers that it held out itself have codes, too


def test_an_ensemble_blends_categories(papers: pd.DataFrame, encoder: str, tmp_path: Path) -> None:
    settings = {"linear": {"C": 0.5, "bits": 12}, "hybrid": {"max_length": 32, "bits": 12}}
    model = EnsembleClassifier(members=("linear", "hybrid"), encoder=encoder, settings=settings)
    model.work_folder = tmp_path / "work"
    model.fit(papers, papers["main_category"])
    assert model.labels_ == tuple(sorted(CODES)) and {member.labels_ for member in model.members_} == {model.labels_}
    assert model.score(papers, papers["main_category"]) > 0.9 and model.listed_ is not None
    again = load_classifier(model.save(tmp_path / "model"))
    assert np.array_equal(again.predict_proba(papers), model.predict_proba(papers))
    sums = again.predict_proba(papers, level="group")
    assert np.array_equal(sums, again.predict_proba(papers) @ group_matrix(model.labels_))


def test_members_of_other_classes_are_refused(papers: pd.DataFrame, encoder: str, tmp_path: Path) -> None:
    settings = {"linear": {"C": 0.5, "bits": 12}, "hybrid": {"max_length": 32, "bits": 12}}
    model = EnsembleClassifier(members=("linear", "hybrid"), encoder=encoder, settings=settings)
    model.fit(papers, papers["main_category"])
    model.members_[0] = LinearClassifier(C=0.5, bits=12).fit(papers, label_ids(papers))
    with pytest.raises(BadBundle, match="its member linear has other classes"):
        load_classifier(model.save(tmp_path / "model"))
