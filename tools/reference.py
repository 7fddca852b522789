"""What the package's files say of its names: parameters, types, defaults, comments, docstrings.

    python tools/reference.py    writes nbs/reference.qmd, which leads to every public name, and nbs/reference, a page for each module
"""

import argparse
import ast
import html
import io
import json
import re
import shutil
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from textwrap import shorten

ROOT = Path(__file__).parents[1]
PACKAGE = "arxiv_nbclf"
FOLDER, COMMANDS = "reference", "command-line"  # of the modules' pages; the page of the command line
WIDTH, LONG = 84, 600  # columns of help texts; characters of a constant's value


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


def fenced(
    text: str,  # anything
    attributes: str,  # such as .python
) -> str:
    """A code block that holds its text whatever is in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence} {{{attributes}}}\n{text}\n{fence}\n"


def raw(
    text: str,  # HTML
) -> str:
    """HTML that pandoc lets through."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"\n{fence}{{=html}}\n{text}\n{fence}\n"


def signature(
    definition: Definition,  # a function, property or class
) -> str:
    """How it is called, on one line where that fits."""
    def written(one: Parameter) -> str:
        equals = " = " if one.type else "="
        return one.name + (f": {one.type}" if one.type else "") + (equals + one.default if one.default else "")

    parts = [written(one) for one in definition.parameters]
    name = definition.name
    back = f" -> {definition.returns.type}" if definition.returns and definition.returns.type else ""
    line = name + ("" if definition.kind == "property" else f"({', '.join(parts)})") + back
    return line if len(line) <= 76 else "\n".join([f"{name}(", *[f"    {part}," for part in parts], f"){back}"])


def inline(
    text: str,  # a comment
) -> str:  # HTML
    """A comment's backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def listed(
    rows: list[Parameter],  # parameters, or what is returned
    heading: str,  # such as Parameters
    types: dict[str, str],  # name of a class → its page and anchor
) -> str:  # HTML
    """Parameters as a list of terms and their meaning."""
    def linked(word: re.Match[str]) -> str:
        return f'<a href="/{types[word[0]]}">{word[0]}</a>' if word[0] in types else word[0]

    def typed(text: str) -> str:
        return re.sub(r"[A-Za-z_]\w*", linked, html.escape(text))

    entries = []
    for one in rows:
        name = f'<code class="name">{html.escape(one.name)}</code>' if one.name else ""
        kind = f'<code class="type">{typed(one.type)}</code>' if one.type else ""
        default = f'<span class="default">default <code>{html.escape(one.default)}</code></span>' if one.default else ""
        entries.append(f"<dt>{' '.join(filter(None, (name, kind, default)))}</dt><dd>{inline(one.comment)}</dd>")
    return f'<p class="doc-label">{heading}</p><dl class="params">{"".join(entries)}</dl>' if entries else ""


def method(
    definition: Definition,  # of a method in its class
    types: dict[str, str],  # name of a class → its page and anchor
) -> str:
    """A method as its class's page shows it."""
    described = any(one.comment for one in definition.parameters)
    lists = listed(list(definition.parameters), "Parameters", types) if described else ""
    if definition.returns and definition.returns.comment:
        lists += listed([definition.returns], "Returns", types)
    head, foot = f'<div class="method" id="{definition.name.lower()}">', "</div>"
    return raw(head) + fenced(signature(definition), ".python .signature") + f"\n\n{definition.doc}\n\n" + raw(lists + foot)


def with_example(
    doc: str,  # a docstring
) -> str:  # Markdown
    """A docstring whose example, if it has one, is a block of code."""
    text, *example = re.split(r"\n+Example\n-+\n", doc)
    return "\n\n".join([text, *(fenced(one.strip(), ".pycon") for one in example)])


def described(
    definition: Definition,  # a function or class
    module: Module,  # that defines it, with its methods
    types: dict[str, str],  # name of a class → its page and anchor
    prose: str = "",  # instead of the docstring
) -> list[str]:  # pieces of Markdown
    """How a definition is called, what it does, and what its parameters mean."""
    called = fenced(signature(definition), ".python .signature") if definition.parameters or definition.kind != "class" else ""
    parts = [called, prose or with_example(definition.doc)]
    if definition.bases:
        parts.append(raw(listed([Parameter("", base, "", "") for base in definition.bases], "Based on", types)))
    if any(one.comment or one.type for one in definition.parameters):
        own = f"{definition.name}.__init__" in module.definitions
        heading = "Fields" if definition.kind == "class" and not own else "Parameters"
        parts.append(raw(listed(list(definition.parameters), heading, types)))
    if definition.returns and definition.returns.type not in ("", "None"):
        parts.append(raw(listed([definition.returns], "Returns", types)))
    methods = [
        one for name, one in module.definitions.items()
        if one.inside and name.startswith(f"{definition.name}.") and not one.name.rpartition(".")[2].startswith("_")
    ]
    return parts + [method(one, types) for one in methods]


def index_page(
    modules: dict[str, Module],  # the package as read
    notebooks: dict[str, Notebook],  # by module
    needed: dict[str, str],  # the names of the package itself → module
    verbs: dict[str, str],  # of the command line → what each does
) -> str:  # Markdown for Quarto
    """The page that leads to every module, verb and name."""
    def linked(name: str, module: str) -> str:
        return f"[`{name}`]({FOLDER}/{module}.qmd#{name})"

    def about(name: str, module: str) -> str:
        return in_table(modules[module].definitions[name].doc.partition("\n\n")[0])

    names = sorted((name.lower(), name, module) for module in notebooks for name in modules[module].public)
    lines = [
        *opening("Reference", f"Every module, command and public name of {PACKAGE}"),
        "A page for each module has its parameters, types, units and errors; the notebook beside it, the reasons, examples and checks.", "",
        "## The names that users need {#needed}", "", f"Imported from `{PACKAGE}` itself.", "", *table(name=20, what_it_is=50),
        *(f"| {linked(name, module)} | {about(name, module)} |" for name, module in sorted(needed.items())),
        "", "## Command line {#commands}", "", *table(command=25, what_it_does=45),
        *(f"| [`arxiv-nbclf {verb}`]({FOLDER}/{COMMANDS}.qmd#{verb}) | {in_table(about)} |" for verb, about in verbs.items()),
        "", "## Modules {#modules}", "", *table(module=22, notebook=18, what_it_is=40),
    ]
    for module, one in notebooks.items():
        lines.append(f"| [`{module}`]({FOLDER}/{module}.qmd) | [{in_table(one.title)}]({one.path}) | {in_table(one.description)} |")
    lines += ["", "## All names {#names}", ""]
    for letter, group in groupby(names, key=lambda one: one[0][0]):
        lines += [f"**{letter.upper()}** " + " · ".join(linked(name, module) for _, name, module in group), ""]
    return "\n".join(lines)


def opening(
    title: str,  # of a page
    description: str,  # in a line
) -> list[str]:  # lines
    """How a generated page begins."""
    front = ["---", f"title: {json.dumps(title)}", f"description: {json.dumps(description)}", "---"]
    return [*front, "", f"<!-- Made by tools/reference.py from {PACKAGE}/*.py: do not edit. -->", ""]


def table(
    **columns: int,  # heading → its share of the width
) -> list[str]:  # lines
    """The head of a Markdown table."""
    return [f"| {' | '.join(columns)} |".replace("_", " "), f"|{'|'.join('-' * width for width in columns.values())}|"]


def module_page(
    module: Module,  # as read
    notebook: Notebook,  # that exports it
    types: dict[str, str],  # name of a class → its page and anchor
) -> str:  # Markdown for Quarto
    """The page of a module: every public name, how it is called, and what its parameters mean."""
    lines = opening(module.name, notebook.description)
    lines += [f"Import from `{PACKAGE}.{module.name}`; explained step by step in the notebook [{in_table(notebook.title)}](../{notebook.path}).", ""]
    for name in module.public:
        one = module.definitions[name]
        where, lead = (f"../{notebook.path}#{name.lower()}", "notebook") if name in notebook.shown else ("", "")
        if one.module != module.name:
            where, lead = f"{one.module}.qmd#{name}", f"from {one.module}"
        link = f'[{lead}]({where}){{.doc-source aria-label="{name}: {lead}"}}' if where else ""
        value = [fenced(shorten(one.value, LONG, placeholder=" …"), ".python .value")] if one.kind == "constant" else []
        shown = [*value, one.doc] if one.kind == "constant" else described(one, module, types) if one.module == module.name else [one.doc]
        lines += ["\n\n".join(filter(None, [raw('<div class="doc">'), f"## {name} {{#{name}}}", link, *shown, raw("</div>")])), ""]
    return "\n".join(lines)


def command_help() -> dict[str, tuple[str, str]]:  # verb → what it does in a line, and the whole help text
    """What the command line tells of its verbs."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from arxiv_nbclf.cli import app

    def shown(verb: str) -> str:
        return CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": str(WIDTH), "TERM": "dumb"}, prog_name="arxiv-nbclf").output

    return {verb: (one.help, shown(verb)) for verb, one in getattr(get_command(app), "commands", {}).items()}


def command_page(
    verbs: dict[str, tuple[str, str]],  # from `command_help`
) -> str:  # Markdown for Quarto
    """The page of the command line: a section for each verb, as its --help has it."""
    lines = opening("Commands", "Every command of `arxiv-nbclf` with its arguments, options and defaults")
    lines += ["The functions behind them are in the notebook [Command line](../11_cli.ipynb).", ""]
    for verb, (about, text) in verbs.items():
        lines += [f"## arxiv-nbclf {verb} {{#{verb}}}", "", in_table(about), "", fenced(text.strip(), ".output"), ""]
    return "\n".join(lines)


def write_reference(
    root: Path,  # the repository
) -> None:
    """Write reference.qmd, and a page for each module and for the command line in nbs/reference."""
    modules, notebooks, verbs = read_package(root), exporting(root), command_help()
    notebooks = {module: one for module, one in notebooks.items() if module in modules and modules[module].public}
    classes = [one for module in notebooks for one in modules[module].definitions.values() if one.kind == "class" and one.module == module]
    types = {one.name: f"{FOLDER}/{one.module}.html#{one.name}" for one in classes if one.name in modules[one.module].public}
    pages = {module: module_page(modules[module], one, types) for module, one in notebooks.items()} | {COMMANDS: command_page(verbs)}
    nbs = root / "nbs"
    shutil.rmtree(nbs / FOLDER, ignore_errors=True)
    (nbs / FOLDER).mkdir()
    for name, text in pages.items():
        (nbs / FOLDER / f"{name}.qmd").write_text(text, encoding="utf-8")
    index = index_page(modules, notebooks, handed_on(root), {verb: about for verb, (about, _) in verbs.items()})
    (nbs / "reference.qmd").write_text(index, encoding="utf-8")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    root = parser.parse_args().root
    write_reference(root)


if __name__ == "__main__":
    main()
