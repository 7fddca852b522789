"""What a reader of the tutorials sees: short beginnings, lines that fit, and no answer that is wrong or a tie without a word."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "nbs" / "tutorials").glob("*.ipynb"))
COLUMNS = 88  # of code that the site shows without scrolling


def cells(path: Path) -> list[dict[str, Any]]:
    """Those of a notebook, with their source in one piece."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def is_hidden(cell: dict[str, Any]) -> bool:
    """Whether no reader sees the code of a cell."""
    return bool(re.search(r"^#\|\s*(hide|echo: false)", cell["source"], re.M))


def imports(source: str) -> int:
    """The import statements of a cell."""
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(source)))


def texts(cell: dict[str, Any]) -> Iterator[str]:
    """What a cell shows, as text and as HTML."""
    for shown in cell.get("outputs", []):
        for kind in ("text/plain", "text/html"):
            yield "".join(shown.get("data", {}).get(kind, ""))


def is_open(printed: str) -> bool:
    """Whether a printed prediction has hardly more for the first group than for the next, and is not marked as doubtful."""
    match = re.match(r"Prediction\(probabilities=(\{.*?\})", printed)
    if not match:
        return False
    best, second = sorted(ast.literal_eval(match[1]).values(), reverse=True)[:2]
    return best - second < 0.1 and "abstained=True" not in printed


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_easy_to_read(path: Path) -> None:
    every = cells(path)
    first = next(cell for cell in every if cell["cell_type"] == "code" and not is_hidden(cell))
    assert imports(first["source"]) <= 2, "the first cell imports what the first example needs"
    for number, cell in enumerate(every):
        code = [cell["source"]] if cell["cell_type"] == "code" else re.findall(r"^```.*?\n(.*?)^```", cell["source"], re.M | re.S)
        long = [line for block in code for line in block.splitlines() if len(line) > COLUMNS]
        assert not long or is_hidden(cell), long
        after = " ".join(one["source"] for one in every[number : number + 3] if one["cell_type"] == "markdown")
        for shown in texts(cell):
            assert not is_open(shown), f"a tie, as if it were an answer: {shown[:300]}"
            assert not re.search(r"<td>NaN</td>", shown) or ("undefined" in shown and "NaN" in after), f"NaN without a word after {cell['source'][:80]}"


def test_ties_are_seen() -> None:
    tie = "Prediction(probabilities={'cs': 0.358302, 'eess': 0.358304, 'math': 0.1}, abstained=False, model='')"
    assert is_open(tie) and not is_open(tie.replace("=False", "=True")) and not is_open(tie.replace("0.358302", "0.1"))
    assert imports("import os\nfrom a import b, c\nx = 1") == 2
