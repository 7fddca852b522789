"""Pictures of pages, as they are seen: on a wide screen, in the dark, on a phone, and printed.

    python tools/screenshots.py                        home and Try it of the built site, and the report of a run on the sample
    python tools/screenshots.py a.html runs/x --out d  pages, and what is index.html or report/report.html in a folder
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HELP = "Chromium is not installed (Debian: apt-get install chromium)"


class Form(NamedTuple):
    """How a page is looked at."""
    width: int  # pixels
    height: int
    scheme: Literal["light", "dark"] = "light"
    media: Literal["screen", "print"] = "screen"


FORMS = {
    "desktop": Form(1400, 900), "dark": Form(1400, 900, "dark"), "phone": Form(390, 844), "phone-dark": Form(390, 844, "dark"),
    "print": Form(794, 1123, media="print"),  # A4 at 96 dots an inch
}


def find_browser() -> str | None:  # its path, if there is one
    """A browser of the Chromium family."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def page_in(
    path: Path,  # a page, or a folder with one
) -> Path:  # the page
    """The page that a path means."""
    return next((path / name for name in ("report/report.html", "report.html", "index.html") if (path / name).is_file()), path)


def shoot(
    pages: dict[str, Path],  # name of the picture → page
    out: Path,  # folder for the pictures, made if it is not there
    whole: bool = True,  # the whole page, or what is seen without scrolling
) -> list[Path]:  # the pictures, NAME-FORM.png
    """Take every picture. Needs Chromium, which `find_browser` finds."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for form, (width, height, scheme, media) in FORMS.items():
            tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            tab.emulate_media(media=media, color_scheme=scheme)
            for name, page in pages.items():
                tab.goto(page.resolve().as_uri())
                tab.wait_for_load_state("networkidle")
                made.append(out / f"{name}-{form}.png")
                tab.screenshot(path=made[-1], full_page=whole)
            tab.close()
        browser.close()
    return made


def main() -> int:
    """The command; 0 also where there is no browser, which it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages, or folders with one; without any: home, Try it, and a report")
    parser.add_argument("--out", type=Path, default=ROOT / "_docs" / "screenshots", help="where the pictures go (default: _docs/screenshots)")
    options = parser.parse_args()
    if not find_browser():
        print(f"screenshots: none, since {HELP}", file=sys.stderr)
        return 0
    with TemporaryDirectory() as name:
        pages = {one.stem if one.suffix else one.name: page_in(one) for one in options.pages}
        if not options.pages:
            from arxiv_nbclf import run

            os.environ.setdefault("OMP_NUM_THREADS", "1")
            run("sample", out=Path(name) / "run", family="linear")
            pages = {"home": ROOT / "_docs" / "index.html", "try": ROOT / "_docs" / "try.html", "report": page_in(Path(name) / "run")}
        if gone := [str(page) for page in pages.values() if not page.is_file()]:
            print(f"screenshots: there is no {', '.join(gone)}; make docs builds the site", file=sys.stderr)
            return 2
        for path in shoot(pages, options.out):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
