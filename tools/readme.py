"""Make README.md from nbs/index.ipynb; with --check, say whether it is up to date and change nothing."""

import argparse
import posixpath
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
DIRECTIVE = re.compile(r"^\s*#\s*\|\s*(?P<name>[\w-]+)\s*:?\s*(?P<value>.*?)\s*$")
LOCAL_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|/|#)[^)]+")


def directives(
    source: str,  # one cell's source
) -> dict[str, str]:  # name → value of its `#| name: value` lines
    """The nbdev and Quarto directives of a cell."""
    found = (DIRECTIVE.match(line) for line in source.splitlines())
    return {match["name"]: match["value"] for match in found if match}


def reader_cell(
    cell: NotebookNode,  # a cell of the index
    folder: str,  # the notebook's folder as seen from the README
) -> NotebookNode:  # the same without directive lines; links lead from the root
    """A cell as a reader of the README should see it."""
    def from_root(text: str) -> str:
        return LOCAL_LINK.sub(lambda link: posixpath.normpath(posixpath.join(folder, link[0])), text)

    if cell.cell_type == "markdown":
        cell.source = from_root(cell.source)
        return cell
    flags = directives(cell.source)
    cell.source = "\n".join(line for line in cell.source.splitlines() if not DIRECTIVE.match(line)).strip("\n")
    cell.metadata["transient"] = {"remove_source": flags.get("echo") == "false"}
    cell.outputs = [] if flags.get("output") == "false" else [o for o in cell.outputs if o.get("name") != "stderr"]
    for shown in cell.outputs:
        if "text/markdown" in shown.get("data", {}):
            shown["data"]["text/markdown"] = from_root(shown["data"]["text/markdown"])
    return cell


def readme(
    notebook: Path,  # index.ipynb
    root: Path,  # where README.md stands
) -> str:  # the whole README
    """The index as Markdown: hidden cells left out, outputs as plain text."""
    index = nbformat.read(notebook, as_version=4)
    index.metadata["language_info"] = {"name": "python"}
    folder = notebook.parent.relative_to(root).as_posix()
    shown = [c for c in index.cells if c.cell_type == "markdown" or (c.cell_type == "code" and "hide" not in directives(c.source))]
    index.cells = [reader_cell(cell, folder) for cell in shown]
    settings = Config({"NbConvertBase": {"display_data_priority": ["text/markdown", "text/plain"]}})
    body, _ = MarkdownExporter(config=settings).from_notebook_node(index)
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in body.splitlines())).strip()
    made_from = notebook.relative_to(root).as_posix()
    return f"<!-- Made from {made_from} by `make readme`: edit that notebook, not this file. -->\n\n{body}\n"


def main() -> int:
    """Write the README or check it; 0 when all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if README.md is not what the notebook says")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    options = parser.parse_args()
    notebook, target = options.root / "nbs" / "index.ipynb", options.root / "README.md"
    if not notebook.exists():
        print(f"readme: {notebook} is not there", file=sys.stderr)
        return 1
    wanted = readme(notebook, options.root)
    if not options.check:
        target.write_text(wanted, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != wanted:
        print("readme: README.md is not what nbs/index.ipynb says; run: make readme", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
