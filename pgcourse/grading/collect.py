"""Reads a submitted notebook and decides which of its top-level statements an answer needs. It executes none of them.

Cell metadata is not looked at, so moved, copied or deleted check cells, points and ids change nothing. Cells go through
IPython's own transformer first; of `%%time`, `%%capture` and the like the body counts.

A statement is kept, in the order of the notebook, if it does one of these to a name which an answer needs, directly or
through what it uses:

* bind it: an assignment of any kind, an import, a definition, `for`, `with`, `try`, `if`, `match`, `del`, and calls of
  the notebook's own functions that declare it `global`; `from x import *`, `exec` and `globals()` may bind anything;
* change the object it refers to: `X[...] = `, `X.a = `, `X += `; a method called for its own sake (`X.append(1)`,
  `model.eval()`); being handed to a function that is called for its own sake (`random.shuffle(X)`, `fill(X)`); and
  either of them through another name for it (`y = X`, `for row in X`, `optimiser = Adam(X.parameters())`).

Settings of libraries (`torch.set_default_dtype(...)`, `np.random.seed(0)`, `sys.setrecursionlimit(...)`) are kept, too.
All else is left out and listed: training loops, figures, checks, prints.

This file is also loaded by `worker.py`, where pgcourse is not: it imports nothing of it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import groupby

from IPython.core.inputtransformer2 import TransformerManager

CODE_CHARACTERS = 1 << 20
SPECIAL_LINES = 100  # magics and commands in a cell: IPython's time for them grows with the square of their number
LISTED = 200  # remarks of each kind at most
LINE = 100  # characters of a statement that is listed

BODY_MAGICS = {"time", "capture", "prun", "memit", "mprun", "lprun", "snakeviz", "pyinstrument", "debug", "notify"}
LINE_MAGICS = {"time", "prun", "memit"}
MUTATORS = {
    *("append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "popitem", "remove", "discard"),
    *("clear", "update", "add", "setdefault", "sort", "reverse", "rotate", "subtract", "register", "load_state_dict"),
    *("step", "send", "__next__", "__setitem__", "__setattr__"),
}
MUTATING = re.compile(r"(register|add|set|put|push|heap)_?[a-z]|.*[^_]_$")  # so are methods of these names
HARMLESS = {
    *("print", "display", "len", "repr", "str", "type", "isinstance", "issubclass", "callable", "help", "dir", "id"),
    *("hash", "min", "max", "sum", "sorted", "any", "all", "abs", "round", "list", "tuple", "set", "dict", "range"),
}
SHOWING = {"pgcourse", "matplotlib", "seaborn", "plotly", "IPython", "pprint", "rich"}  # modules that change nothing
SETTING = re.compile(r"set|seed|manual_seed|use_deterministic|filterwarnings|simplefilter")
ANYTHING = {"exec", "globals", "locals", "vars"}  # what these bind cannot be read off the text
BY_NAME = ANYTHING | {"eval"}  # nor what these read
NAMESPACES = {"sys", "builtins", "__main__"}  # modules through which names are bound, too


class Unreadable(Exception):
    """The file is no notebook that can be graded; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell, and the statements of it to execute: their indices, and the names that each binds."""

    name: str
    source: str
    keep: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Submission:
    """What a notebook defines.

    `missing` says, name by name, why something that it seems to define is not here; `notes` are remarks that cost no
    points; `left_out` are the statements that no answer needs.
    """

    cells: tuple[Cell, ...]
    missing: dict[str, str]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def read(content: bytes, entries: Iterable[str]) -> Submission:
    """What `entries`, the names of the answers, need of the notebook whose file has this content.

    Raises:
        Unreadable: not a notebook, or one with too much code.
    """
    code, texts = cells_of(content)
    submission = collect(code, entries)
    for name, source in texts:
        for defined in _seem_defined(source):
            submission.missing.setdefault(defined, f"{name} is a text cell, not a code cell")
    return submission


def cells_of(content: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(name, source) of each code cell, and of each other one; "cell 3" is the third cell of the notebook."""
    try:
        document = json.loads(content)
        if "cells" not in document and "worksheets" in document:
            raise Unreadable("a notebook in the format of before 2015: open it in JupyterLab and save it again")
        cells = [(f"cell {number}", cell) for number, cell in enumerate(document["cells"], 1)]
        sources = [(name, "".join(cell["source"]), cell["cell_type"] == "code") for name, cell in cells]
        code = [(name, source) for name, source, is_code in sources if is_code]
    except MemoryError:
        raise Unreadable("over the memory limit while its JSON was read: clear its outputs and try again") from None
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        raise Unreadable(_no_notebook(content, error)) from None
    if (length := sum(len(source) for _, source in code)) > CODE_CHARACTERS:
        raise Unreadable(f"the notebook has {length} characters of code, more than {CODE_CHARACTERS}")
    return code, [(name, source[:CODE_CHARACTERS]) for name, source, is_code in sources if not is_code]


def _no_notebook(content: bytes, error: Exception) -> str:
    """What a file is instead."""
    if not content.strip():
        return "the file is empty"
    if re.search(rb"^(<<<<<<<|>>>>>>>) ", content, re.M):
        return "git's conflict marks (<<<<<<<) are in it: take them out, and save it again in JupyterLab"
    if content.lstrip().startswith(b"<"):
        return "a web page (HTML), not a notebook: hand in the .ipynb file itself"
    if isinstance(error, UnicodeDecodeError):
        return "not a valid notebook: its text is not in UTF-8"
    return "not a valid notebook: open it in JupyterLab and save it again"


def collect(code: Iterable[tuple[str, str]], entries: Iterable[str]) -> Submission:
    """What `entries`, the names of the answers, need of cells, given as (name, source)."""
    entries = tuple(entries)
    missing: dict[str, str] = {}
    notes: list[str] = []
    left_out: list[str] = []
    cells: list[tuple[str, str]] = []
    statements: list[_Statement] = []
    for name, source in code:
        try:
            text = _python(source)
            body = [] if text is None else _inlined(ast.parse(text))
            if text is None:
                magic = source.split(maxsplit=1)[0]
                left_out.append(f"{name}: {magic} ...")
                missing.update(dict.fromkeys(_seem_defined(source), f"{name}: starts with {magic}, so it is not read"))
                continue
        except Exception as error:  # SyntaxError, or whatever else a stranger's text does to a parser
            line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
            problem = f"{name}: {type(error).__name__}{line}: {getattr(error, 'msg', error)}"
            notes.append(problem)
            missing.update(dict.fromkeys(_seem_defined(source), problem))
            continue
        cells.append((name, text))
        statements += [_Statement(len(cells) - 1, index, node) for index, node in enumerate(body)]
    needed = _needed(statements, entries)
    for statement in statements:
        if statement not in needed:
            name, text = cells[statement.cell]
            shown = " ".join(text.splitlines()[statement.node.lineno - 1].split())
            left_out.append(f"{name}, line {statement.node.lineno}: {shown[:LINE]}")
    for entry in entries:
        definers = [
            s for s in statements if entry in s.now.binds and isinstance(s.node, ast.FunctionDef | ast.ClassDef)
        ]
        places = list(dict.fromkeys(cells[statement.cell][0] for statement in definers))
        if len(places) > 1:
            notes.append(f"{entry} is defined in {' and in '.join(places)}: the last one counts")
    return Submission(
        tuple(
            Cell(name, text, keep)
            for number, (name, text) in enumerate(cells)
            if (
                keep := tuple(
                    (s.index, tuple(sorted(s.now.binds))) for s in statements if s.cell == number and s in needed
                )
            )
        ),
        dict(list(missing.items())[:LISTED]),
        tuple(notes[:LISTED]),
        tuple(left_out[:LISTED]) + ((f"and {len(left_out) - LISTED} more",) if len(left_out) > LISTED else ()),
    )


def statements_of(source: str) -> list[ast.stmt]:
    """The statements of a `Cell`'s source, as its indices count them."""
    return _inlined(ast.parse(source))


def _python(source: str) -> str | None:
    """A cell as Python, its lines where they were; None for a cell in another language."""
    lines = source.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and (magic := re.match(r"%%(\w+)", lines[first].strip())):
        if magic[1] not in BODY_MAGICS:
            return None
        lines[first] = ""
        return _python("\n".join(lines))
    text = "\n".join(lines)
    try:
        ast.parse(text)  # most cells are plain Python; IPython's transformer is slow on long ones
    except SyntaxError:
        if sum(line.lstrip().startswith(("%", "!")) for line in lines) > SPECIAL_LINES:
            raise ValueError(f"more than {SPECIAL_LINES} magics and commands in a cell") from None
        return TransformerManager().transform_cell(text)
    return text


def _inlined(tree: ast.Module) -> list[ast.stmt]:
    """The top-level statements, those behind `%time` among them, and one for each module that is imported.

    In `try` and other blocks, too, the course's own package, which is not there while grading, costs other modules
    nothing: among imports in a row it comes last.
    """
    body: list[ast.stmt] = []
    for node in tree.body:
        match node:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(attr="run_line_magic"),
                    args=[ast.Constant(value=magic), ast.Constant(value=str(text))],
                )
            ) if magic in LINE_MAGICS:
                inside = ast.parse(text).body
                for part in inside:
                    ast.increment_lineno(part, node.lineno - 1)
                body += inside
            case ast.Import(names=[_, _, *_] as names):  # what cannot be imported costs the others nothing
                body += [ast.copy_location(ast.Import([alias]), node) for alias in names]
            case ast.Try() | ast.If() | ast.With() | ast.For():
                for inner in ast.walk(node):
                    for block in (getattr(inner, field, []) for field in ("body", "orelse", "finalbody")):
                        if isinstance(block, list):
                            block[:] = _course_last(block)
                body.append(node)
            case _:
                body.append(node)
    return body


def _course_last(block: list[ast.stmt]) -> Iterator[ast.stmt]:
    for imports, some in groupby(block, lambda node: isinstance(node, ast.Import | ast.ImportFrom)):
        if not imports:
            yield from some
            continue
        single: list[ast.stmt] = []
        for node in some:
            if isinstance(node, ast.Import):
                single += [ast.copy_location(ast.Import([alias]), node) for alias in node.names]
            else:
                single.append(node)
        yield from sorted(single, key=_of_the_course)


def _of_the_course(node: ast.stmt) -> bool:
    name = node.names[0].name if isinstance(node, ast.Import) else getattr(node, "module", "") or ""
    return name.partition(".")[0] == "pgcourse"


def _seem_defined(source: str) -> list[str]:
    """The functions and classes in code that has no syntax tree."""
    return re.findall(r"^(?:async +)?(?:def|class) +(\w+)", source, re.M)


# ------------------------------------------------------------------------------------- what statements do to names


Place = int | str  # of an argument: its position, or its keyword; -1 for one behind a star


@dataclass
class _Does:
    """What code does to names of the notebook."""

    binds: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)  # X.a = , X[i] =
    asks: set[str] = field(default_factory=set)  # X.method(): X may be changed by it
    given: set[tuple[str, str, bool, Place]] = field(default_factory=set)  # (function, argument, for its own sake, ...)
    calls: set[str] = field(default_factory=set)
    settings: set[tuple[str, str]] = field(default_factory=set)  # (module, what is set of it)
    differentiates: set[str] = field(default_factory=set)  # what stands before `.backward()`
    touches: bool = False  # it changes an object behind a local name, maybe an argument's
    touched: set[str] = field(default_factory=set)  # parameters whose object it changes
    passes: set[tuple[str, str, Place]] = field(default_factory=set)  # (function, parameter that it is given, ...)
    anything: bool = False
    by_name: bool = False  # it reads names that are made while it runs


class _Statement:
    """A top-level statement: what it does `now`, and, where it defines functions, what these do `later`."""

    def __init__(self, cell: int, index: int, node: ast.stmt) -> None:
        self.cell, self.index, self.node = cell, index, node
        reader = _Reader()
        try:
            reader.visit(node)
        except RecursionError:
            reader = _Reader()
            reader.now.binds = _local_names([node])
            reader.now.uses = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        self.now, self.later = reader.now, reader.later
        self.aliases, self.derived = reader.aliases, reader.derived
        self.imports, self.functions = reader.imports, reader.functions


class _ClassNames(set[str]):
    """The names that a class binds: read by its body, and by nothing else in it."""


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.now, self.later = _Does(), _Does()
        self.does = self.now
        self.aliases: set[tuple[str, str]] = set()
        self.derived: set[tuple[str, str]] = set()  # (name, a name in what is assigned to it)
        self.elements: list[tuple[set[str], set[str]]] = []  # of comprehensions: targets, and where they come from
        self.imports: dict[str, str] = {}  # name -> the module it comes from
        self.functions: dict[str, list[str]] = {}  # functions and classes, lambdas included: their parameters in order
        self.parameters: list[set[str]] = []  # of the functions around, and other names for these
        self.function: list[str] = []  # the names of the functions around
        self.scopes: list[set[str]] = []  # the local names around, innermost last

    def _local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    def _parameter(self, name: str) -> bool:
        return any(name in names for names in self.parameters)

    def _bind(self, name: str) -> None:
        if not self._local(name):
            self.does.binds.add(name)

    def _change(self, kind: set[str], expression: ast.expr) -> None:
        names = self._behind(_roots(expression))
        kind |= {name for name in names if not self._local(name.removesuffix(CALLED))}
        self.does.touches = self.does.touches or any(self._local(name.removesuffix(CALLED)) for name in names)
        self.does.touched |= {name for name in names if self._parameter(name)}

    def _behind(self, names: set[str]) -> set[str]:
        """Names, and for the targets of comprehensions around what they run through."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            if (name := todo.pop()) not in found:
                found.add(name)
                todo += [root for targets, roots in self.elements if name in targets for root in roots]
        return found

    def _inside(self, local: set[str], nodes: Iterable[ast.AST], later: bool) -> None:
        outer = self.does, self.scopes
        if later:
            self.does = self.later
            self.scopes = [scope for scope in self.scopes if not isinstance(scope, _ClassNames)]
        self.scopes = [*self.scopes, local]
        for node in nodes:
            self.visit(node)
        self.does, self.scopes = outer

    # names
    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id)
        elif not any(node.id in scope for scope in self.scopes if not isinstance(scope, _ClassNames)):
            self.now.uses.add(node.id)  # a class may read a name from outside before it binds it

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(self.does.stores, node.value)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(self.does.stores, node.value)
        self.generic_visit(node)

    def _imported(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            module = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
            if name == "*" or module == "__future__":
                self.now.anything = self.now.anything or module.partition(".")[0] != "pgcourse"
            else:
                self._bind(name)
                if not self.scopes:
                    self.imports[name] = module.partition(".")[0]

    visit_Import = visit_ImportFrom = _imported

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # type: ignore[assignment]

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._bind(node.rest)
        self.generic_visit(node)

    # definitions
    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorated(node)
        self._bind(node.name)
        if not self.scopes:
            self.functions[node.name] = _in_order(node.args)
        self._outside(node.args)
        if node.returns:
            self.visit(node.returns)
        self.function.append(node.name)
        self.parameters.append(_parameters(node.args))
        self._inside(_parameters(node.args) | _local_names(node.body), node.body, later=True)
        self.parameters.pop()
        self.function.pop()

    def visit_Return(self, node: ast.Return) -> None:
        if node.value and self.function:
            roots = _roots(node.value, arguments=True)
            self.aliases.update((f"{self.function[0]}{CALLED}", root) for root in roots if not self._local(root))
        self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._outside(node.args)
        self._inside(_parameters(node.args), [node.body], later=True)

    def _outside(self, args: ast.arguments) -> None:
        """Defaults and annotations belong to the scope around."""
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        for node in (*args.defaults, *args.kw_defaults, *(arg.annotation for arg in every if arg)):
            if node:
                self.visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorated(node)
        self._bind(node.name)
        if not self.scopes:
            made = (n.args for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
            self.functions[node.name] = next((_in_order(args)[1:] for args in made), [])
        for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(base)
            if isinstance(base, ast.Name):  # its `__init_subclass__`, or it is a metaclass
                self.does.calls.add(base.id)
        self._inside(_ClassNames(_local_names(node.body)), node.body, later=False)

    def _decorated(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(called, ast.Name):
                self.does.calls.add(called.id)
            elif isinstance(called, ast.Attribute):
                self._change(self.does.asks, called.value)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        targets = {n.id for part in node.generators for n in ast.walk(part.target) if isinstance(n, ast.Name)}
        self.elements.append((targets, set().union(*(_roots(part.iter, arguments=True) for part in node.generators))))
        self._inside(targets, ast.iter_child_nodes(node), later=False)
        self.elements.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    # aliases
    def _alias(self, target: ast.expr, value: ast.expr) -> None:
        roots = _roots(value, arguments=True)
        inside = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and self.parameters and any(map(self._parameter, _roots(value))):
                self.parameters[-1].add(node.id)
            if isinstance(node, ast.Name) and not self._local(node.id):
                self.aliases.update((node.id, root) for root in roots if not self._local(root.removesuffix(CALLED)))
                self.derived.update((node.id, name) for name in inside)

    def visit_Assign(self, node: ast.Assign) -> None:
        # What a call gives to several names may be one thing, as in `add, get = counter()`, and `a = b = []` is.
        together = [node.targets] if len(node.targets) > 1 else []
        together += [t.elts for t in node.targets if isinstance(t, ast.Tuple | ast.List) and _roots(node.value)]
        for targets in together:
            names = [target.id for target in targets if isinstance(target, ast.Name) and not self._local(target.id)]
            self.aliases.update((a, b) for a in names for b in names if a != b)
        for target in node.targets:
            self._alias(target, node.value)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda) and not self.scopes:
                self.functions[target.id] = _in_order(node.value.args)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:  # binds nothing
            self.visit(node.annotation)
            return
        self._alias(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):  # a list += changes it in place
            self._change(self.does.stores, ast.Name(node.target.id, ast.Load()))
            if not self._local(node.target.id):
                self.now.uses.add(node.target.id)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._alias(node.target, node.value)
        self.generic_visit(node)

    def _loop(self, node: ast.For | ast.AsyncFor) -> None:
        self._alias(node.target, node.iter)
        self.generic_visit(node)

    visit_For = visit_AsyncFor = _loop

    def visit_withitem(self, node: ast.withitem) -> None:
        self._change(self.does.asks, node.context_expr)
        if node.optional_vars:
            self._alias(node.optional_vars, node.context_expr)
        self.generic_visit(node)

    # calls
    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call):
            self._call(call, for_its_own_sake=True)
            for child in ast.iter_child_nodes(call):
                self.visit(child)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self._call(node, for_its_own_sake=False)
        self.generic_visit(node)

    def _call(self, node: ast.Call, for_its_own_sake: bool) -> None:
        called = node.func
        function = next(iter(_roots(called)), "")
        if isinstance(called, ast.Name):
            if called.id in BY_NAME and not self._local(called.id):
                self.now.by_name = True
                inside = called.id in ("exec", "globals")
                self.does.anything = self.does.anything or inside or (called.id in ANYTHING and self.does is self.now)
            if called.id in ("setattr", "delattr", "next") and node.args:
                self._change(self.does.stores, node.args[0])
            if SETTING.match(called.id):
                self.does.settings.add((called.id, called.id))
            self.does.calls.add(called.id)
            for_its_own_sake = for_its_own_sake or called.id.startswith("heap")
        elif isinstance(called, ast.Attribute):
            if called.attr in MUTATORS or MUTATING.match(called.attr):
                for_its_own_sake, function = True, ""  # `list.append(X, 1)`, `init.zeros_(X)`
            if for_its_own_sake:
                self._change(self.does.asks, called.value)
            if called.attr in MUTATORS and isinstance(called.value, ast.Attribute):  # `os.environ.update(...)`
                self._change(self.does.stores, called.value)
            if called.attr == "backward":
                self.does.differentiates.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            if SETTING.match(called.attr):
                self.does.settings.add((next(iter(_roots(called)), ""), called.attr))
        elif isinstance(called, ast.Lambda):
            self._inside(_parameters(called.args), [called.body], later=False)
        else:
            self._change(self.does.asks, called)
        for keyword in node.keywords:
            if keyword.arg == "out":
                self._change(self.does.stores, keyword.value)
        for place, argument in _places(node):
            if isinstance(argument, ast.Attribute) and (
                argument.attr in MUTATORS or MUTATING.match(argument.attr)
            ):  # `map(X.append, ...)`
                self._change(self.does.asks, argument.value)
            for root in self._behind(_roots(argument)):
                if not self._local(root.removesuffix(CALLED)):
                    self.does.given.add((function, root, for_its_own_sake, place))
                elif self._parameter(root):
                    self.does.passes.add((function, root, place))

    def visit_Global(self, node: ast.Global) -> None:
        pass  # `_local_names` leaves them out, so that they count as the notebook's


CALLED = "()"  # behind the name of what is called, in `_roots`


def _roots(expression: ast.expr, arguments: bool = False) -> set[str]:
    """The names whose objects an expression gives access to: X for X, X.a, X[0], X.m(), and X() for a call of it; with
    `arguments`, those of calls and displays, too."""
    parts: list[ast.expr] = []
    found: set[str] = set()
    match expression:
        case ast.Name(id=name):
            return {name}
        case (
            ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value) | ast.Await(value=value)
        ):
            parts = [value]
        case ast.NamedExpr(target=target, value=value):
            parts = [target, value]
        case ast.IfExp(body=body, orelse=orelse):
            parts = [body, orelse]
        case ast.BoolOp(values=values):
            parts = values
        case ast.Call(func=ast.Name("getattr"), args=[value, *_]):
            parts = [value]
        case ast.Call(func=func, args=args, keywords=keywords):
            if isinstance(func, ast.Name):
                found = {func.id + CALLED}
            parts = [] if isinstance(func, ast.Name) else [func]
            parts += [*args, *(keyword.value for keyword in keywords)] if arguments else []
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements) if arguments:
            parts = elements
        case ast.Dict(values=values) if arguments:
            parts = values
        case (
            ast.ListComp(elt=element, generators=generators)
            | ast.SetComp(elt=element, generators=generators)
            | ast.GeneratorExp(elt=element, generators=generators)
            | ast.DictComp(value=element, generators=generators)
        ) if arguments:
            parts = [element, *(generator.iter for generator in generators)]
    return found.union(*(_roots(part, arguments) for part in parts))


def _places(call: ast.Call) -> Iterator[tuple[Place, ast.expr]]:
    starred = False
    for position, argument in enumerate(call.args):
        starred = starred or isinstance(argument, ast.Starred)
        yield -1 if starred else position, argument
    for keyword in call.keywords:
        yield keyword.arg or -1, keyword.value


def _in_order(args: ast.arguments) -> list[str]:
    return [arg.arg for arg in (*args.posonlyargs, *args.args)]


def _parameters(args: ast.arguments) -> set[str]:
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {arg.arg for arg in every if arg}


def _local_names(body: list[ast.stmt]) -> set[str]:
    """What the body of a function or class binds for itself: all that it binds and does not declare `global`."""
    bound: set[str] = set()
    declared: set[str] = set()
    todo: list[ast.AST] = [*body]
    while todo:
        node = todo.pop()
        match node:
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                declared.update(names)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound.update(alias.asname or alias.name.partition(".")[0] for alias in aliases)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
                continue  # a scope of its own
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                bound.update(n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
                continue
        todo.extend(ast.iter_child_nodes(node))
    return bound - declared


# --------------------------------------------------------------------------------------------- what answers need


def _needed(statements: list[_Statement], entries: Iterable[str]) -> set[_Statement]:
    """The statements that bind or change a name which the entries need, directly or through others."""
    imports: dict[str, str] = {}
    functions: dict[str, _Does] = {}
    parameters: dict[str, list[str]] = {}
    for statement in statements:
        imports.update(statement.imports)
        parameters.update(statement.functions)
        for name in statement.functions:
            functions[name] = _union(functions.get(name, _Does()), statement.later)
    touched = _changes_of_arguments(functions, parameters)
    functions = _with_what_they_call(functions)
    data = {name for statement in statements for name in statement.now.binds} - imports.keys() - functions.keys()
    aliases: dict[str, set[str]] = {f"{name}{CALLED}": {name} for name in data}
    derived: dict[str, set[str]] = {}
    for statement in statements:
        for name, other in statement.aliases:
            if name.removesuffix(CALLED) in data | functions.keys():
                aliases.setdefault(name, set()).add(other)
        for name, other in statement.derived:
            if name in data and other in data:
                derived.setdefault(name, set()).add(other)

    def called(names: Iterable[str]) -> set[str]:
        """The own functions and classes among names, or behind them."""
        return {one for name in names if (one := name.removesuffix(CALLED)) in functions}

    def changed(does: _Does, through_calls: bool = True) -> Iterator[str]:
        yield from does.binds
        direct = does.stores | (does.asks - imports.keys())
        runs = does.calls & functions.keys()
        for name in does.calls & data:
            runs |= called(_reachable(name, aliases))
            direct |= _reachable(name, aliases) & data
        for function, argument, for_its_own_sake, place in does.given:
            own = functions.get(function)
            idle = (
                function in HARMLESS
                or imports.get(function) in SHOWING
                or not (for_its_own_sake or (own and own.touches))
            )
            if imports.get(function) not in SHOWING:
                runs |= called([argument])
            # A function that is handed over is called, which changes what it changes; seldom is it changed itself.
            if not idle and (argument.removesuffix(CALLED) in data or touched(function, place)):
                direct.add(argument)
        for name in direct:
            reached = _reachable(name, aliases)
            yield name
            yield from reached & data
            runs |= called(reached - {name})
        for name in does.differentiates & data:
            yield from _reachable(name, derived)
        if through_calls:
            for name in runs:
                yield from changed(functions[name], through_calls=False)

    def sets(does: _Does, all_of_it: bool) -> bool:
        return any(
            imports.get(module) in ("sys", "torch", "numpy", "random", "warnings")
            and (all_of_it or what.startswith("set"))
            for module, what in does.settings
        )

    def always(statement: _Statement) -> bool:
        """Whether a statement may matter whatever is needed."""
        does = [statement.now]
        if isinstance(statement.node, ast.Expr | ast.If):
            does += [functions[name] for name in statement.now.calls & functions.keys()]
            if any(sets(one, isinstance(statement.node, ast.Expr) and one is statement.now) for one in does):
                return True
        return any(one.anything or any(imports.get(name) in NAMESPACES for name in one.stores) for one in does)

    changers: dict[str, list[_Statement]] = {}
    needed: set[_Statement] = set()
    todo = list(entries)

    def need(statement: _Statement) -> None:
        if statement not in needed:
            needed.add(statement)
            todo.extend(statement.now.uses)
            if statement.now.by_name:
                todo.extend(functions)
                todo.extend(_words(statement.node))
                for name in statement.now.uses & data:  # the text may stand elsewhere
                    for other in statements:
                        if name in other.now.binds:
                            todo.extend(_words(other.node))

    for statement in statements:
        for name in set(changed(statement.now)):
            changers.setdefault(name, []).append(statement)
        if always(statement):
            need(statement)
    seen: set[str] = set()
    while todo:
        if (name := todo.pop()) not in seen:
            seen.add(name)
            for statement in changers.get(name, []):
                need(statement)
    return needed


def _words(node: ast.AST) -> Iterator[str]:
    """The names in the texts of a statement."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from re.findall(r"[^\W\d]\w*", part.value)


def _changes_of_arguments(
    functions: dict[str, _Does], parameters: dict[str, list[str]]
) -> Callable[[str, Place], bool]:
    """Whether a function changes what it is given at a place, itself or through others."""
    changed = {name: set(does.touched) for name, does in functions.items()}

    def at(function: str, place: Place) -> bool:
        order = parameters.get(function, [])
        if isinstance(place, int) and not 0 <= place < len(order):
            return function in functions and functions[function].touches
        return (place if isinstance(place, str) else order[place]) in changed.get(function, ())

    grown = True
    while grown:
        grown = False
        for name, does in functions.items():
            for function, parameter, place in does.passes:
                if parameter not in changed[name] and at(function, place):
                    changed[name].add(parameter)
                    grown = True
    return at


def _union(a: _Does, b: _Does) -> _Does:
    return _Does(
        a.binds | b.binds,
        a.uses | b.uses,
        a.stores | b.stores,
        a.asks | b.asks,
        a.given | b.given,
        a.calls | b.calls,
        a.settings | b.settings,
        a.differentiates | b.differentiates,
        a.touches or b.touches,
        a.touched | b.touched,
        a.passes | b.passes,
        a.anything or b.anything,
        a.by_name or b.by_name,
    )


def _with_what_they_call(functions: dict[str, _Does]) -> dict[str, _Does]:
    """Each function with what it does through others."""
    calls = {name: does.calls & functions.keys() for name, does in functions.items()}
    return {name: reduce(_union, (functions[other] for other in _reachable(name, calls))) for name in functions}


def _reachable(start: str, links: dict[str, set[str]]) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        for name in links.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found
