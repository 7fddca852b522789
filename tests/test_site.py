"""The built site: nothing is broken, everything is named, and it can be read on a phone, in the dark, by keyboard and by a screen reader.

The folder is that of `make docs`, or the one that the variable SITE names; pictures of some pages are left in build/screens.
"""

import importlib
import os
import pkgutil
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

import arxiv_nbclf
from arxiv_nbclf import cli

ROOT = Path(__file__).parents[1]
SITE = Path(os.environ.get("SITE") or ROOT / "_docs").resolve()
SCREENS = ROOT / "build" / "screens"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
MEGABYTE = 1_000_000

sys.path.insert(0, str(ROOT / "tools"))
make_site, screenshots = (importlib.import_module(name) for name in ("make_site", "screenshots"))

if not (SITE / "index.html").exists():
    pytest.skip("the site is not built: make docs", allow_module_level=True)
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("**/*.html"))


class Read(HTMLParser):
    """What a page consists of, as far as it is checked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag == "img":
            self.pictures.append(found)
        if address := found.get("href") if tag == "link" else found.get("src"):
            self.loaded.append(address)


@pytest.fixture(scope="module")
def read() -> dict[str, Read]:
    """Every page, by its path."""
    return {page: Read((SITE / page).read_text(encoding="utf-8")) for page in PAGES}


def place(page: str, link: str) -> tuple[str, str]:
    """The file and the anchor to which a link leads."""
    path, _, anchor = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(path))) if path else page, unquote(anchor)


def test_no_link_is_broken(read: dict[str, Read]) -> None:
    broken = []
    for page, parts in read.items():
        for link in parts.links:
            if re.match(r"(https?|mailto):", link):
                continue
            path, anchor = place(page, link)
            if not (SITE / path).is_file() or (anchor and (path not in read or anchor not in read[path].ids)):
                broken.append(f"{page}: {link}")
    assert not broken, "\n".join(broken)


def test_what_pages_load_is_there_and_nothing_comes_from_elsewhere(read: dict[str, Read]) -> None:
    for page, parts in read.items():
        for address in parts.loaded:
            assert not re.match(r"(https?:)?//", address), f"{page} loads {address}"
            assert address.startswith("data:") or (SITE / place(page, address)[0]).is_file(), f"{page} lacks {address}"
    styles = "".join(path.read_text(encoding="utf-8") for path in [*SITE.glob("**/*.css"), SITE / "site" / "site.js"])
    assert not re.search(r"https?:|@import|url\(", styles)


def test_pictures_are_described(read: dict[str, Read]) -> None:
    bare = [f"{page}: {one.get('src') or ''}"[:90] for page, parts in read.items() for one in parts.pictures if not one.get("alt")]
    assert not bare, "\n".join(bare)


def test_pages_are_light_and_anchors_are_single(read: dict[str, Read]) -> None:
    heavy = {path.relative_to(SITE).as_posix(): path.stat().st_size for path in SITE.glob("**/*.*") if path.stat().st_size > MEGABYTE}
    # the rest of the packaged model, which the page Try it loads when it is asked, and no page names
    assert heavy.pop("try/model-more.js", 0) < 9 * MEGABYTE
    assert not heavy
    for page, parts in read.items():
        twice = {one for one in parts.ids if parts.ids.count(one) > 1}
        assert not twice, f"{page}: {twice}"


def test_each_document_has_a_page_that_the_sidebar_names(read: dict[str, Read]) -> None:
    named = {place("index.html", link)[0] for link in read["index.html"].links if not re.match("https?:", link)}
    assert set(PAGES) <= named, set(PAGES) - named
    documents = [name for ending in make_site.SOURCES for name in make_site.sources(ROOT / "nbs", ending) if not name.startswith("reference")]
    made = {"reference.html"} | {page for page in PAGES if page.startswith("reference/")}
    assert len(PAGES) == len(documents) + len(made) and len(made) > 45


def public_names() -> Iterator[tuple[str, str]]:
    """Module and name, of all that is public."""
    for name in arxiv_nbclf.__all__:
        yield "arxiv_nbclf", name
    for module in pkgutil.walk_packages(arxiv_nbclf.__path__, "arxiv_nbclf."):
        if not module.ispkg and not module.name.rpartition(".")[2].startswith("_"):
            for name in importlib.import_module(module.name).__all__:
                yield module.name.removeprefix("arxiv_nbclf."), name


def test_the_reference_has_a_page_for_each_module(read: dict[str, Read]) -> None:
    """With every public name; the page Reference leads to each of them, and stays short."""
    names = [(module, name) for module, name in public_names() if module != "arxiv_nbclf"]
    assert len(names) > 500
    unlisted = [f"{module}.{name}" for module, name in names if name not in read[f"reference/{module}.html"].ids]
    assert not unlisted, "each stands on the page of its module"
    linked = set(read["reference.html"].links)
    assert not {f"reference/{module}.html#{name}" for module, name in names} - linked
    needed = (SITE / "reference.html").read_text(encoding="utf-8").partition('id="needed"')[2].partition('id="commands"')[0]
    assert set(arxiv_nbclf.__all__) <= set(re.findall(r'href="reference/[\w.]+\.html#(\w+)"', needed))
    shown = re.sub(r"<[^>]+>", "", (SITE / "reference/data.papers.html").read_text(encoding="utf-8"))
    for part in ("read_papers(", "a file, a folder of files", "Returns", "Raises BadPapers"):
        assert part in shown, part


def test_the_reference_has_every_command_with_its_options(read: dict[str, Read]) -> None:
    page = read["reference/command-line.html"]
    verbs = {command.name or "" for command in cli.app.registered_commands}
    assert len(verbs) >= 15 and verbs <= set(page.ids)
    assert {f"reference/command-line.html#{verb}" for verb in verbs} <= set(read["reference.html"].links)
    text = re.sub(r"<[^>]+>", "", (SITE / "reference/command-line.html").read_text(encoding="utf-8"))
    text = " ".join(text.split())  # a help text breaks its lines where it must
    assert "Usage: arxiv-nbclf harvest" in text and "--per-group N" in text and "[default: 3.0; x&gt;=0]" in text


def test_definitions_show_parameters_types_and_defaults() -> None:
    text = (SITE / "01_data/papers.html").read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]+>", "", text[text.index('id="read_papers"') :][:6000])
    for part in ("source", "a file, a folder of files", "purpose", "Purpose", "default", "Returns", "ReadPapers", "Raises BadPapers"):
        assert part in shown, part


def test_options_of_the_command_line_show_their_help() -> None:
    text = (SITE / "cli.html").read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]+>", "", text[text.index('id="harvest_command"') :][:12000])
    for part in ("Last day, inclusive", "str | None", "float"):
        assert part in shown, part
    assert "Annotated" not in shown[: shown.index("Last day, inclusive")]


NOTEBOOK = {
    "cells": [
        {"cell_type": "raw", "source": ["---\n", "title: One\n", "output-file: one.html\n", "---\n"], "metadata": {}},
        {"cell_type": "markdown", "metadata": {}, "source": [
            "## Words\n\n$x^2$ and a note.\n\n", "::: {.callout-warning title=\"Mind *this*\"}\nIt bites.\n:::"]},
        {"cell_type": "code", "source": "#| echo: false\nhidden()", "metadata": {}, "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["one ``` two\n"]}]},
        {"cell_type": "code", "source": "#| code-fold: true\n#| code-summary: Peep\nfolded()", "metadata": {}, "outputs": []},
        {"cell_type": "code", "source": "#| fig-alt: A line that rises\ndraw()", "metadata": {}, "outputs": [
            {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}, "metadata": {}}]},
        {"cell_type": "code", "source": "picture", "metadata": {}, "outputs": [
            {"output_type": "execute_result", "metadata": {}, "data": {
                "image/png": "iVBORw0KGgo=", "text/plain": "Picture('It says \"so\".', 5 kB)"}}]},
        {"cell_type": "code", "source": "#| include: false\nunseen()", "metadata": {}, "outputs": []},
        {"cell_type": "code", "source": "test_eq(two(), 2)", "metadata": {}, "outputs": []},
    ]
}


def test_directives_of_quarto_are_obeyed(tmp_path: Path) -> None:
    (tmp_path / "one.ipynb").write_text(make_site.json.dumps(NOTEBOOK), encoding="utf-8")
    page = make_site.rendered(make_site.read_notebook("one.ipynb", tmp_path, {}, {}))
    page.body += '<a href="https://site/a.html#one.two"><code>two</code></a> <code>fit</code> '
    page.body += '<a href="02_b.ipynb#x">b</a> <a href="../LICENSE">l</a>'
    links = make_site.Links({"02_b.ipynb": "b.html"}, "https://files", "https://site", lambda path: True)
    page.body += '<a href="https://site/q.html#listed"><code>listed</code></a>'
    body = make_site.finished(page, links, {"fit": "c.html#fit", "two": "d.html#two"})
    assert "</a><code>listed</code>" in body, "a plain word in the prose may be a column"
    assert '<a href="d.html#two"><code>two</code></a> <a href="c.html#fit"><code>fit</code></a>' in body
    assert '<a href="b.html#x">b</a> <a href="https://files/LICENSE" rel="noopener">l</a>' in body
    assert page.title == "One" and page.target == "one.html"
    assert "hidden()" not in body and "unseen()" not in body and "one ``` two" in body
    assert re.search(r"<details><summary>Peep</summary>.*folded", body, re.S)
    assert re.search(r"<details><summary>Checks</summary>.*test_eq", body, re.S)
    assert 'alt="A line that rises"' in body and 'alt="It says &quot;so&quot;."' in body and len(page.files) == 2
    assert "<math" in body and re.search(r'role="note".*Mind <em>this</em>.*It bites', body, re.S)


def test_a_table_has_one_head() -> None:
    """The name of pandas's index stands before the columns, and what has no word is no head."""
    table = "<table class='dataframe'><thead><tr><th></th><th>f1</th></tr><tr><th>true</th><th></th></tr></thead><tbody><tr><th>cs</th><td>0.9</td></tr></tbody></table>"
    made = make_site.aligned(re.match("(?s).*", table.replace("'", '"')))
    assert made.count("<tr>") == 2 and '<tr><th>true</th><th class="number">f1</th></tr>' in made and '<td class="number">0.9</td>' in made
    other = make_site.aligned(re.match("(?s).*", "<table><thead><tr><th style='text-align: left'></th><th>a</th></tr></thead></table>"))
    assert "<td style='text-align: left'></td><th>a</th>" in other


@pytest.mark.parametrize(("source", "folded"), [
    ("test_eq(f(1), 2)\ntest_close(g(), 0.5)", True), ("assert f(1) == 2", True), ("with ExceptionExpected(ValueError):\n    f(-1)", True),
    ("for n in range(3):\n    test_eq(f(n), n + 1)", True), ("f(1)", False), ("n = f(1)\ntest_eq(n, 2)", False),
    ("with open(path) as file:\n    file.read()", False), ("%time f(1)", False), ("", False), ("# a comment", False),
])
def test_cells_that_only_check_are_folded(source: str, folded: bool) -> None:
    assert make_site.only_checks(source) is folded


# ── in a browser ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser of the Chromium family."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is needed here: apt-get install chromium")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


class Visit:
    """A tab that takes note of what goes wrong in it."""

    def __init__(self, browser: Browser, width: dict[str, int], scheme: str = "light") -> None:
        self.tab: Page = browser.new_page(viewport=width, color_scheme=scheme)  # type: ignore[arg-type]
        self.wrong: list[str] = []
        self.tab.on("console", self.heard)
        self.tab.on("pageerror", lambda error: self.wrong.append(f"{self.tab.url}: {error}"))
        self.tab.on("request", self.asked)
        self.tab.on("requestfailed", self.failed)

    def heard(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings of the console."""
        if message.type in ("error", "warning"):
            self.wrong.append(f"{self.tab.url}: {message.text}")

    def asked(self, request: Request) -> None:
        """Nothing may come from elsewhere."""
        if not request.url.startswith(("file:", "data:")):
            self.wrong.append(f"{self.tab.url} asks for {request.url}")

    def failed(self, request: Request) -> None:
        """What is missing counts, what a change of page interrupts does not."""
        if request.failure != "net::ERR_ABORTED":
            self.wrong.append(f"{self.tab.url} lacks {request.url}: {request.failure}")

    def to(self, page: str) -> Page:
        """Open a page of the site."""
        path, mark, anchor = page.partition("#")
        self.tab.goto((SITE / path).as_uri() + mark + anchor)
        return self.tab


@pytest.fixture
def desk(browser: Browser) -> Iterator[Visit]:
    """A wide tab."""
    visit = Visit(browser, DESK)
    yield visit
    visit.tab.close()
    assert not visit.wrong


@pytest.fixture
def phone(browser: Browser) -> Iterator[Visit]:
    """A narrow tab."""
    visit = Visit(browser, PHONE)
    yield visit
    visit.tab.close()
    assert not visit.wrong


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
BRIEF: dict[str, object] = {"preload": False, "iframes": False, "resultTypes": ["violations"]}
AXE = BRIEF | {"runOnly": RULES, "rules": {"color-contrast": {"enabled": False}}}
CONTRAST = BRIEF | {"runOnly": ["color-contrast"]}
VARIED = ("index", "results", "try", "04_classifiers/linear", "07_evaluation/error_analysis", "08_report/sections", "cli", "tutorials/first_classifier", "tutorials/since_the_original",
          "reference", "reference/data.papers", "reference/command-line", "07_evaluation/index")


def grave(tab: Page, options: dict[str, object]) -> list[str]:
    """The serious findings of axe on the page as it stands."""
    found = Axe().run(tab, options=options).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]} and {len(one['nodes']) - 1} more"
        for one in found if one["impact"] in ("serious", "critical")
    ]


def test_pages_are_accessible(desk: Visit) -> None:
    """All, of the modules' pages each sixth; colours, which take axe longest and come from one style sheet, are left to the next check."""
    alike = [page for page in PAGES if page.startswith("reference/")]
    checked = {*PAGES} - {*alike} | {*alike[::6], "reference/command-line.html"}
    wrong = [f"{page}: {one}" for page in sorted(checked) for one in grave(desk.to(page), AXE)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_contrast(desk: Visit, theme: str) -> None:
    painted = [page for page in PAGES if re.search(r'style="[^"]*(color|background)', (SITE / page).read_text(encoding="utf-8"))]
    wrong = []
    for page in sorted({*painted, *(f"{name}.html" for name in VARIED if f"{name}.html" in PAGES)}):
        desk.to(page).evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        wrong += [f"{page}: {one}" for one in grave(desk.tab, CONTRAST)]
    assert not wrong, "\n".join(wrong)


def test_pages_fit_a_phone(phone: Visit) -> None:
    wide = [page for page in PAGES if phone.to(page).evaluate("document.documentElement.scrollWidth > innerWidth")]
    assert not wide


TUTORIALS = [page for page in PAGES if page.startswith("tutorials/")]


def test_tutorials_cut_nothing_on_a_wide_screen(desk: Visit) -> None:
    """Code and tables fit the column, and no cell of a table ends in dots."""
    measure = """() => [...document.querySelectorAll('article :is(pre, .table, td)')].filter((one) => one.scrollWidth > one.clientWidth + 1
        && one.checkVisibility()).map((one) => one.innerText.slice(0, 80))"""
    wide = {page: found for page in TUTORIALS if (found := desk.to(page).evaluate(measure))}
    assert len(TUTORIALS) >= 7 and not wide


def test_tables_of_tutorials_fit_a_phone(phone: Visit) -> None:
    measure = """() => [...document.querySelectorAll('article .table')].filter((one) => one.scrollWidth > one.clientWidth + 1
        && one.checkVisibility()).map((one) => `${one.scrollWidth}: ${one.innerText.slice(0, 60)}`)"""
    wide = {page: found for page in TUTORIALS if (found := phone.to(page).evaluate(measure))}
    assert not wide


def test_the_answer_is_seen_on_a_phone(phone: Visit) -> None:
    """The page Try it: an example's answer stands on the first screen, and stays in view where the text is typed."""
    tab = phone.to("try.html")
    answer, field = tab.locator(".try-answer"), tab.locator("#try-title")
    assert re.match(r"\w.* \([\w-]+\), \d+\.\d\s%", tab.locator("#try-verdict").inner_text())
    box, below = answer.bounding_box(), field.bounding_box()
    assert box and below and box["y"] > 0 and box["y"] + box["height"] <= below["y"] < PHONE["height"] - 100
    assert tab.locator("#try-category").inner_text().startswith("Category: ")
    tab.locator("#try-abstract").fill("We prove a bound on the spectral gap of random graphs. " * 20)
    tab.locator("#try-abstract").evaluate("field => field.scrollIntoView({block: 'start'})")
    box = answer.bounding_box()
    assert box and box["y"] >= 0 and box["y"] + box["height"] < PHONE["height"] / 2, "it stays in view"
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.locator("#try-words mark.try-plus.try-level-3").first.wait_for()
    for theme in ("light", "dark"):
        tab.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert not grave(tab, AXE) and not grave(tab, CONTRAST)


def test_the_answer_stands_beside_the_text(desk: Visit) -> None:
    """On a wide screen: group, category and words without scrolling far."""
    tab = desk.to("try.html")
    fields, answer, marks = (tab.locator(name).first.bounding_box() for name in (".try-paper", ".try-answer", "#try-words mark"))
    assert fields and answer and marks and answer["x"] >= fields["x"] + fields["width"] and abs(answer["y"] - fields["y"]) < 10
    assert answer["y"] + answer["height"] < DESK["height"] / 2 and marks["y"] < 1.1 * DESK["height"]


def test_search_finds_a_name_and_leads_to_it(desk: Visit) -> None:
    tab = desk.to("tutorials/first_classifier.html" if (SITE / "tutorials/first_classifier.html").exists() else "index.html")
    tab.keyboard.press("/")
    tab.keyboard.type("read_papers")
    tab.wait_for_selector("#site-found li")
    assert tab.evaluate("document.activeElement.getAttribute('aria-activedescendant')") == "found-0"
    assert not grave(tab, AXE)
    (SCREENS / "search.png").parent.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=SCREENS / "search.png")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/01_data/papers.html#read_papers")
    assert tab.locator("#read_papers").bounding_box()["y"] < 300  # type: ignore[index]
    assert not tab.locator("dialog.search").is_visible()


@pytest.mark.parametrize(("asked", "wanted"), [
    ("calibration", "04_classifiers/calibration.html"), ("martingale", "04_classifiers/linear.html"),
    ("learning curve", "07_evaluation/learning_curve.html"), ("STOP_WORDS", "reference/classifiers.linear.html#STOP_WORDS"),
])
def test_search_finds_words(desk: Visit, asked: str, wanted: str) -> None:
    tab = desk.to("index.html")
    tab.locator(".search-open").click()
    tab.keyboard.type(asked)
    tab.wait_for_selector("#site-found li")
    found = tab.locator("#site-found li").evaluate_all("found => found.map((item) => item.dataset.href)")
    assert any(link.startswith(wanted) for link in found[:5]), found
    tab.keyboard.press("Control+A")
    tab.keyboard.type("zzyzx")
    tab.wait_for_function("document.querySelector('.told').textContent == 'Nothing found'")
    tab.keyboard.press("Escape")
    assert not tab.locator("dialog.search").is_visible()


LOOKED_FOR = {  # what people type → one of the first three results
    "confidence interval": "07_evaluation/intervals.html", "confidence intervals": "07_evaluation/intervals.html",
    "hyperparameter": "06_tuning/tuning.html", "hyper-parameter": "06_tuning/tuning.html", "hyperparameter tuning": "06_tuning/tuning.html",
    "optuna": "06_tuning/tuning.html", "cross-validation": "06_tuning/tuning.html",
    "ROC": "07_evaluation/index.html#questions", "AUC": "07_evaluation/index.html#questions", "ROC curve": "07_evaluation/evaluation.html",
    "SHAP": "07_evaluation/index.html#questions", "lime": "07_evaluation/error_analysis.html", "feature importance": "07_evaluation/error_analysis.html",
    "explainability": "07_evaluation/error_analysis.html", "confusion matrix": "07_evaluation/evaluation.html", "macro F1": "07_evaluation/evaluation.html",
    "license": "index.html", "licence": "index.html", "cite": "index.html", "quickstart": "tutorials/first_classifier.html",
    "getting started": "tutorials/first_classifier.html", "install": "index.html", "installation": "index.html", "demo": "try.html",
    "deploy": "09_deployment/server.html", "docker": "09_deployment/server.html", "REST API": "09_deployment/server.html",
    "API": "09_deployment/server.html", "production": "09_deployment/server.html", "kubernetes": "09_deployment/index.html#questions",
    "imbalanced": "02_exploration/quality.html", "class imbalance": "02_exploration/quality.html", "oversampling": "05_training/index.html#questions",
    "SMOTE": "05_training/index.html#questions", "class weights": "05_training/index.html#questions", "duplicates": "01_data/papers.html#near-duplicates",
    "BERT": "05_training/training.html", "fine-tuning": "05_training/training.html", "GPU": "tutorials/finetuning_on_a_gpu.html",
    "LLM": "04_classifiers/index.html#questions", "csv": "01_data/tables.html", "excel": "tutorials/own_spreadsheet.html",
    "threshold": "04_classifiers/calibration.html", "uncertainty": "04_classifiers/calibration.html", "calibration": "04_classifiers/calibration.html",
    "cross-list": "09_deployment/prediction.html", "multi-label": "09_deployment/prediction.html", "moderation": "09_deployment/review.html",
    "overfitting": "05_training/recipes.html", "early stopping": "05_training/trainer.html", "ONNX": "09_deployment/onnx.html",
    "quantization": "09_deployment/onnx.html", "active learning": "09_deployment/labelling.html", "label noise": "tutorials/mislabelled_papers.html",
    "label errors": "07_evaluation/error_analysis.html", "drift": "07_evaluation/drift.html", "tf-idf": "04_classifiers/linear.html",
    "SVM": "04_classifiers/linear.html", "embeddings": "04_classifiers/embeddings.html", "mlflow": "05_training/tracking.html",
    "CLI": "reference/command-line.html", "benchmark": "results.html", "data leakage": "preprocessing.html", "batch prediction": "09_deployment/bulk.html",
    "tutorials": "tutorials/first_classifier.html", "faq": "00_core/index.html#questions", "ModuleNotFoundError": "00_core/index.html#questions",
    "categories": "01_data/taxonomy.html", "econ": "01_data/taxonomy.html", "compare": "08_report/leaderboard.html", "models": "04_classifiers/index.html",
    "probabilities": "04_classifiers/calibration.html", "how do I install": "index.html", "how accurate is it": "results.html", "ram": "01_data/chunks.html",
    "confidense interval": "07_evaluation/intervals.html", "hyperparamter": "06_tuning/tuning.html", "embeddngs": "04_classifiers/embeddings.html",
    "arxiv categroies": "01_data/taxonomy.html", "precison": "07_evaluation/evaluation.html", "calibraton": "04_classifiers/calibration.html",
    "ray": "09_deployment/cluster.html", "model card": "08_report/model_card.html", "other languages": "09_deployment/index.html#questions",
}
INSTEAD = {  # what there is not, and what the page that is found says of it
    "ROC": "Where are ROC curve and AUC?", "SHAP": "SHAP, LIME?", "SMOTE": "oversampling, or SMOTE? No.", "GPT": "GPT, zero-shot? Not here.",
    "kubernetes": "For Kubernetes and cloud services there is nothing", "PDF": "Does it read PDF or full text? No",
}


def first_found(tab: Page, term: str) -> list[str]:
    """The addresses that the search offers first."""
    tab.locator("dialog.search input").fill(term)
    return tab.locator("#site-found li").evaluate_all("found => found.slice(0, 3).map((item) => item.dataset.href)")


def test_search_knows_what_people_call_things(desk: Visit) -> None:
    """At least thirty common terms; a term for what there is not leads to a page that says so."""
    tab = desk.to("index.html")
    tab.locator(".search-open").click()
    tab.wait_for_function("window.siteTerms")
    wrong = {term: found for term, wanted in LOOKED_FOR.items() if wanted not in (found := first_found(tab, term))}
    assert len(LOOKED_FOR) > 60 and not wrong
    leads = {term: first_found(tab, term)[0].partition("#")[0] for term in INSTEAD}
    for term, words in INSTEAD.items():
        text = re.sub(r"<[^>]+>", "", (SITE / leads[term]).read_text(encoding="utf-8"))
        assert words in " ".join(text.split()), f"{leads[term]} does not speak of {term}"
    every = tab.evaluate("Object.entries(siteTerms).map(([term, pages]) => [term, pages[0]])")
    lost = [term for term, page in every if page not in first_found(tab, term)[:2]]
    assert not lost


def test_search_says_what_it_has_taken_a_word_for(desk: Visit) -> None:
    tab = desk.to("index.html")
    tab.locator(".search-open").click()
    tab.wait_for_function("window.siteTerms")
    for typed, said in [("calibration", r"\d+ found"), ("calibraton", r"\d+ found for “calibration”"), ("zzyzx", "Nothing found"), ("e", r"\d+ found"),
                        ("calibration zzyzx", r"\d+ found, none with all words"), ("to the", r"\d+ found"), ("", "")]:
        first_found(tab, typed)
        assert re.fullmatch(said, tab.locator(".told").inner_text()), typed


def focused(tab: Page) -> str:
    """What the element with the focus says."""
    return tab.evaluate("(document.activeElement.innerText || document.activeElement.ariaLabel || '').trim()")


def test_keyboard_goes_everywhere(desk: Visit) -> None:
    tab = desk.to("04_classifiers/linear.html")
    tab.keyboard.press("Tab")
    assert focused(tab) == "Skip to the content" and tab.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "site-content"
    seen = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        seen.add(focused(tab))
        styled = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle + ' ' + document.activeElement.tagName")
        assert not styled.startswith("none") or styled.endswith("BODY"), f"the focus cannot be seen on {focused(tab)}"
    assert "source" in seen
    tab.locator(".theme").focus()
    tab.keyboard.press("Enter")
    assert tab.locator(".theme").get_attribute("aria-pressed") == "true"
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab = desk.to("01_data/papers.html")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == dark != "rgb(255, 255, 255)", "the choice is kept"


def test_menu_of_a_phone(phone: Visit) -> None:
    tab = phone.to("04_classifiers/linear.html")
    assert not tab.locator("nav.pages").is_visible()
    tab.locator(".menu").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("nav.pages").is_visible() and focused(tab) == "Linear classifier"
    assert not grave(tab, AXE)
    tab.screenshot(path=SCREENS / "menu-phone.png")
    tab.keyboard.press("Escape")
    assert not tab.locator("nav.pages").is_visible() and tab.locator(".menu").get_attribute("aria-expanded") == "false"
    assert tab.evaluate("document.activeElement.className") == "menu"


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_pages_are_reached_without_javascript(browser: Browser, width: dict[str, int]) -> None:
    tab = browser.new_page(viewport=width, java_script_enabled=False)  # type: ignore[arg-type]
    tab.goto((SITE / "try.html").as_uri())
    assert tab.locator("nav.pages").is_visible() and "arxiv-nbclf predict" in tab.locator("article").inner_text()
    assert not any(tab.locator(button).is_visible() for button in (".menu", ".search-open", ".theme", ".try-answer"))
    top, text = (tab.locator(part).bounding_box() for part in ("nav.pages", "h1"))
    assert top and text and (width is DESK or top["y"] > text["y"])
    tab.close()


def test_code_and_tables_scroll_by_themselves(phone: Visit) -> None:
    tab = phone.to("01_data/papers.html")
    measure = "parts => parts.map((part) => [part.scrollWidth > part.clientWidth, part.getBoundingClientRect().right])"
    widths = tab.locator("pre, .table").evaluate_all(measure)
    assert any(scrolls for scrolls, _ in widths) and all(right <= PHONE["width"] for _, right in widths)


FIGURES = ("tutorials/first_classifier", "07_evaluation/evaluation", "results")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_are_no_slabs(browser: Browser, scheme: str) -> None:
    """The corner of a plot has nearly the colour of the page, in the dark too; the page's own pictures are left as they are."""
    visit = Visit(browser, DESK, scheme)
    for page in FIGURES:
        tab = visit.to(f"{page}.html")
        paper = [int(part) for part in re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))]
        plots = tab.locator(".cell-output img[src$='.png']")
        assert plots.count()
        for number in range(plots.count()):
            plots.nth(number).scroll_into_view_if_needed()
            corner = Image.open(BytesIO(plots.nth(number).screenshot())).convert("RGB").getpixel((3, 3))
            assert max(abs(a - b) for a, b in zip(corner, paper, strict=True)) < 12, f"{page}: plot {number} is {corner} on {paper}"
    tab = visit.to("index.html")
    assert tab.evaluate("[...document.querySelectorAll('article p > img')].every((one) => getComputedStyle(one).filter == 'none')")
    visit.tab.close()


def test_a_page_can_be_printed(desk: Visit) -> None:
    tab = desk.to("04_classifiers/linear.html")
    tab.emulate_media(media="print")
    assert not tab.locator(".top").is_visible() and not tab.locator("nav.pages").is_visible() and tab.locator("h1").is_visible()


@pytest.mark.parametrize(("name", "width", "scheme"), [("desk", DESK, "light"), ("dark", DESK, "dark"), ("phone", PHONE, "light")])
def test_pictures_of_pages_are_kept(browser: Browser, name: str, width: dict[str, int], scheme: str) -> None:
    visit = Visit(browser, width, scheme)
    SCREENS.mkdir(parents=True, exist_ok=True)
    for page in ("index", "results", "try", "reference", "01_data/papers", "04_classifiers/linear", "07_evaluation/evaluation", "tutorials/first_classifier"):
        if f"{page}.html" in PAGES:
            visit.to(f"{page}.html").screenshot(path=SCREENS / f"{page.rpartition('/')[2]}-{name}.png", full_page=page != "reference")
    visit.tab.close()
    assert not visit.wrong and len(list(SCREENS.glob(f"*-{name}.png"))) >= 6


def test_screenshots_are_taken_of_any_page(browser: Browser, tmp_path: Path) -> None:
    """Wide, in the dark, on a phone and printed; where there is no browser, that is said."""
    done = subprocess.run([sys.executable, ROOT / "tools" / "screenshots.py", SITE / "try.html", SITE / "01_data", "--out", tmp_path], check=True, text=True, stdout=subprocess.PIPE)
    made = {path.stem: Image.open(path) for path in map(Path, done.stdout.split())}
    assert set(made) == {f"{name}-{form}" for name in ("try", "01_data") for form in screenshots.FORMS}
    assert [made[f"try-{form}"].width for form in ("desktop", "phone", "print")] == [1400, 390, 794]
    light, dark = (sum(made[f"try-{form}"].convert("L").resize((1, 1)).getpixel((0, 0)) for form in forms) for forms in (("desktop", "phone"), ("dark", "phone-dark")))
    assert light > 400 and dark < 130
    without = subprocess.run([sys.executable, ROOT / "tools" / "screenshots.py"], env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert without.returncode == 0 and "Chromium is not installed" in without.stderr
