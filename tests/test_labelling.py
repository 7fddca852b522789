"""The queue of papers to label on larger tables and odd input, and expected accuracy from the command line."""

import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from arxiv_nbclf import sample
from arxiv_nbclf.classifiers.base import Classifier, new_classifier
from arxiv_nbclf.classifiers.calibration import Temperature
from arxiv_nbclf.cli import main
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.deployment.labelling import label_queue, word_vectors
from arxiv_nbclf.preprocessing import PaperSketch, paper_labels


@pytest.fixture(scope="module")
def papers() -> pd.DataFrame:
    return read_papers(sample(900)).papers


@pytest.fixture(scope="module")
def model(papers: pd.DataFrame) -> Classifier:
    return new_classifier("linear", bits=12, folds=2, C=1.0).fit(papers[:300], paper_labels(papers[:300]))


@pytest.fixture(scope="module")
def bundle(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("models") / "first")


def command(capfd: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command."""
    status = main([*map(str, words)])
    return status, *capfd.readouterr()


def test_no_pick_repeats_another_or_what_was_learnt(papers: pd.DataFrame, model: Classifier) -> None:
    """Copies, other versions and reworded titles of one paper are picked once, and never a paper of the training set."""
    rest = papers[300:].reset_index(drop=True)
    copies = rest.copy()
    copies["aid"] = [f"other-{row}" for row in range(len(copies))]
    copies["summary"] = copies["summary"] + " We thank the referee."
    table = pd.concat([papers[:300], rest, copies], ignore_index=True)
    queue = label_queue(table, model, n=200)
    picked = table.set_index("aid").loc[queue.table["aid"]].reset_index()
    seen = PaperSketch.of(picked[:0])
    for row in range(len(picked)):
        one = picked.iloc[[row]]
        assert not seen.contains(one)[0], row
        seen |= PaperSketch.of(one)
    assert model.learnt_from_ is not None
    assert not model.learnt_from_.contains(picked).any()
    assert queue.known >= 300


def test_picks_are_more_uncertain_and_further_apart_than_chance(papers: pd.DataFrame, model: Classifier) -> None:
    rest = papers[300:].reset_index(drop=True)
    queue = label_queue(rest, model, n=40).table
    rows = rest.reset_index().set_index("aid").loc[queue["aid"], "index"].to_numpy()
    vectors = word_vectors(rest)
    unsure = model.predict_proba(rest).max(axis=1)

    def similarity(some: np.ndarray) -> float:
        both = (vectors[some] @ vectors[some].T).toarray()
        return float(both[np.triu_indices(len(some), 1)].mean())

    chance = [np.random.default_rng(seed).permutation(len(rest))[:40] for seed in range(20)]
    assert unsure[rows].mean() < min(unsure[some].mean() for some in chance)
    surest = np.argsort(-unsure)[:40]
    assert similarity(rows) < similarity(surest)


def test_the_order_of_chunks_and_the_table_as_file_change_nothing(papers: pd.DataFrame, bundle: Path, tmp_path: Path) -> None:
    papers[300:].to_parquet(tmp_path / "papers.parquet")
    from_file = label_queue(tmp_path / "papers.parquet", bundle, n=30)
    assert from_file.table.equals(label_queue(papers[300:].reset_index(drop=True), bundle, n=30).table)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--n", "0"], "greater than or equal to 1"),
        (["--n", "20000"], "--n 20000 is out of range: take 1 to 10,000"),
        (["--model", "no/such/model"], "no such file or folder"),
        (["--out", "queue.doc"], "unknown ending"),
        (["--out", "no/such/folder/queue.csv"], "folder"),
        (["--level", "category", "--model", "BUNDLE"], "knows no categories"),
        (["--level", "words"], "words"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    options: list[str], problem: str, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(bundle) if word == "BUNDLE" else word for word in options]
    out = [] if "--out" in words else ["--out", "queue.csv"]
    status, stdout, err = command(capfd, "queue", "sample", *out, *words)
    assert (status, stdout) == (2, "")
    assert err.count("\n") == 1 and problem in err, err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("table", ["abstract\nwe prove it\n", "title,abstract\n,\n", "title,abstract\n", ""])
def test_tables_without_papers_are_one_line(table: str, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "papers.csv").write_text(table)
    status, stdout, err = command(capfd, "queue", tmp_path / "papers.csv", "--out", tmp_path / "queue.csv")
    assert (status, stdout, err.count("\n")) == (2, "", 1), err
    assert not (tmp_path / "queue.csv").exists()


def test_a_table_with_one_paper_and_without_ids(bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "papers.csv").write_text("title,abstract\nOn a lemma,We prove it.\n")
    out = tmp_path / "queue.xlsx"
    status, _, err = command(capfd, "queue", tmp_path / "papers.csv", "--model", bundle, "--out", out)
    assert status == 0 and err.startswith(f"{out}: 1 of 1 papers to label\n")
    found = pd.read_excel(out, engine="openpyxl")
    assert found["aid"].tolist() == ["row-2"] and found["main_category"].isna().all()


def test_many_papers_in_bounded_time(bundle: Path) -> None:
    """Thirty thousand rows by chunks; the limit is generous, for machines are busy."""
    texts = sample(2000)
    many = pd.concat([texts] * 15, ignore_index=True)
    many["aid"] = [f"2501.{row:05d}" for row in range(len(many))]
    begin = perf_counter()
    queue = label_queue(many, bundle, n=50)
    assert len(queue.table) == 50 and queue.papers > 25_000
    assert queue.table["title"].is_unique
    assert perf_counter() - begin < 120


def test_a_model_without_calibration_has_no_expected_accuracy(
    papers: pd.DataFrame, model: Classifier, bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    papers[300:500].to_csv(tmp_path / "new.csv", index=False)
    papers[:300].to_csv(tmp_path / "old.csv", index=False)
    kept = model.calibration_, model.thresholds_
    model.calibration_, model.thresholds_ = Temperature(), {}
    try:
        model.save(tmp_path / "raw")
    finally:
        model.calibration_, model.thresholds_ = kept
    for folder, text in ((bundle, "expected accuracy on "), (tmp_path / "raw", "cannot be told without labels")):
        status, out, err = command(capfd, "drift", tmp_path / "old.csv", tmp_path / "new.csv", "--model", folder)
        assert status == 0 and text in out.splitlines()[-1], err
        status, out, err = command(capfd, "predict", tmp_path / "new.csv", "--model", folder)
        assert status == 0 and text in err and text not in out
        assert len(out.splitlines()) == 200


def test_the_queue_needs_no_torch() -> None:
    code = "import sys; import arxiv_nbclf.deployment.labelling; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
