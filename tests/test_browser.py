"""What a browser makes of a page: its tables can be sorted, and nothing but its own script runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import Markup

from arxiv_nbclf.core.pages import (
    count_text,
    duration_text,
    html_page,
    render,
    score_text,
    share_text,
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> str:
    """A browser of the Chromium family."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is needed here: apt-get install chromium")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    return found


def opened(browser: str, page: str, folder: Path, place: str = "") -> str:
    """The page as it stands in the browser after its scripts have run, at a place such as #usage."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run([browser, *options, (folder / "page.html").as_uri() + place], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


TABLE = pd.DataFrame({
    "group": ["stat", "cs", "econ", "math"], "papers": [259, 5251, 86, 2113], "gain": [-0.5, 0.25, float("nan"), 0.1],
    "share": [0.021, 0.425, 0.007, 0.171], "time": [61 * 60.0, 3.1, 130.0, 7300.0], "note": ["b", "", "–", "a"],
})
FORMATS = {"papers": count_text, "gain": score_text, "share": share_text, "time": duration_text}
GIVEN = ["stat", "cs", "econ", "math"]
ORDERS = [
    (0, 1, ["cs", "econ", "math", "stat"]), (0, 2, ["stat", "math", "econ", "cs"]), (0, 3, GIVEN),
    (1, 1, ["cs", "math", "stat", "econ"]), (1, 2, ["econ", "stat", "math", "cs"]),
    (2, 1, ["cs", "math", "stat", "econ"]), (2, 2, ["stat", "math", "cs", "econ"]),  # what is not known goes last, both ways
    (3, 1, ["cs", "math", "stat", "econ"]), (4, 1, ["math", "stat", "econ", "cs"]), (5, 1, ["math", "stat", "cs", "econ"]),
]


def made(rows: int = 4) -> str:
    """A page with a table."""
    return html_page("A page", render("{{ table | table(formats) }}", table=TABLE.head(rows), formats=FORMATS))


@pytest.mark.parametrize(("column", "presses", "order"), ORDERS)
def test_tables_are_sorted_by_their_headings(browser: str, tmp_path: Path, column: int, presses: int, order: list[str]) -> None:
    press = f"<script>for (let i = 0; i < {presses}; i++) document.querySelectorAll('th button')[{column}].click()</script></body>"
    unlocked = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", made()).replace("</body>", press)
    page = opened(browser, unlocked, tmp_path)
    assert re.findall(r'<th scope="row">(.*?)</th>', page) == order
    assert len(re.findall("<th[^>]* aria-sort=", page)) == (presses < 3), "one column at most is announced as sorted"


def test_its_own_script_runs_and_no_other(browser: str, tmp_path: Path) -> None:
    page = opened(browser, made().replace("</body>", "<script>document.title = 'taken over'</script></body>"), tmp_path)
    assert page.count('<button type="button">') == 6 and "<title>A page</title>" in page
    assert "<button" not in opened(browser, made(rows=3), tmp_path), "three rows are read faster than sorted"


def test_a_link_opens_its_section_and_a_button_all_of_them(browser: str, tmp_path: Path) -> None:
    folds = "".join(f"<details><summary><h2>{name}</h2></summary><div id='{name}'><p>x</p></div></details>" for name in ("data", "usage"))
    page = html_page("A page", render("<div class='folds'>{{ folds }}</div>", folds=Markup(folds)))
    assert opened(browser, page, tmp_path).count('<details open=""') == 0
    assert re.findall('<details open="".*?<h2>(.*?)<', opened(browser, page, tmp_path, "#usage")) == ["usage"]
    press = "<script>document.querySelector('.unfold').click()</script></body>"
    unlocked = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", press)
    pressed = opened(browser, unlocked, tmp_path)
    assert pressed.count('<details open=""') == 2 and ">Close all</button>" in pressed


def test_print_opens_every_section(browser: str, tmp_path: Path) -> None:
    page = html_page("A page", Markup("<div class='folds'><details><summary>a</summary><div>b</div></details><details open><summary>c</summary></details></div>"))
    unlocked = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    for event, n_open in (["beforeprint"], 2), (["beforeprint", "afterprint"], 1):
        fired = "".join(f"dispatchEvent(new Event('{name}'));" for name in event)
        shown = opened(browser, unlocked.replace("</body>", f"<script>{fired}</script></body>"), tmp_path)
        assert shown.count('<details open=""') == n_open
