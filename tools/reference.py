"""What the package's files say of its names: parameters, types, defaults, comments, docstrings. Nothing is imported.

    python tools/reference.py    writes nbs/reference.qmd, the page that lists every public name
"""

import argparse
import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "arxiv_nbclf"
SHORT = 90  # characters of a constant's value that are shown


@dataclass(frozen=True)
class Parameter:
    """A parameter, a field, or what is returned."""
    name: str
    type: str  # as written; empty where none is
    default: str  # as written; empty where there is none
    comment: str


@dataclass(frozen=True)
class Definition:
    """A function, class or constant of a module."""
    name: str  # with its class: `LinearClassifier.fit`
    module: str
    kind: str  # "function", "property", "class" or "constant"
    line: int
    doc: str
    parameters: tuple[Parameter, ...] = ()
    returns: Parameter | None = None
    bases: tuple[str, ...] = ()
    value: str = ""  # of a constant, as written
    inside: bool = False  # a method that stands in its class, not patched in


Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One exported file, read."""
    name: str
    source: str
    definitions: dict[str, Definition] = field(default_factory=dict)  # by qualified name
    imported: dict[str, str] = field(default_factory=dict)  # name → the module of this package that it comes from

    def __post_init__(self) -> None:
        for node in ast.parse(self.source).body:
            self.add(node)

    @cached_property
    def lines(self) -> list[bytes]:
        """The file's lines; positions in them count bytes."""
        return self.source.encode().split(b"\n")

    @cached_property
    def comments(self) -> dict[int, str]:
        """Line → the comment that ends it."""
        found = tokenize.generate_tokens(io.StringIO(self.source).readline)
        return {token.start[0]: token.string.lstrip("# ").rstrip() for token in found if token.type == tokenize.COMMENT}

    def text(self, node: ast.AST | None) -> str:
        """A node as it is written, on one line."""
        if node is None:
            return ""
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        lines = self.lines[first - 1 : last]
        lines[-1] = lines[-1][: getattr(node, "end_col_offset", 0)]
        lines[0] = lines[0][getattr(node, "col_offset", 0) :]
        return " ".join(b" ".join(lines).decode().split())

    def comment(self, node: ast.AST) -> str:
        """The comment behind a node or, where none is, the one on the lines above it."""
        if behind := self.comments.get(getattr(node, "end_lineno", 0), ""):
            return behind
        line, found = getattr(node, "lineno", 0) - 1, []
        while self.lines[line - 1].lstrip().startswith(b"#") and not self.lines[line - 1].startswith(b"# %%"):
            found.append(self.comments[line])
            line -= 1
        return " ".join(reversed(found))

    @cached_property
    def public(self) -> list[str]:
        """The names of `__all__`, in the order of the file."""
        named: set[str] = set()
        for node in ast.parse(self.source).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                named = set(ast.literal_eval(node.value))
        return sorted(named, key=lambda name: self.definitions[name].line if name in self.definitions else 0)

    def add(self, node: ast.stmt) -> None:
        """Take in one statement of the file."""
        if isinstance(node, Function):
            if patched := self.patched(node):
                self.define(node, f"{patched}.{node.name}")
            else:
                self.define(node, node.name)
        elif isinstance(node, ast.ClassDef):
            self.add_class(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            target, values = node.targets[0] if isinstance(node, ast.Assign) else node.target, [node.value]
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            if isinstance(target, ast.Tuple):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] * len(targets)
            for one, value in zip(targets, values, strict=True):
                if isinstance(one, ast.Name):
                    shown, comment = self.text(value), self.comment(node)
                    self.definitions[one.id] = Definition(one.id, self.name, "constant", node.lineno, comment, value=shown)
        elif isinstance(node, ast.ImportFrom) and (home := self.home(node)):
            self.imported |= {alias.name: home for alias in node.names}

    def home(self, node: ast.ImportFrom) -> str:
        """The module of this package that a statement imports from, without the package's name; empty for others."""
        if not node.level:
            return (node.module or "").removeprefix(f"{PACKAGE}.") if (node.module or "").startswith(f"{PACKAGE}.") else ""
        above = self.name.split(".")[: -node.level]
        return ".".join([*above, *filter(None, [node.module])])

    def patched(self, node: Function) -> str:
        """The class that a function is patched into."""
        if not any(ast.unparse(part).partition("(")[0].endswith("patch") for part in node.decorator_list) or not node.args.args:
            return ""
        return self.text(node.args.args[0].annotation)

    def option(self, parameter: Parameter) -> Parameter:
        """A parameter whose type is an option of the command line, with the option's own type and help text."""
        named = self.definitions.get(parameter.type)
        written = named.value if named else parameter.type
        if not written.startswith("Annotated["):
            return parameter
        annotated = ast.parse(written, mode="eval").body
        assert isinstance(annotated, ast.Subscript) and isinstance(annotated.slice, ast.Tuple)
        plain, option = annotated.slice.elts[:2]
        assert isinstance(option, ast.Call)
        texts = [word.value for word in option.keywords if word.arg == "help"] or option.args[-1:]  # _choice has it last
        if not texts:
            return Parameter(parameter.name, ast.unparse(plain), parameter.default, parameter.comment)
        text = texts[0]
        if isinstance(text, ast.Name):
            text = ast.parse(self.definitions[text.id].value, mode="eval").body
        return Parameter(parameter.name, ast.unparse(plain), parameter.default, ast.literal_eval(text))

    def parameters(self, node: Function) -> Iterator[Parameter]:
        """Those of a function, without self."""
        return map(self.option, self._parameters(node))

    def _parameters(self, node: Function) -> Iterator[Parameter]:
        """As they are written."""
        spec = node.args
        plain = [*spec.posonlyargs, *spec.args]
        defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(spec.defaults)), *spec.defaults]
        for number, (arg, default) in enumerate(zip(plain, defaults, strict=True)):
            if not (number == 0 and arg.arg in ("self", "cls")):
                yield Parameter(arg.arg, self.text(arg.annotation), self.text(default), self.comment(default or arg))
        if spec.vararg:
            yield Parameter(f"*{spec.vararg.arg}", self.text(spec.vararg.annotation), "", self.comment(spec.vararg))
        for arg, keyword_default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            yield Parameter(arg.arg, self.text(arg.annotation), self.text(keyword_default), self.comment(keyword_default or arg))
        if spec.kwarg:
            yield Parameter(f"**{spec.kwarg.arg}", self.text(spec.kwarg.annotation), "", self.comment(spec.kwarg))

    def define(self, node: Function, name: str, inside: bool = False) -> None:
        """Take in a function or method."""
        returns = Parameter("", self.text(node.returns), "", self.comment(node.returns) if node.returns else "")
        parameters = tuple(self.parameters(node))
        if parameters and node.returns and node.returns.end_lineno == node.lineno and returns.comment == parameters[-1].comment:
            parameters = tuple(Parameter(p.name, p.type, p.default, "") for p in parameters)  # one line: its comment is the result's
        doc = ast.get_docstring(node) or ""
        decorators = {ast.unparse(part).rpartition(".")[2] for part in node.decorator_list}
        kind = "property" if decorators & {"property", "cached_property"} else "function"
        self.definitions[name] = Definition(name, self.name, kind, node.lineno, doc, parameters, returns, inside=inside)

    def add_class(self, node: ast.ClassDef) -> None:
        """Take in a class: its fields, or the parameters of its `__init__`, and its methods."""
        fields = [
            Parameter(part.target.id, self.text(part.annotation), self.text(part.value), self.comment(part))
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and "ClassVar" not in self.text(part.annotation)
        ]
        methods = [part for part in node.body if isinstance(part, Function)]
        for method in methods:
            self.define(method, f"{node.name}.{method.name}", inside=True)
        made = self.definitions.get(f"{node.name}.__init__")
        self.definitions[node.name] = Definition(
            node.name, self.name, "class", node.lineno, ast.get_docstring(node) or "",
            made.parameters if made else tuple(part for part in fields if not part.name.startswith("_")),
            bases=tuple(self.text(base) for base in node.bases),
        )


def read_package(
    root: Path,  # the repository
) -> dict[str, Module]:  # by module name, without the package
    """Read every module of the package."""
    paths = sorted((root / PACKAGE).glob("**/*.py"))
    names = {path.relative_to(root / PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in paths}
    modules = {name: Module(name, path.read_text(encoding="utf-8")) for name, path in names.items() if not path.name.startswith("_")}
    for module in modules.values():
        for name in set(module.public) - set(module.definitions):  # handed on from another module
            module.definitions[name] = modules[module.imported[name]].definitions[name]
    return modules


def handed_on(
    root: Path,  # the repository
) -> dict[str, str]:  # name → module
    """The names that the package itself hands on, and where they live."""
    for node in ast.parse((root / PACKAGE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES":
            homes: dict[str, tuple[str, ...]] = ast.literal_eval(node.value)
            return {name: module for module, names in sorted(homes.items()) for name in names}
    return {}


@dataclass(frozen=True)
class Notebook:
    """A notebook that exports a module."""
    path: str  # seen from nbs
    title: str
    description: str
    shown: frozenset[str]  # the names that its page documents


def exporting(
    root: Path,  # the repository
) -> dict[str, Notebook]:  # by module
    """The notebooks behind the modules, in their order."""
    found = {}
    for path in sorted((root / "nbs").glob("**/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        module = next(filter(None, (re.search(r"^#\|\s*default_exp\s+(\S+)", source, re.M) for source in code)), None)
        if not module:
            continue
        opening = next(("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"), "")
        title, description = (re.search(rf"^{mark}\s+(.+)$", opening, re.M) for mark in ("#", ">"))
        shown = set()
        for source in code:
            flags = set(re.findall(r"^#\|\s*([\w-]+)", source, re.M))
            if flags & {"export", "exports", "exec_doc"} and "hide" not in flags:
                shown |= set(re.findall(r"^(?:async )?(?:def|class)\s+(\w+)", source, re.M))
            shown |= set(re.findall(r"^show_doc\((\w+)", source, re.M))
        heading = title[1] if title else module[1], description[1] if description else ""
        found[module[1]] = Notebook(path.relative_to(root / "nbs").as_posix(), *heading, frozenset(shown))
    return found


def in_table(
    text: str,  # anything
) -> str:  # on one line
    """Text that may stand in a cell of a Markdown table."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([\\*_<>\[\]$@^~#])", r"\\\1", part) for part in parts[::2]]  # what is no code
    return "".join(parts).replace("|", "\\|")


def code(
    text: str,  # without backticks, or with
) -> str:
    """Code in Markdown."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def row(
    definition: Definition,  # what is listed
    notebook: Notebook,  # where it is documented
    module: str,  # in whose table
) -> str:
    """One line of a module's table."""
    name, anchor = definition.name, f"{module}.{definition.name}"
    if definition.kind == "constant":
        value = definition.value if len(definition.value) <= SHORT else definition.value[: SHORT - 2] + " …"
        meaning = in_table(f"{definition.doc}{': ' if definition.doc else ''}{code(value)}")
    else:
        meaning = in_table(definition.doc.split("\n\n")[0])
    linked = f"[`{name}`]({notebook.path}#{name.lower()})" if name in notebook.shown else f"`{name}`"
    return f"| [{linked}]{{#{anchor}}} | {definition.kind} | {meaning} |"


def reference_page(
    root: Path,  # the repository
) -> str:  # Markdown for Quarto
    """The page that lists every public name."""
    modules, notebooks, needed = read_package(root), exporting(root), handed_on(root)
    head = ["", "| name | kind | what it is |", "|:-------------|:----|:------------------------------|"]
    lines = [
        "---", "title: Reference", f"description: Every public name of {PACKAGE}, and where it is documented", "---", "",
        f"<!-- Made by tools/reference.py from {PACKAGE}/*.py: do not edit. -->", "",
        "Each name leads to its parameters, types, units, errors and examples, in the notebook that defines it.", "",
        "## The names that users need {#needed}", "", f"Imported from `{PACKAGE}` itself.", *head,
    ]
    for name, module in sorted(needed.items()):
        lines.append(row(modules[module].definitions[name], notebooks[module], PACKAGE))
    for module, notebook in notebooks.items():
        if module in modules and modules[module].public:
            intro = f"[{in_table(notebook.title)}]({notebook.path}): {in_table(notebook.description)}"
            lines += ["", f"## {module} {{#{module}}}", "", intro, *head]
            listed = [modules[module].definitions[name] for name in modules[module].public]
            lines += [row(one, notebooks.get(one.module, notebook), module) for one in listed]
    return "\n".join([*lines, ""])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    root = parser.parse_args().root
    (root / "nbs" / "reference.qmd").write_text(reference_page(root), encoding="utf-8")


if __name__ == "__main__":
    main()
