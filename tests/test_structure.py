"""The structure of the package: places in order, imports that run one way, one name for one thing.

CONTRIBUTING.md, "Layout", explains the rules; a failure names the files and what to do.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NBS, PACKAGE = ROOT / "nbs", ROOT / "arxiv_nbclf"


def number(part: str) -> int:
    """The number that a file or folder begins with."""
    return int(part.partition("_")[0])


def notebooks() -> dict[str, tuple[int, ...]]:
    """Module → its place in the order: the number of its folder, then of its notebook."""
    found = {}
    for path in sorted(NBS.glob("[0-9]*/**/*.ipynb")) + sorted(NBS.glob("[0-9]*.ipynb")):
        sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        modules = re.findall(r"^#\| default_exp (\S+)$", "\n".join(sources), re.M)
        assert len(modules) == 1, f"{path.relative_to(ROOT)} needs one line `#| default_exp place.name`, it has {len(modules)}"
        (module,) = modules
        found[module] = tuple(number(part) for part in path.relative_to(NBS).parts)
    return found


ORDER = notebooks()


def imported(tree: ast.AST, module: str) -> Iterator[str]:
    """The modules of the package that a file imports from, wherever the import stands."""
    names = set(ORDER)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name.removeprefix("arxiv_nbclf.") for alias in node.names if alias.name.startswith("arxiv_nbclf.")]
        elif isinstance(node, ast.ImportFrom):
            base = ["arxiv_nbclf", *module.split(".")][: -node.level] if node.level else []
            full = ".".join([*base, *filter(None, [node.module])])
            if full.partition(".")[0] != "arxiv_nbclf":
                continue
            found = [f"{full}.{alias.name}".removeprefix("arxiv_nbclf.") for alias in node.names]
        else:
            continue
        for name in found:
            yield next((part for part in (name, name.rpartition(".")[0]) if part in names), name)


def backward(order: dict[str, tuple[int, ...]], sources: dict[str, str]) -> list[str]:
    """Imports that run from a lower number to a higher one, or round in a circle."""
    arrows = [(module, used) for module, source in sources.items() for used in imported(ast.parse(source), module)]
    return sorted({f"{module} imports {used}" for module, used in arrows if used in order and order[used] >= order[module] and used != module})


def sources() -> dict[str, str]:
    """Module → its exported code."""
    return {module: (PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8") for module in ORDER}


def defined_twice(sources: dict[str, str]) -> dict[str, list[str]]:
    """Public names that more than one module defines; what a module only hands on does not count."""
    homes = defaultdict(list)
    for module, source in sources.items():
        body = ast.parse(source).body
        handed_on = {alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
        for node in body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                for name in set(ast.literal_eval(node.value)) - handed_on:
                    homes[name].append(module)
    return {name: modules for name, modules in homes.items() if len(modules) > 1}


def misnumbered(folders: dict[str, list[str]]) -> list[str]:
    """Folders whose entries do not count 00, 01, 02 … without a gap."""
    return [folder for folder, names in folders.items() if sorted(map(number, names)) != list(range(len(names)))]


def test_every_module_has_a_notebook() -> None:
    modules = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for path in PACKAGE.glob("**/*.py")}
    written = {name for name in modules if not name.rpartition(".")[2].startswith("_")}
    assert not written - set(ORDER), "modules without a notebook: delete them, or write the notebook"
    assert not set(ORDER) - written, "notebooks that are not exported: run nbdev_export"


def test_modules_are_named_like_their_places() -> None:
    for path in sorted(NBS.glob("[0-9]*")):
        place = path.stem.partition("_")[2]
        modules = [module for module, order in ORDER.items() if order[0] == number(path.name)]
        assert modules, f"no notebook in {path.name}"
        wrong = [module for module in modules if module != place and not module.startswith(f"{place}.")]
        assert not wrong, f"notebooks of {path.name} export {', '.join(wrong)}: let default_exp begin with {place}"


def test_imports_run_one_way() -> None:
    wrong = backward(ORDER, sources())
    assert not wrong, "imports from a later notebook; move the definition to the earlier one: " + "; ".join(wrong)


def test_a_backward_import_is_found() -> None:
    order = {"core.basics": (0, 0), "data.papers": (1, 4), "data.tables": (1, 1)}
    assert backward(order, {"core.basics": "from ..data.papers import read_papers"}) == ["core.basics imports data.papers"]
    assert backward(order, {"data.tables": "def f():\n    from arxiv_nbclf.data import papers"}) == ["data.tables imports data.papers"]
    assert backward(order, {"data.papers": "from .tables import read_table\nfrom ..core.basics import log"}) == []


def test_public_names_have_one_home() -> None:
    twice = defined_twice(sources())
    assert not twice, f"public names that two modules define; rename one or begin it with an underscore: {twice}"
    assert defined_twice({"a": "__all__ = ['x']", "b": "__all__ = ['x', 'y']"}) == {"x": ["a", "b"]}


def test_numbers_count_without_a_gap() -> None:
    folders = {"nbs": [path.name for path in NBS.glob("[0-9]*")]}
    folders |= {path.name: [one.name for one in path.glob("*.ipynb")] for path in NBS.glob("[0-9]*") if path.is_dir()}
    wrong = misnumbered(folders)
    assert not wrong, f"numbers do not count 00, 01, 02 … in {', '.join(wrong)}: rename with git mv"
    assert misnumbered({"a": ["00_x.ipynb", "02_y.ipynb"], "b": ["00_x.ipynb", "00_y.ipynb"], "c": ["00_x.ipynb"]}) == ["a", "b"]


def test_the_number_of_notebooks_stays_small() -> None:
    counted = [path for path in NBS.glob("**/*.ipynb") if "tutorials" not in path.parts and ".ipynb_checkpoints" not in path.parts]
    assert len(counted) <= 55, f"{len(counted)} notebooks besides the tutorials: add to one rather than a new one"
    made = ("sidebar.yml", "nbdev.yml", "reference.qmd", "reference")  # by tools/make_site.py
    entries = sorted(path.name for path in NBS.iterdir() if path.name[0] not in "._" and path.name not in made)
    assert len(entries) <= 20, f"{len(entries)} entries in nbs/: {', '.join(entries)}"


@pytest.mark.parametrize("folder", sorted(path.name for path in NBS.glob("[0-9]*") if path.is_dir()))
def test_each_place_has_a_page_that_lists_its_notebooks(folder: str) -> None:
    listed = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| (.+?) \|$", (NBS / folder / "index.qmd").read_text(encoding="utf-8"), re.M)
    found = []
    for path in sorted((NBS / folder).glob("*.ipynb")):
        opening = re.match(r"# (.+)\n\n> (.+)", nbformat.read(path, as_version=4).cells[0].source)
        assert opening, f"{folder}/{path.name} does not begin with `# Title`, an empty line and `> subtitle`"
        found.append((opening[1], path.name, opening[2]))
    rows = "\n".join("| [{}]({}) | {} |".format(*row) for row in found)
    assert listed == found, f"the table of nbs/{folder}/index.qmd is not that of its notebooks, which is:\n{rows}"
