"""What a page must not hold: a parser that lists scripts, fetches, unclosed tags and pictures without alternative text."""

import re
from html.parser import HTMLParser

from arxiv_nbclf.core.pages import POLICY, SCRIPT

FORBIDDEN = ("link", "iframe", "object", "embed", "base", "form")


class _PageChecker(HTMLParser):
    """Collects what a page should not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag in FORBIDDEN:
            self.faults.append(f"<{tag}> is there")
        if tag == "script" and values:
            self.faults.append(f"<script> has {', '.join(values)}")
        self.faults += [f"<{tag}> has {name}" for name in values if name.startswith("on")]
        source, target = values.get("src", "data:"), values.get("href", "")
        if not source.startswith("data:"):
            self.faults.append(f"<{tag}> fetches {source}")
        if (":" in target or target.startswith("//")) and not re.fullmatch(r"https://arxiv\.org/abs/[a-z-]*/?[0-9.]+", target):
            self.faults.append(f"<{tag}> leads to {target}")
        if tag == "img" and not values.get("alt"):
            self.faults.append("<img> has no words")
        if tag == "svg" and (values.get("role") != "img" or not values.get("aria-label")):
            self.faults.append("<svg> has no words")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")
        if tag == "script":
            self.faults += ["<script> is there"] * (self.script != SCRIPT)
            self.script = ""

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"] and ("url(" in data or "@import" in data):
            self.faults.append("the style fetches")
        self.script += data if self.open[-1:] == ["script"] else ""


def html_errors(
    page: str,  # HTML
) -> list[str]:  # empty for a page without errors
    """What in a page fetches, runs, is not closed or has no alternative text."""
    checker = _PageChecker()
    checker.feed(page)
    checker.close()
    if "<script" in page.lower() and POLICY not in page:
        checker.faults.append("no policy forbids other scripts")
    return checker.faults + [f"<{tag}> is not closed" for tag in checker.open]
