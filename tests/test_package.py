"""What no notebook can tell about the package as a whole: that it is light to import, and that one place says each thing."""

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

import arxiv_nbclf
from arxiv_nbclf.core.basics import with_full_docs

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "nbs").glob("**/*.ipynb"))
HEAVY = ("torch", "transformers", "matplotlib", "sklearn", "pandas")


def test_import_is_light() -> None:
    code = f"import sys, arxiv_nbclf; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_version_is_that_of_settings() -> None:
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    assert arxiv_nbclf.__version__ == settings["DEFAULT"]["version"]


def test_quarto_settings_are_one_file() -> None:
    link = ROOT / "nbs" / "_quarto.yml"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "_quarto.yml"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_stand_in_cells_of_their_own(path: Path) -> None:
    """While a site is built nbdev runs every cell with an import, and only few of the others: a mixed cell would fail there."""
    mixed = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "#| export" in cell.source or "nbdev_export()" in cell.source:
            continue
        statements = ast.parse(cell.source).body
        imports = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
        if imports and len(imports) < len(statements):
            mixed.append(cell.source.splitlines()[0])
    assert not mixed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_name_no_machine(path: Path) -> None:
    """Stored outputs tell of papers and models, not of somebody's folders, and none of them is an error."""
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    told = json.dumps([output for output in outputs if "image/png" not in output.get("data", {})])
    assert not re.search(r"(?<![\w.])/(tmp|home|Users|root|work|var)/", told)


def test_version_is_that_of_the_citation() -> None:
    assert f"\nversion: {arxiv_nbclf.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def undocumented(function: Callable[..., Any]) -> list[str]:
    """What `help` of a function lacks: parameters, the description of one of them, what is returned, an example."""
    doc = function.__doc__ or ""
    lines = doc.splitlines() + [""] * 3
    described = {lines[at].partition(" : ")[0].strip("*"): lines[at + 1].strip() for at in range(len(lines) - 1) if lines[at + 1].startswith("    ")}
    parameters, returned = inspect.signature(function).parameters, inspect.signature(function).return_annotation
    gaps = ["Parameters"] * bool(parameters and "Parameters" not in lines)
    gaps += [name for name in parameters if not described.get(name)]
    gives = returned not in (None, "None", inspect.Signature.empty)
    gaps += ["Returns"] * (gives and ("Returns" not in lines or not lines[lines.index("Returns") + 3].startswith("    ")))
    return gaps + ["Example"] * ("Example" not in doc or ">>> " not in doc)


def test_help_shows_parameters_and_an_example() -> None:
    functions = {name: value for name in arxiv_nbclf.__all__ if inspect.isfunction(value := getattr(arxiv_nbclf, name))}
    assert len(functions) > 10
    missing = [f"{name}: {', '.join(gaps)}" for name, value in functions.items() if (gaps := undocumented(value))]
    assert not missing, "help lacks\n" + "\n".join(missing)


def test_missing_help_is_found() -> None:
    def area(
        width: float,  # in cm
        height: float = 2,
    ) -> float:  # in square cm
        "The area of a rectangle."
        return width * height

    assert undocumented(area) == ["Parameters", "width", "height", "Returns", "Example"]
    assert undocumented(with_full_docs(area)) == ["height", "Example"]
