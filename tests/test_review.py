"""The page of a review: it is driven by keyboard, keeps decisions, hands them back, and lets nothing in or out."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from test_browser import NAMES

from arxiv_nbclf.cli import main
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.synthetic import sample
from arxiv_nbclf.data.tables import write_table
from arxiv_nbclf.deployment.review import (
    ACTION_COLUMNS,
    MAX_PROPOSALS,
    Action,
    Filing,
    Judged,
    Review,
    _actions_table,
    accepted_categories,
    review_page,
    sort_actions,
)

EVIL = "\"'><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">{{ 7 * 7 }}"
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], "resultTypes": ["violations"]}


def made(filings: list[Filing], actions: list[tuple[int, str, str, float]], papers: pd.DataFrame | None = None) -> Review:
    """A review with these actions."""
    if papers is None:
        papers = read_papers(sample(len(filings), seed=2), "prediction").papers.assign(aid=[f"2501.{i:05}" for i in range(len(filings))])
    judged = [Judged(row, Action(action, code, p, f"{code} has {p}"), ("lattice", "spin glass")) for row, action, code, p in actions]
    ranked = sort_actions(judged, filings)
    table = _actions_table(ranked, papers["aid"].tolist(), [filed.submitted for filed in filings])
    return Review(table, papers, filings, [one.words for one in ranked], 0, 0)


@pytest.fixture(scope="module")
def review() -> Review:
    """Four papers, five proposals and a paper to keep; in the order of the page: stat.ML, cs.CV, math.ST, eess.SP, cs.RO."""
    filings = [
        Filing("cs.LG", "cs.LG", ("stat.ML", "cs.AI")), Filing("cs.SY", "eess.SY", ()), Filing("math.PR", "math.PR", ("eess.SP",)),
        Filing("cs.CL", "cs.CL", ()), Filing("hep-th", "hep-th", ()),
    ]  # fmt: skip
    return made(filings, [
        (0, "promote", "stat.ML", 0.9), (1, "propose_primary", "cs.CV", 0.8), (2, "propose_primary", "math.ST", 0.95),
        (2, "reject_secondary", "eess.SP", 0.0001), (3, "add_secondary", "cs.RO", 0.6), (4, "keep", "", 0.97),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser of the Chromium family."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def tab(browser: Browser, review: Review, tmp_path: Path) -> Iterator[Page]:
    """The page, opened; nothing may go wrong in it, and nothing be fetched."""
    wrong: list[str] = []
    opened = browser.new_page(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else wrong.append(request.url))
    show(opened, review_page(review), tmp_path)
    yield opened
    opened.close()
    assert not wrong


def show(tab: Page, page: str, folder: Path) -> None:
    """Open a page from a file."""
    (folder / "review.html").write_text(page, encoding="utf-8")
    tab.goto((folder / "review.html").as_uri())


def status(tab: Page) -> str:
    """What a screen reader is told."""
    return tab.locator("#status").inner_text()


def current(tab: Page) -> str:
    """The category of the proposal that a key decides."""
    return tab.locator("[aria-current]").get_attribute("data-proposed") or ""


def handed_back(tab: Page, folder: Path) -> pd.DataFrame:
    """The decisions as pandas reads them."""
    with tab.expect_download() as download:
        tab.locator("#download").click()
    assert download.value.suggested_filename == "decisions.csv"
    download.value.save_as(folder / "decisions.csv")
    return pd.read_csv(folder / "decisions.csv", dtype="str", keep_default_na=False)


def test_decisions_by_keyboard(tab: Page, tmp_path: Path) -> None:
    assert [tab.locator("#download").is_disabled(), current(tab)] == [True, "stat.ML"]
    assert tab.locator("#papers > li:visible").count() == 1
    tab.keyboard.press("a")
    assert current(tab) == "cs.CV" and "stat.ML accepted" in status(tab)
    tab.keyboard.press("r")
    assert current(tab) == "math.ST" and "cs.CV rejected" in status(tab)
    tab.keyboard.press("u")
    assert current(tab) == "cs.CV" and "Undone" in status(tab)
    tab.keyboard.press("o")
    tab.keyboard.type("CS.ro")
    tab.keyboard.press("Enter")
    assert current(tab) == "math.ST" and "cs.RO instead of cs.CV" in status(tab)
    tab.keyboard.press("a")
    assert current(tab) == "eess.SP" and tab.locator("#papers > li:visible [data-proposed='math.ST']").count() == 1, "one paper, two proposals"
    tab.keyboard.press("a")
    tab.keyboard.press("p")
    tab.keyboard.press("n")
    assert current(tab) == "cs.RO"
    tab.keyboard.press("r")
    assert "5 decided" in status(tab) and "All are decided" in status(tab)
    found = handed_back(tab, tmp_path).set_index("proposed")
    assert list(found.columns) == ["aid", "submitted_primary", "action", "decision", "main_category", "categories"]
    assert found["decision"].to_dict() == {"math.ST": "accept", "eess.SP": "accept", "stat.ML": "accept", "cs.CV": "cs.RO", "cs.RO": "reject"}
    assert found["categories"].to_dict() == {"math.ST": "math.ST", "eess.SP": "math.ST", "stat.ML": "stat.ML,cs.LG,cs.AI", "cs.CV": "cs.RO", "cs.RO": "cs.CL"}
    assert (found["categories"].str.partition(",")[0] == found["main_category"]).all()
    assert found.loc["cs.CV", ["aid", "submitted_primary", "action"]].tolist() == ["2501.00001", "cs.SY", "propose_primary"]


def test_the_page_and_python_agree_on_what_holds(tab: Page, review: Review, tmp_path: Path) -> None:
    for _ in range(5):
        tab.keyboard.press("a")
    found = handed_back(tab, tmp_path)
    for aid, rows in found.groupby("aid"):
        row = int(review.papers.index[review.papers["aid"] == aid][0])
        primary, others = accepted_categories(review.filings[row], list(zip(rows["action"], rows["proposed"], strict=True)))
        assert {*rows["categories"]} == {",".join([primary, *others])}


def test_decisions_outlive_the_page_but_not_the_table(tab: Page, review: Review, tmp_path: Path) -> None:
    tab.keyboard.press("a")
    tab.keyboard.press("r")
    tab.reload()
    assert "download the decisions before you leave" in status(tab)  # a page from a file
    assert "2 decided" in status(tab) and "back" in status(tab) and current(tab) == "math.ST"
    tab.keyboard.press("u")
    tab.keyboard.press("u")
    tab.keyboard.press("u")
    assert "nothing to undo" in status(tab) and "0 decided" in status(tab)
    tab.keyboard.press("a")
    other = Review(review.actions.assign(probability=0.9), review.papers, review.filings, review.words, 0, 0)
    show(tab, review_page(other), tmp_path)
    assert "0 decided" in status(tab)


@pytest.mark.parametrize("kept", ["not json", '{"a": 1}', '[[99, "accept"], [0, "cs.XX"], 7, [0, "reject"]]'])
def test_what_a_browser_kept_wrongly_does_no_harm(tab: Page, kept: str) -> None:
    tab.evaluate("kept => history.replaceState({['arxiv-nbclf review ' + document.getElementById('papers').dataset.digest]: kept}, '')", kept)
    tab.reload()
    tab.keyboard.press("n")
    assert ("1 decided" if "reject" in kept else "0 decided") in status(tab)


def test_a_category_that_does_not_exist_is_refused(tab: Page) -> None:
    for typed, message in (("cs.XY", "cs.XY is no category"), ("", "Type a category"), ("<b>", "<b> is no category")):
        tab.locator("#other").fill(typed)
        tab.locator("#other").press("Enter")
        assert message in status(tab) and "0 decided" in status(tab)
    tab.locator("#other").fill("ar")  # letters that are keys elsewhere
    tab.locator("#other").press("Escape")
    assert "0 decided" in status(tab) and tab.locator("#other").input_value() == ""
    tab.keyboard.press("Control+a")
    assert "0 decided" in status(tab)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_it_is_accessible_and_fits(tab: Page, scheme: Any, width: int) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": 800})
    tab.keyboard.press("a")
    found = Axe().run(tab, options=RULES).response["violations"]
    grave = [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found if one["impact"] in ("serious", "critical")]
    assert not grave
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    tab.locator("button[data-key=r]").click()
    assert "2 decided" in status(tab)


def test_print_shows_all_papers(tab: Page) -> None:
    tab.keyboard.press("a")
    tab.emulate_media(media="print")
    assert tab.locator("#papers > li:visible").count() == 4 and not tab.locator("#bar").is_visible()
    assert "accepted" in tab.locator("#papers").inner_text()
    assert len(tab.pdf()) > 5_000


class _Read(HTMLParser):
    """Addresses, handlers and scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.faults += [f"<{tag} {name}>" for name, _ in attrs if name.startswith("on") or name in ("src", "href")]


def test_a_hostile_table_does_nothing(tab: Page, review: Review, tmp_path: Path) -> None:
    papers = review.papers.assign(title=EVIL, summary=EVIL, aid=[f"={i}{EVIL}" for i in range(5)])
    filings = [Filing(filed.submitted + EVIL, filed.primary, filed.secondaries) for filed in review.filings]
    hostile = made(filings, [(0, "promote", "stat.ML", 0.9)], papers)
    hostile.words[0] = (EVIL,)
    page = review_page(hostile)
    read = _Read(page)
    assert (read.faults, read.scripts) == ([], 1) and "49" not in page.split("</style>")[1].split("<script>")[0]
    show(tab, page, tmp_path)
    assert tab.title() == "Review of categories" and tab.locator("#papers h2").inner_text() == EVIL
    tab.keyboard.press("a")
    (row,) = handed_back(tab, tmp_path).to_dict("records")
    assert row["aid"] == f"'=0{EVIL}" and row["submitted_primary"] == f"cs.LG{EVIL}"


def test_a_thousand_proposals_are_two_megabytes() -> None:
    n = MAX_PROPOSALS + 50
    rng, words = np.random.default_rng(0), [f"word{i}" for i in range(5000)]
    text = [" ".join(rng.choice(words, 150)) for _ in range(n)]  # 1,300 characters: longer than most
    papers = pd.DataFrame({"aid": [f"2501.{i:05}" for i in range(n)], "title": [one[:80] for one in text], "summary": text})
    review = made([Filing("cs.LG", "cs.LG", ("cs.AI",))] * n, [(i, "propose_primary", "cs.CV", 0.9) for i in range(n)], papers)
    page = review_page(review)
    assert page.count("data-proposed=") == MAX_PROPOSALS and len(page.encode()) < 2_000_000
    assert re.search(r"The first 1,000 of 1,050 proposals", page)


def test_the_command_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    papers = sample(120, seed=4)
    papers.loc[3, "categories"], papers.loc[5, "summary"] = "cs.NOPE", None
    write_table(papers, tmp_path / "papers.csv")
    for name in ("review.csv", "again.parquet", "sheet.xlsx", "lines.jsonl"):
        assert main(["review", str(tmp_path / "papers.csv"), "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).is_file() and (tmp_path / name).with_suffix(".html").is_file()
    table = pd.read_csv(tmp_path / "review.csv", dtype={"aid": "str"}, keep_default_na=False)
    assert list(table.columns) == ACTION_COLUMNS and table["aid"].nunique() == 120
    pd.testing.assert_series_equal(table["action"], pd.read_parquet(tmp_path / "again.parquet")["action"], check_dtype=False)
    capsys.readouterr()
    assert main(["review", str(tmp_path / "papers.csv"), "--out", str(tmp_path / "review.csv")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    papers.drop(columns=[name for name in papers if "categor" in name]).to_csv(tmp_path / "bare.csv")
    assert main(["review", str(tmp_path / "bare.csv"), "--out", str(tmp_path / "no.csv")]) == 2
    assert "no paper has a category" in capsys.readouterr().err and not [*tmp_path.glob("no.*")]
