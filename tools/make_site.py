"""The site without Quarto: notebooks as nbdev processes them, made into pages by pandoc, into the folder of settings.ini (_docs).

    python tools/make_site.py              everything
    python tools/make_site.py --prepare    only what Quarto needs too: nbs/sidebar.yml and the reference

The navigation is that of nbs/_quarto.yml, the addresses are those of Quarto.
"""

import argparse
import ast
import base64
import fnmatch
import html
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jinja2
import pygments
import pypandoc
import yaml
from nbdev.config import get_config
from nbdev.doclinks import _build_modidx
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

sys.path.insert(0, str(Path(__file__).parent))
from reference import (
    Module,
    described,
    fenced,
    handed_on,
    inline,
    raw,
    read_package,
    write_reference,
)

ASSETS = Path(__file__).parent / "site"
SECTIONS = {  # of the sidebar: heading → names of pages, in the order of their names
    "Start": ["index.ipynb", "try.qmd", "results*"],
    "Tutorials": ["tutorials/*"],
    "Core": ["00_core/*"],
    "Data": ["01_data/*"],
    "Exploration": ["02_exploration/*"],
    "Preprocessing": ["03_*"],
    "Classifiers": ["04_classifiers/*"],
    "Training": ["05_training/*"],
    "Tuning": ["06_tuning/*"],
    "Evaluation": ["07_evaluation/*"],
    "Report": ["08_report/*"],
    "Deployment": ["09_deployment/*"],
    "Runs and command line": ["10_*", "11_*"],
    "Reference": ["reference.qmd", "reference/command-line.qmd", "reference/*"],
    "More": ["*"],
}
READER = "markdown-implicit_figures+autolink_bare_uris+tex_math_single_backslash"
DIRECTIVE = re.compile(r"^\s*#\|\s*([\w-]+)\s*:?\s*(.*?)\s*$")
PICTURE = re.compile(r"^Picture\((?P<alt>'.*'|\".*\"), [\d,]+ kB\)$", re.S)
SOURCES = (".ipynb", ".qmd")


class SiteError(Exception):
    """The site cannot be made; the message says why."""


@dataclass
class Page:
    """A page, from its source to its words."""
    source: str  # a path in _proc, such as tutorials/01_first_classifier.ipynb
    meta: dict[str, Any]  # its front matter
    markdown: str
    files: dict[str, bytes] = field(default_factory=dict)  # pictures, by their path in the site
    toc: str = ""
    body: str = ""

    @property
    def target(self) -> str:
        """Its path in the site."""
        name = self.meta.get("output-file") or f"{Path(self.source).stem}.html"
        return posixpath.join(posixpath.dirname(self.source), name)

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.meta.get("title") or Path(self.source).stem)


# ── what the notebooks say ────────────────────────────────────────────────────────────────────────────────────────


def joined(
    source: str | list[str],  # text as notebooks keep it
) -> str:
    """Text in one piece."""
    return source if isinstance(source, str) else "".join(source)


def directives(
    source: str,  # a code cell
) -> tuple[dict[str, str], str]:  # its directives, and the rest
    """Part `#| name: value` lines from code."""
    found, rest = {}, []
    for line in source.splitlines():
        if match := DIRECTIVE.match(line):
            found[match[1]] = match[2].strip("\"'")
        else:
            rest.append(line)
    return found, "\n".join(rest).strip("\n")


def describe(
    data: dict[str, Any],  # what a cell shows
    flags: dict[str, str],  # the cell's directives
    prose: str,  # the last Markdown before it
) -> str:
    """What to say of a picture to those who do not see it: its own words, the cell's, or what the prose announces."""
    if flags.get("fig-alt") or flags.get("fig-cap"):
        return flags.get("fig-alt") or flags["fig-cap"]
    if match := PICTURE.match(joined(data.get("text/plain", "")).strip()):
        return str(ast.literal_eval(match["alt"]))
    paragraphs = [part for part in re.split(r"\n\s*\n", prose) if part.strip() and not part.lstrip().startswith(("#", "|", "```", ":::"))]
    last = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraphs[-1].split())) if paragraphs else ""
    return f"Figure: {re.sub(r'[*`$]', '', last)}" if last else "Figure"


def output(
    shown: dict[str, Any],  # one output of a cell
    flags: dict[str, str],  # the cell's directives
    prose: str,  # the last Markdown before it
    keep: Callable[[bytes, str], str],  # keeps a picture; its address
) -> str:
    """One output as Markdown."""
    if shown["output_type"] == "stream":
        if shown.get("name") == "stderr" and flags.get("warning") == "false":
            return ""
        text = re.sub(r"\x1b\[[0-9;]*m", "", joined(shown["text"])).rstrip("\n")
        return f"::: {{.cell-output .cell-output-{shown['name']}}}\n{fenced(text, '.output')}:::\n"
    if shown["output_type"] == "error":
        text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown.get("traceback", []))) or f"{shown['ename']}: {shown['evalue']}"
        return f"::: {{.cell-output .cell-output-error}}\n{fenced(text, '.output')}:::\n"
    data = shown.get("data", {})
    if "text/markdown" in data:
        inner = joined(data["text/markdown"]) + "\n"
        if flags.get("output") == "asis":
            return inner
    elif "image/svg+xml" in data or "image/png" in data or "image/jpeg" in data:
        kind = next(kind for kind in ("image/svg+xml", "image/png", "image/jpeg") if kind in data)
        content = joined(data[kind])
        address = keep(content.encode() if kind == "image/svg+xml" else base64.b64decode(content), kind.partition("/")[2].partition("+")[0])
        width = shown.get("metadata", {}).get(kind, {}).get("width")
        size = f' width="{width}"' if width else ""
        inner = raw(f'<img src="{address}" alt="{html.escape(describe(data, flags, prose))}" loading="lazy"{size}>')
        if flags.get("fig-cap"):
            inner = raw("<figure>") + inner + raw(f"<figcaption>{html.escape(flags['fig-cap'])}</figcaption></figure>")
    elif "text/html" in data:
        markup = re.sub(r"<style scoped>.*?</style>\s*", "", joined(data["text/html"]), flags=re.S)
        ids = set(re.findall(r'\bid="([^"]+)"', markup))  # a part of a page may lead to parts that are not shown
        markup = re.sub(r'<a href="#([^"]+)"', lambda link: link[0] if link[1] in ids else "<a", markup)
        used = set(re.findall(r'(?:href="#|for="|aria-\w+=")([^"]+)"', markup))  # and stand twice on this one
        inner = raw(re.sub(r' id="([^"]+)"', lambda own: own[0] if own[1] in used else "", markup))
    elif "text/plain" in data:
        inner = fenced(joined(data["text/plain"]), ".output")
    else:
        return ""
    return f"::: {{.cell-output .cell-output-display}}\n{inner}:::\n"


CHECK = re.compile(r"test_\w+")  # functions that check, as fastcore names them


def only_checks(
    source: str,  # a code cell without its directives
) -> bool:
    """Whether a cell consists of checks alone: `test_eq(…)`, `assert …`, `with ExceptionExpected(…): …`."""
    def checks(node: ast.stmt) -> bool:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            return bool(CHECK.fullmatch(node.value.func.id))
        if isinstance(node, ast.With):
            return all(ast.unparse(item.context_expr).startswith("ExceptionExpected(") for item in node.items)
        if isinstance(node, ast.For):
            return all(map(checks, node.body))
        return isinstance(node, ast.Assert)

    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic, or a language that is not Python
        return False
    return bool(statements) and all(map(checks, statements))


def code_cell(
    cell: dict[str, Any],  # of a processed notebook
    prose: str,  # the last Markdown before it
    keep: Callable[[bytes, str], str],  # keeps a picture; its address
) -> str:
    """A code cell and what it shows, as Quarto would have it."""
    flags, source = directives(joined(cell["source"]))
    if flags.get("include") == "false":
        return ""
    parts = []
    if source and flags.get("echo") != "false":
        block = fenced(source, f".{cell['metadata'].get('language', 'python')} .cell-code")
        if only_checks(source):
            flags = {"code-fold": "true", "code-summary": "Checks"} | flags
        if flags.get("code-fold") in ("true", "show"):
            opened = " open" if flags["code-fold"] == "show" else ""
            summary = html.escape(flags.get("code-summary", "Code"))
            block = raw(f"<details{opened}><summary>{summary}</summary>") + block + raw("</details>")
        parts.append(block)
    if flags.get("output") not in ("false",):
        parts += [output(shown, flags, prose, keep) for shown in cell.get("outputs", [])]
    inner = "\n".join(filter(None, parts))
    if flags.get("output") == "asis" and flags.get("echo") == "false":
        return inner
    return f":::: {{.cell}}\n{inner}\n::::\n" if inner else ""


# ── what the package says: signatures and parameters ──────────────────────────────────────────────────────────────

SHOWN = re.compile(
    r"\A---\s+\[source\]\((?P<url>[^)]*/arxiv_nbclf/(?P<path>[\w/]+)\.py#L\d+)\)\{[^}]*\}\s+(?P<level>#+) (?P<name>\S+)\s+"
    r"```python\n(?P<code>.*?)\n```\s*(?P<doc>.*)\Z", re.S
)


def documented(
    shown: str,  # what nbdev's show_doc says
    package: dict[str, Module],  # the package as read
    types: dict[str, str],  # name of a class → its page and anchor
) -> str:
    """The same with parameters, types and defaults as they stand in the source."""
    match = SHOWN.match(shown.strip())
    module = match["path"].replace("/", ".") if match else ""
    definition = package[module].definitions.get(match["name"]) if match and module in package else None
    if not match:
        return shown
    head = f"{match['level']} {match['name']}\n\n[source]({match['url']}){{.doc-source aria-label=\"Source of {match['name']}\"}}\n\n"
    opened, closed = raw('<div class="doc">'), raw("</div>")  # pandoc would make a section of a fenced one that begins with a heading
    if not definition or definition.kind == "constant":
        return f"{opened}\n\n{head}{fenced(match['code'], '.python .signature')}\n{match['doc']}\n\n{closed}"
    prose = match["doc"].strip().removeprefix("*").removesuffix("*")
    parts = [head, *described(definition, package[definition.module], types, prose)]
    return "\n\n".join([opened, *parts, closed])


def read_notebook(
    source: str,  # its path in proc
    proc: Path,  # where nbdev put it
    package: dict[str, Module],  # the package as read
    types: dict[str, str],  # name of a class → its page and anchor
) -> Page:
    """A processed notebook as one Markdown text."""
    cells = json.loads((proc / source).read_text(encoding="utf-8"))["cells"]
    page, prose = Page(source, {}, ""), ""
    parts: list[str] = []

    def keep(content: bytes, suffix: str) -> str:
        stem = Path(page.target).stem
        address = f"{stem}_files/figure-html/cell-{len(parts) + 1}-output-{len(page.files) + 1}.{suffix}"
        page.files[posixpath.join(posixpath.dirname(page.target), address)] = content
        return quote(address)

    for cell in cells:
        text = joined(cell["source"])
        if cell["cell_type"] == "raw" and text.lstrip().startswith("---") and not page.meta:
            page.meta = yaml.safe_load(text.strip().strip("-"))
        elif cell["cell_type"] == "markdown":
            prose = text if text.strip() and not text.startswith("<!--") else prose
            parts.append(text)
        elif cell["cell_type"] == "code":
            made = code_cell(cell, prose, keep)
            parts.append(documented(made, package, types) if re.search(r"^show_doc\(", text, re.M) else made)
    page.markdown = "\n\n".join(parts)
    return page


def read_text(
    source: str,  # its path in proc
    proc: Path,  # where nbdev put it
) -> Page:
    """A Quarto document without code to run."""
    match = re.match(r"\A---\n(.*?)\n---\n(.*)\Z", (proc / source).read_text(encoding="utf-8"), re.S)
    if not match:
        raise SiteError(f"{source} has no front matter: begin it with ---, a title and ---")
    return Page(source, yaml.safe_load(match[1]), match[2])


# ── from Markdown to HTML ─────────────────────────────────────────────────────────────────────────────────────────


def rendered(
    page: Page,  # filled in by this
) -> Page:
    """Have pandoc make the body and the list of headings."""
    options = [
        "--from", READER, "--to", "html5", "--mathml", "--wrap", "none", "--syntax-highlighting", "none",
        "--toc", "--toc-depth", "3", "--standalone", "--template", str(ASSETS / "pandoc.html"),
        "--lua-filter", str(ASSETS / "filter.lua"), "--metadata", "pagetitle=x",
    ]
    done = subprocess.run([pypandoc.get_pandoc_path(), *options], input=page.markdown, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise SiteError(f"pandoc on {page.source}: {done.stderr.strip()}")
    page.toc, _, page.body = done.stdout.partition("<!-- body -->")
    page.toc = re.sub(r' id="toc-[^"]*"', "", page.toc)
    return page


@dataclass(frozen=True)
class Links:
    """Where links lead."""
    pages: dict[str, str]  # source → target
    repository: str  # address of a file's page, up to its path
    site: str  # the published site's address
    exists: Callable[[str], bool]  # whether a path of the repository exists

    def resolve(self, link: str, page: Page) -> str:
        """A link as it must read on a page."""
        link = link.removeprefix(self.site) if link.startswith(self.site) else link
        if link.startswith("/"):
            return relative(link.lstrip("/"), page)
        if re.match(r"[a-z][a-z0-9+.-]*:|#", link, re.I) or not link:
            return link
        path, mark, anchor = link.partition("#")
        found = posixpath.normpath(posixpath.join("nbs", posixpath.dirname(page.source), unquote(path)))
        inside = found.removeprefix("nbs/")
        if inside in self.pages and found != inside:
            return relative(self.pages[inside], page) + mark + anchor
        if found == inside and self.exists(found):  # outside of nbs: read it in the repository
            return f"{self.repository}/{found}{mark}{anchor}"
        return link


def relative(
    target: str,  # a path in the site, with an anchor or not
    page: Page,  # from where
) -> str:
    """A path as seen from a page."""
    path, mark, anchor = target.partition("#")
    if path == page.target and anchor:
        return f"#{anchor}"
    return quote(posixpath.relpath(path or "index.html", posixpath.dirname(page.target) or ".")) + mark + anchor


def coloured(
    match: re.Match[str],  # a code block as pandoc writes it
) -> str:
    """The block with its words in classes, by Pygments: pandoc takes nine times as long."""
    attributes, language, text = match[1], (match[2] or "output").split()[0], match[3]
    try:
        text = pygments.highlight(html.unescape(text), get_lexer_by_name(language, stripnl=False), HtmlFormatter(nowrap=True)).rstrip("\n")
    except ClassNotFound:  # what a cell shows, or a language without colours
        return f'<pre{attributes} tabindex="0"><code>{text}</code></pre>'
    return f'<div class="code"><pre{attributes} tabindex="0"><code>{text}</code></pre></div>'


NAMED_INDEX = re.compile(  # the two heads that pandas gives a table whose index has a name
    r"<tr[^>]*>\s*<th></th>((?:\s*<th[^>]*>[^<]+</th>)+)\s*</tr>\s*<tr[^>]*>\s*<th>([^<]+)</th>(?:\s*<th></th>)+\s*</tr>(?=\s*</thead>)"
)

NUMBER = re.compile(r"[-+−]?[\d,.]+(e[-+]?\d+)?\s?%?|NaN|")
NUMERIC = ' class="number"'
PHONE_LETTERS = 46  # that fit side by side on a phone


def aligned(
    match: re.Match[str],  # a table
) -> str:
    """A table that can be scrolled; in pandas's, one head instead of two, numbers stand right, words left, and a wide one folds on a phone."""
    table = NAMED_INDEX.sub(r"<tr><th>\2</th>\1</tr>", match[0])
    if 'class="dataframe"' in table and "span=" not in table:
        rows = [re.findall(r"<t([dh])>(.*?)</t[dh]>", row, re.S) for row in re.findall(r"<tr.*?</tr>", table, re.S)]
        body = [row for row in rows if any(kind == "d" for kind, _ in row)]
        if body and all(len(row) == len(rows[0]) for row in rows):
            numbers = [all(kind == "d" and NUMBER.fullmatch(text.strip()) for kind, text in column) for column in zip(*body, strict=True)]
            least = [max(len(word) for _, text in column for word in ["", *text.split()]) + 2 for column in zip(*rows, strict=True)]
            wide = len(rows) == len(body) + 1 and sum(least) > PHONE_LETTERS
            places = iter([*range(len(rows[0]))] * len(rows))

            def attributes(cell: re.Match[str]) -> str:
                place = next(places)
                head = f' data-head="{rows[0][place][1]}"' if wide and cell[1] == "td" else ""
                return f"<{cell[1]}{NUMERIC if numbers[place] else ''}{head}>"

            table = re.sub(r"<(t[dh])>", attributes, table)
            table = table.replace('class="dataframe"', 'class="dataframe fold"', 1) if wide else table
    table = re.sub(r"<th( [^>]*)?></th>", r"<td\1></td>", table)  # a head without a word is none
    return f'<div class="table" tabindex="0" role="group" aria-label="Table">{table}</div>'


def finished(
    page: Page,  # rendered
    links: Links,  # where links lead
    names: dict[str, str],  # name of the package → its page and anchor
) -> str:
    """The body with its links, tables and code as the site wants them."""
    def link(match: re.Match[str]) -> str:
        address = links.resolve(html.unescape(match[2]), page)
        outside = ' rel="noopener"' if address.startswith("http") else ""
        return f'{match[1]}="{html.escape(address)}"{outside}'

    def name(match: re.Match[str]) -> str:
        return f'<a href="/{names[match[1]]}">{match[0]}</a>' if match[1] in names else match[0]

    alone = rf'<a href="{re.escape(links.site)}[^"#]*#[^"]*">(<code>\w+</code>)</a>'  # nbdev takes `linear` for `EvaluationContext.linear`, and a column for a function
    body = re.sub(r"<code>([A-Za-z_]\w*)</code>(?!</a>|</pre>)", name, re.sub(alone, r"\1", page.body))
    parts = re.split(r"(<pre.*?</pre>|<(?:script|style|textarea).*?</(?:script|style|textarea)>)", body, flags=re.S)
    for number in range(0, len(parts), 2):  # what is neither code nor script
        part = re.sub(r'\b(href)="([^"]*)"', link, parts[number]).replace(' target="_blank"', "")
        part = re.sub(r' border="1"| style="text-align: right;"', "", part)
        part = re.sub(r"<table.*?</table>", aligned, part, flags=re.S)
        part = re.sub(r"<iframe(?![^>]* title=)", '<iframe title="A page, shown as an example" loading="lazy"', part)
        parts[number] = re.sub(
            r'<(h[2-6])((?: [^>]*)?) id="([^"]+)"([^>]*)>(.*?)</\1>',
            r'<\1\2 id="\3"\4>\5<a class="anchor" href="#\3" aria-label="Link to this section"></a></\1>', part, flags=re.S
        )
    return re.sub(r'<pre((?: class="([^"]*)")?[^>]*)><code[^>]*>(.*?)</code></pre>', coloured, "".join(parts), flags=re.S)


# ── navigation, search, pages ─────────────────────────────────────────────────────────────────────────────────────


def write_sidebar(
    nbs: Path,  # the notebooks' folder
) -> None:
    """Write sidebar.yml: every page of the site, under the headings of SECTIONS."""
    left = sources(nbs, *SOURCES)
    contents = []
    for heading, patterns in SECTIONS.items():
        taken = [name for pattern in patterns for name in left if fnmatch.fnmatch(name, pattern)]
        taken.sort(key=lambda name: not name.endswith("/index.qmd"))  # a place's own page stands first
        left = [name for name in left if name not in taken]
        if taken:
            contents.append({"section": heading, "contents": list(dict.fromkeys(taken))})
    text = yaml.safe_dump({"website": {"sidebar": {"contents": contents}}}, sort_keys=False, allow_unicode=True)
    (nbs / "sidebar.yml").write_text(f"# Made by tools/make_site.py.\n{text}", encoding="utf-8")


def merged(
    base: dict[str, Any],  # settings
    more: dict[str, Any],  # settings that add to them
) -> dict[str, Any]:
    """Settings put together as Quarto does with metadata-files."""
    both = dict(base)
    for key, value in more.items():
        both[key] = merged(both[key], value) if isinstance(both.get(key), dict) and isinstance(value, dict) else value
    return both


def settings(
    proc: Path,  # where nbdev put its work
) -> dict[str, Any]:
    """_quarto.yml with the files that it names."""
    own = yaml.safe_load((proc / "_quarto.yml").read_text(encoding="utf-8"))
    more: dict[str, Any] = {}
    for name in own.get("metadata-files", []):
        more = merged(more, yaml.safe_load((proc / name).read_text(encoding="utf-8")) or {})
    return merged(more, own)


def entry(
    item: str | dict[str, Any],  # of a sidebar or navbar
    pages: dict[str, Page],  # by source
) -> dict[str, Any] | None:  # title, href and contents; None for a page that is not there
    """An entry of the navigation."""
    if isinstance(item, str):
        item = {"href": item}
    title, href = item.get("section") or item.get("text") or item.get("title"), item.get("href")
    contents = [found for one in item.get("contents", []) if (found := entry(one, pages))]
    if href and href.endswith(SOURCES):
        if href not in pages:
            return None
        title, href = title or pages[href].title, pages[href].target
    return {"title": title or href, "href": href, "contents": contents} if href or contents else None


def inside(
    entries: list[dict[str, Any]],  # of the navigation
) -> Iterator[dict[str, Any]]:
    """Every entry that leads to a page, in reading order."""
    for one in entries:
        if one["href"]:
            yield one
        yield from inside(one["contents"])


class Words(HTMLParser):
    """The prose of a page by its sections; code and what cells show is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = [["", "", ""]]  # anchor, heading, text
        self.skip, self.heading = 0, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if self.skip or tag in ("pre", "script", "style", "table", "svg", "math") or "cell-output" in (found.get("class") or ""):
            self.skip += tag not in ("img", "br", "hr", "input", "link", "meta", "wbr", "source", "col")
        elif re.fullmatch("h[2-6]", tag) and found.get("id"):
            self.sections.append([found["id"] or "", "", ""])
            self.heading = True

    def handle_endtag(self, tag: str) -> None:
        if self.skip:
            self.skip -= tag not in ("img", "br", "hr", "input", "link", "meta", "wbr", "source", "col")
        elif re.fullmatch("h[2-6]", tag):
            self.heading = False
        if tag in ("p", "li", "dd", "dt", "h2", "h3", "h4"):
            self.sections[-1][2] += " "

    def handle_data(self, data: str) -> None:
        if not self.skip:
            self.sections[-1][1 if self.heading else 2] += data


def search_terms(
    known: set[str],  # pages and sections that the search knows
) -> dict[str, list[str]]:  # what people look for → where it is, the best first
    """The synonyms of search.yml, checked."""
    terms: dict[str, list[str]] = {}
    for entry in yaml.safe_load((ASSETS / "search.yml").read_text(encoding="utf-8")):
        if gone := sorted(set(entry["pages"]) - known):
            raise SiteError(f"search.yml names {', '.join(gone)}, which the site does not have")
        if twice := sorted(set(entry["terms"]) & set(terms)):
            raise SiteError(f"search.yml has two places for {', '.join(twice)}")
        terms |= dict.fromkeys(map(str, entry["terms"]), entry["pages"])
    return terms


def search_index(
    pages: list[Page],  # rendered
    package: dict[str, Module],  # the package as read
) -> str:  # a script
    """What the search looks through: pages, their sections, and every public name."""
    entries: list[list[str]] = []
    for page in pages:
        words = Words()
        words.feed(page.body)
        if page.source.startswith("reference/") and "command-line" not in page.source:
            continue  # the notebooks have these names
        for anchor, heading, text in words.sections:
            words_here = " ".join(f"{page.meta.get('description', '') if not anchor else ''} {text}".split())
            words_here = words_here.removeprefix("source ")
            if anchor or words_here:
                entries.append([page.target + (f"#{anchor}" if anchor else ""), page.title, heading.strip(), words_here.strip()])
    for module in package.values():
        for name in module.public:
            if module.definitions[name].kind == "constant":
                entries.append([f"reference/{module.name}.html#{name}", f"{module.name}", name, module.definitions[name].doc])
    written = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
    return f"window.siteSearch = {written(entries)};\nwindow.siteTerms = {written(search_terms({href for href, *_ in entries}))};\n"


def sources(
    folder: Path,  # nbs, or what nbdev makes of it
    *endings: str,  # such as .ipynb
) -> list[str]:  # paths in it, in order
    """Documents that become pages; names that begin with a dot or underscore do not count."""
    found = [path.relative_to(folder) for ending in endings for path in folder.glob(f"**/*{ending}")]
    return sorted(path.as_posix() for path in found if not any(part[0] in "._" for part in path.parts))


def process(
    root: Path,  # the repository
) -> Path:  # where the processed notebooks are
    """nbdev's part: links, reference, front matter."""
    nbs = Path(get_config().nbs_path)
    prepare(root)
    _build_modidx()
    sys.path.append(str(root / "tests"))  # nbdev runs the cells that import, and some import the test server
    proc = Path(proc_nbs(n_workers=min(4, os.cpu_count() or 1), force=True))
    if missing := sorted(set(sources(nbs, ".ipynb")) - set(sources(proc, ".ipynb"))):
        raise SiteError(f"nbdev has not processed {', '.join(missing)}")
    return proc


def prepare(
    root: Path,  # the repository
) -> None:
    """What Quarto and this need alike: settings, the sidebar, the page of all names."""
    refresh_quarto_yml()
    nbs = Path(get_config().nbs_path)
    write_reference(root)
    write_sidebar(nbs)


def copied(
    patterns: list[str],  # resources of the whole site
    pages: list[Page],  # all of them
    proc: Path,  # from where
    out: Path,  # where to
) -> None:
    """Copy the files that pages need: those named as resources, style sheets, and what they show."""
    wanted = set()
    for pattern in patterns:
        wanted |= {path.relative_to(proc) for path in proc.glob(pattern)}
    for page in pages:
        folder = Path(page.source).parent
        for pattern in page.meta.get("resources", []):
            wanted |= {path.relative_to(proc) for path in (proc / folder).glob(pattern)}
        for address in re.findall(r'\b(?:src|href)="([^":#?]+)"', page.body):
            path = Path(posixpath.normpath(posixpath.join(folder, html.unescape(unquote(address)))))
            if path.suffix not in (*SOURCES, ".html", "") and ".." not in path.parts and (proc / path).is_file():
                wanted.add(path)
    for path in wanted:
        if (proc / path).is_file():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(proc / path, out / path)


def anchors(
    root: Path,  # the repository
    package: dict[str, Module],  # the package as read
) -> tuple[dict[str, str], dict[str, str]]:  # name → page and anchor: of all names, of classes
    """Where names are documented: nbdev's index knows definitions, the reference lists the rest. A name with two places has none, nor has a
    plain word, which may be meant as one (`listed` is a column too), unless the package itself hands it on."""
    index: dict[str, Any] = {}
    own = handed_on(root)
    exec((root / get_config().lib_name / "_modidx.py").read_text(encoding="utf-8"), index)
    documented_at: dict[str, set[str]] = {}
    for symbols in index["d"]["syms"].values():
        for full, (place, _) in symbols.items():
            if "." in place.partition("#")[2]:
                continue  # a method is not meant by its name alone
            documented_at.setdefault(full.rpartition(".")[2], set()).add(place)
    listed_only: dict[str, set[str]] = {}
    for module in package.values():
        for name in module.public:
            if name not in documented_at and len(name) > 1:
                listed_only.setdefault(name, set()).add(f"reference/{module.name}.html#{name}")
    every = {name: min(places) for name, places in (documented_at | listed_only).items() if len(places) == 1 and name[0] != "_" and (name in own or not re.fullmatch("[a-z]+", name))}
    classes = {one.name for module in package.values() for one in module.definitions.values() if one.kind == "class"}
    return every, {name: place for name, place in every.items() if name in classes}


@dataclass
class Navigation:
    """What leads from page to page."""
    sidebar: list[dict[str, Any]]
    navbar: list[dict[str, Any]]

    @cached_property
    def order(self) -> list[str]:
        """Addresses in reading order."""
        return list(dict.fromkeys(one["href"] for one in inside(self.sidebar)))

    @cached_property
    def titles(self) -> dict[str, dict[str, Any]]:
        """Address → entry."""
        return {one["href"]: one for one in inside(self.sidebar)}

    def beside(self, page: Page, step: int) -> dict[str, Any] | None:
        """The entry before or after a page's own."""
        if page.target not in self.titles:
            return None
        number = self.order.index(page.target) + step
        return self.titles[self.order[number]] if 0 <= number < len(self.order) else None


def write(
    page: Page,  # rendered
    body: str,  # its finished body
    navigation: Navigation,  # of the site
    template: jinja2.Template,  # of a page
    website: dict[str, Any],  # settings
    styles: list[str],  # the project's own style sheets
    out: Path,  # the site
) -> None:
    """Put a page and its pictures into the site."""
    config = get_config()
    text = template.render(
        page=page, body=body, website=website, sidebar=navigation.sidebar, navbar=navigation.navbar, styles=styles,
        previous=navigation.beside(page, -1), following=navigation.beside(page, 1),
        toc=page.toc if page.meta.get("toc") is not False else "",
        inline=inline, plain=str(page.meta.get("description") or website["description"]).replace("`", ""),
        opened=lambda one: page.target in {each["href"] for each in inside([one])}, to=partial(relative, page=page),
        edit=f"{blob(website)}/nbs/{page.source}" if not page.source.startswith("reference") else "",
        version=config.version, copyright=config.copyright, home=page.target == "index.html",
    )
    (out / page.target).parent.mkdir(parents=True, exist_ok=True)
    (out / page.target).write_text(text, encoding="utf-8")
    for path, content in page.files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)


def blob(
    website: dict[str, Any],  # settings
) -> str:
    """The address under which the repository shows its files."""
    return f"{website['repo-url']}/blob/{website.get('repo-branch', 'main')}"


def build(
    root: Path,  # the repository
    out: Path,  # the site; what was there is replaced
) -> int:  # number of pages
    """Make the whole site."""
    proc = process(root)
    quarto, package = settings(proc), read_package(root)
    website = quarto["website"]
    names, types = anchors(root, package)
    read = [read_notebook(one, proc, package, types) for one in sources(proc, ".ipynb")]
    read += [read_text(one, proc) for one in sources(proc, ".qmd")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pages = {page.source: page for page in pool.map(rendered, read)}
    targets = [page.target for page in read]
    if twice := sorted({target for target in targets if targets.count(target) > 1}):
        raise SiteError(f"two pages have one address: {', '.join(twice)}")
    addresses = {page.source: page.target for page in read}
    links = Links(addresses, blob(website), website["site-url"].rstrip("/"), lambda path: (root / path).exists())
    sidebar, navbar = website.get("sidebar", {}).get("contents", []), website.get("navbar", {}).get("left", [])
    navigation = Navigation(*([found for item in items if (found := entry(item, pages))] for items in (sidebar, navbar)))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template("page.html")
    styles = quarto.get("format", {}).get("html", {}).get("css", [])
    styles = [styles] if isinstance(styles, str) else styles
    made = out.with_name(f"{out.name}.partial")
    shutil.rmtree(made, ignore_errors=True)
    for page in read:
        write(page, finished(page, links, names), navigation, template, website, styles, made)
    copied([*quarto.get("project", {}).get("resources", []), *styles], read, proc, made)
    (made / "site").mkdir()
    for name in ("site.css", "site.js", "icon.svg"):
        shutil.copy2(ASSETS / name, made / "site" / name)
    (made / "site" / "search-index.js").write_text(search_index(read, package), encoding="utf-8")
    (made / ".nojekyll").touch()
    if "try.qmd" in pages:
        subprocess.run([sys.executable, str(root / "tools" / "try_model.py"), str(made / "try")], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(out, ignore_errors=True)
    made.rename(out)
    return len(pages)


def main() -> int:
    """The command; 0 when the site is there."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a page must not depend on what a network says
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true", help="only what Quarto needs too")
    options = parser.parse_args()
    config = get_config()
    root, out = Path(config.config_path), Path(config.doc_path)
    try:
        if options.prepare:
            prepare(root)
            return 0
        begun = time.perf_counter()
        pages = build(root, out)
    except SiteError as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    print(f"site: {pages} pages in {time.perf_counter() - begun:.0f} s; open {(out / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
