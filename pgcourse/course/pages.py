"""Pages of the web book: notebooks and Markdown files made ready for Sphinx, their links included."""

from __future__ import annotations

import ast
import copy
import html
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

FOLDED = {"parameters", "claims", "hide-input"}  # cells with one of these tags show their code on demand
INJECTED = "injected-parameters"  # papermill's own cell
CODE = re.compile(
    r"(^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)`*\s*?$|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))", re.M | re.S
)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")
HTML_LINK = re.compile(r"""(?P<before><(?:a|img)\b[^>]*?\b(?:href|src)=)(?P<quote>["'])(?P<target>[^"']+)(?P=quote)""")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.I)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


class DeadLink(ValueError):
    """A page links to what is not in the repository."""


@dataclass
class Repository:
    """The folder whose files pages link to.

    `pages` are the paths of what is a page of the book itself; `linked` collects the files that are not and that a page
    links to: each becomes a page that shows its source.
    """

    root: Path
    pages: set[str]
    linked: set[str] = field(default_factory=set)
    _lines: dict[str, dict[str, int]] = field(default_factory=dict)

    def line_of(self, path: str, name: str) -> int | None:
        """Where a Python file defines `name` ("gae", "PPO.loss"); None where it does not."""
        if path not in self._lines:
            self._lines[path] = definitions((self.root / path).read_text("utf-8")) if path.endswith(".py") else {}
        return self._lines[path].get(name)

    def source_page(self, path: str) -> str:
        """The page that shows a file or lists a folder."""
        self.linked.add(path)
        return f"source/{path}/index.html" if (self.root / path).is_dir() else f"source/{path}.html"


def definitions(source: str) -> dict[str, int]:
    """Lines of the functions, classes, methods and top-level names of a Python program."""
    found: dict[str, int] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found[prefix + name] = node.lineno
                case ast.ClassDef(name=name):
                    found[prefix + name] = node.lineno
                    visit(node.body, f"{prefix}{name}.")
                case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.setdefault(prefix + name, node.lineno)

    visit(ast.parse(source).body, "")
    return found


def text_of(cell: Mapping[str, Any]) -> str:
    """A cell's source: a notebook file holds it as one string or as lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def relinked(markdown: str, path: str, repository: Repository) -> str:
    """Markdown of the file `path` with links that hold in the book.

    What is a page of the book stays; any other file is replaced by the page of its source, at the line that defines the
    link's text, if it does. Code is left alone.

    Raises:
        DeadLink: there is no such file.
    """

    def resolved(target: str) -> tuple[str, str] | None:
        """(path in the repository, fragment); None for what leads outside or into the same page."""
        if OUTSIDE.match(target):
            return None
        file, _, fragment = target.partition("#")
        found = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        if found.startswith("..") or not (repository.root / found).exists():
            raise DeadLink(f"{path} links to {target}, which is not there")
        return found, fragment

    def to_source(found: str, text: str) -> str:
        page = repository.source_page(found)
        line = repository.line_of(found, text.strip("`").removesuffix("()")) if found.endswith(".py") else None
        relative = posixpath.relpath(page, posixpath.dirname(path) or ".")
        return relative + (f"#L-{line}" if line else "")

    def link(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        found = resolved(target)
        if match["image"]:
            if found is None:  # a page asks nothing of another machine
                return f"[{text or target}]({target})" if not target.startswith("data:") else match[0]
            return match[0]
        if found is None or found[0] in repository.pages:
            return match[0]
        return f'<a class="reference internal" href="{html.escape(to_source(found[0], text))}">{text}</a>'

    def html_link(match: re.Match[str]) -> str:
        found = resolved(match["target"])
        if found is None or "<img" in match["before"].lower():
            return match[0]
        file, fragment = found
        if file in repository.pages:
            page = posixpath.relpath(str(PurePosixPath(file).with_suffix("")), posixpath.dirname(path) or ".")
            return f"{match['before']}{match['quote']}{page}.html{'#' * bool(fragment)}{fragment}{match['quote']}"
        return f"{match['before']}{match['quote']}{to_source(file, '')}{match['quote']}"

    # Code may stand inside a link's text: it is put away while links are looked for.
    kept: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    def put_back(text: str) -> str:
        return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], text)

    def link_with_code(match: re.Match[str]) -> str:
        whole = put_back(match[0])
        again = LINK.fullmatch(whole)
        return link(again) if again else whole

    bare = HTML_LINK.sub(html_link, CODE.sub(put_away, markdown))
    return put_back(LINK.sub(link_with_code, bare))


def images(markdown: str, path: str) -> Iterator[str]:
    """Paths of the pictures of the repository that a page shows."""
    for match in LINK.finditer(CODE.sub("", markdown)):
        if match["image"] and not OUTSIDE.match(match["target"]):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), match["target"]))


def markdown_page(markdown: str, path: str, repository: Repository) -> str:
    """A Markdown file as a page."""
    drawn = MERMAID.sub(lambda match: flowchart(match[1]), markdown)
    return relinked(drawn, path, repository)


def notebook_page(notebook: Mapping[str, Any], path: str, repository: Repository, *more: str) -> dict[str, Any]:
    """A notebook as a page: parameters and bookkeeping folded, figures with alternative text, then `more` Markdown.

    A figure's alternative text is its cell's `metadata.alt`, else the words that `plots` keeps beside the picture, else
    says under which heading it stands.
    """
    cells: list[dict[str, Any]] = []
    heading, figures = PurePosixPath(path).stem, 0
    for each in notebook["cells"]:
        cell = copy.deepcopy(dict(each))
        cell["metadata"] = metadata = {
            key: value for key, value in cell["metadata"].items() if key not in ("papermill", "execution")
        }
        source = text_of(cell)
        tags = list(metadata.get("tags", []))
        if cell["cell_type"] == "markdown":
            headings = HEADING.findall(CODE.sub("", source))
            heading = plain(headings[-1]) if headings else heading
            cell["source"] = relinked(source, path, repository)
        elif cell["cell_type"] == "code":
            if not source.strip() or (INJECTED in tags and _repeats(cells, source)):
                continue
            if (FOLDED | {INJECTED}).intersection(tags):
                metadata["tags"] = sorted({*tags, "hide-input"})
            if any(kind.startswith("image/") for output in cell["outputs"] for kind in output.get("data", {})):
                figures += 1
                image = metadata.setdefault("mystnb", {}).setdefault("image", {})
                words = metadata.get("alt") or _in_words(cell["outputs"])
                image.setdefault("alt", words or f"Figure {figures}, in the section “{heading}”")
        cells.append(cell)
    for number, markdown in enumerate(more):
        text = relinked(markdown, path, repository)
        cells.append({"cell_type": "markdown", "id": f"book-{number}", "metadata": {}, "source": text})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python", "pygments_lexer": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def _in_words(outputs: Iterable[Mapping[str, Any]]) -> str:
    """What the pictures of a cell show, in the words that their text/plain holds; "" where it holds none."""
    data = [output["data"] for output in outputs if any(kind.startswith("image/") for kind in output.get("data", {}))]
    told = ["".join(each.get("text/plain", "")) for each in data]
    return " ".join(text for text in told if not text.startswith("<"))


def _repeats(cells: list[dict[str, Any]], injected: str) -> bool:
    """Whether papermill's parameters are those that the notebook's own cell sets."""
    own = [text_of(cell) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return any(_statements(injected) == _statements(source) for source in own)


def _statements(source: str) -> list[str]:
    return [ast.unparse(statement) for statement in ast.parse(source).body]


def plain(markdown: str) -> str:
    """A line of Markdown without its marks, for a title or a reader's screen."""
    return re.sub(r"[*`$]|\[|\]\([^)]*\)", "", markdown).strip()


@dataclass(frozen=True)
class Opening:
    """What a chapter says of itself on its first screen; "" and 0 where it does not."""

    title: str
    question: str
    minutes: int  # to read


def opening(notebook: Mapping[str, Any], path: str) -> Opening:
    """Title, question and minutes to read from the first Markdown cell."""
    text = next((text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"), "")
    title = re.search(r"^# (.+)$", text, re.M)
    question = re.search(r"^\*\*(?!Time|You need|Afterwards)(.+?)\*\*", text, re.M | re.S)
    time = re.search(r"\*\*Time\*\*\s*\|[^|]*?(\d+) minutes to read", text)
    return Opening(
        title[1].strip() if title else Path(path).stem,
        " ".join(question[1].split()) if question else "",
        int(time[1]) if time else 0,
    )


def source_page(path: str, repository: Repository, home: str) -> str:
    """A page, a whole HTML document, that shows a file's source with line 12 at #L-12, or lists a folder.

    Args:
        home: the way to the book's first page.
    """
    file = repository.root / path
    if file.is_dir():
        rows = [
            f'<li><a href="{html.escape(each.name)}.html">{html.escape(each.name)}</a> {html.escape(_first_line(each))}'
            for each in sorted(file.iterdir())
            if each.is_file() and f"{path}/{each.name}" in repository.linked
        ]
        body = f"<ul>{''.join(rows)}</ul>"
    else:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import TextLexer, get_lexer_for_filename
        from pygments.util import ClassNotFound

        try:
            lexer = get_lexer_for_filename(file.name, stripnl=False)
        except ClassNotFound:
            lexer = TextLexer(stripnl=False)
        lexer.add_filter(_without_plain())
        lines = highlight(file.read_text("utf-8"), lexer, HtmlFormatter(nowrap=True)).splitlines()
        body = "\n".join(f'<span id="L-{number}">{line}</span>' for number, line in enumerate(lines, 1))
        body = f"<pre>{body}</pre>"
    name = html.escape(path + "/" * file.is_dir())
    return SOURCE.format(name=name, body=body, home=home, style=posixpath.join(posixpath.dirname(home), "_static"))


# Without the theme's sidebars, which would make most of the site's size and of the time to make it.
SOURCE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><link rel="stylesheet" href="{style}/source.css">
<script>document.documentElement.dataset.mode = localStorage.getItem("mode") || "auto";</script></head>
<body><p><a href="{home}">Contents</a></p><h1>{name}</h1>{body}</body></html>
"""


SOURCE_STYLES = ("a11y-high-contrast-light", "a11y-high-contrast-dark")


def _without_plain() -> Any:
    """A filter that leaves no mark on what has the colour of all text: two thirds of a page would be such marks."""
    from pygments.filter import simplefilter
    from pygments.styles import get_style_by_name
    from pygments.token import Text

    styles = [dict(get_style_by_name(name)) for name in SOURCE_STYLES]

    def plain(kind: Any) -> bool:
        while kind not in styles[0]:  # kinds of a single language look like what they are a kind of
            kind = kind.parent
        return all(style[kind] == style[Text] for style in styles)

    @simplefilter
    def filtered(self: Any, lexer: Any, stream: Iterable[Any], options: Any) -> Iterator[Any]:
        for kind, value in stream:
            yield Text if value.isspace() or plain(kind) else kind, value

    return filtered()


def source_style() -> str:
    """Colours of the pages of sources, light and dark: as the reader chose in the book, or else the system."""
    from pygments.formatters import HtmlFormatter

    base = """:root { --page: #fff; --ink: #222; --mark: #fff3bf; --link: #0a6; color-scheme: light dark; }
body { font-family: system-ui, sans-serif; margin: 1rem 2rem; background: var(--page); color: var(--ink); }
h1 { font-size: 1.2rem; } a { color: var(--link); } li { margin: 0.3rem 0; }
pre { font-size: 0.85rem; line-height: 1.4; overflow-x: auto; counter-reset: line; }
pre > span::before { counter-increment: line; content: counter(line); display: inline-block; width: 2.5rem;
  margin-right: 1rem; text-align: right; opacity: 0.5; user-select: none; }
pre > span:target { background: var(--mark); }
"""
    dark = ":root{where} {{ --page: #14181e; --ink: #ced6dd; --mark: #3b3a1e; --link: #5c9; }}\n"

    def colours(style: str, where: str) -> str:
        rules = HtmlFormatter(style=style).get_style_defs(f"{where}pre")
        return "\n".join(line for line in rules.splitlines() if " ." in line)

    light_style, dark_style = SOURCE_STYLES
    return (
        base
        + colours(light_style, "")
        + "\n@media (prefers-color-scheme: dark) {\n"
        + dark.format(where="[data-mode=auto]")
        + colours(dark_style, ":root[data-mode=auto] ")
        + "\n}\n"
        + dark.format(where="[data-mode=dark]")
        + colours(dark_style, ":root[data-mode=dark] ")
        + "\n"
    )


def folder_files(path: str, repository: Repository) -> list[str]:
    """The files that a folder's page lists."""
    return [
        f"{path}/{each.name}"
        for each in sorted((repository.root / path).iterdir())
        if each.is_file() and each.suffix in (".py", ".pyi", ".toml", ".json", ".md") and each.stat().st_size < 200_000
    ]


def _first_line(file: Path) -> str:
    if file.suffix != ".py":
        return ""
    return (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]


def flowchart(mermaid: str) -> str:
    """A Mermaid flowchart, bottom to top, as a picture that needs no script: boxes in rows, each above what it uses.

    Read are `name["label"]` and `lower --> upper`, one a line.
    """
    labels = dict(re.findall(r'^\s*(\w+)\["(.*?)"\]\s*$', mermaid, re.M))
    arrows = re.findall(r"^\s*(\w+) --> (\w+)\s*$", mermaid, re.M)
    for name in (name for arrow in arrows for name in arrow):
        labels.setdefault(name, name)
    row = dict.fromkeys(labels, 0)
    for _ in labels:  # longest way from the bottom
        for low, high in arrows:
            row[high] = max(row[high], row[low] + 1)
    if not labels or max(row.values()) >= len(labels):
        return f"```text\n{mermaid}```"
    rows = [[name for name in labels if row[name] == level] for level in range(max(row.values()) + 1)]
    wide, high, gap = 240, 46, 34
    width = max(len(names) for names in rows) * (wide + gap) + gap
    height = len(rows) * (high + gap) + gap
    place = {
        name: (
            (width - len(names) * (wide + gap) + gap) / 2 + column * (wide + gap),
            height - (level + 1) * (high + gap),
        )
        for level, names in enumerate(rows)
        for column, name in enumerate(names)
    }
    parts = [
        f'<svg class="flowchart" role="img" viewBox="0 0 {width} {height}" style="max-width:{width}px" '
        'xmlns="http://www.w3.org/2000/svg"><title>'
        + html.escape("; ".join(f"{upper} uses {lower}" for lower, upper in arrows))
        + "</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z"/></marker></defs>',
    ]
    for low, upper in arrows:
        (x1, y1), (x2, y2) = place[low], place[upper]
        start, end = (x1 + wide / 2, y1), (x2 + wide / 2, y2 + high)
        middle = (start[1] + end[1]) / 2
        parts.append(
            f'<path class="arrow" marker-end="url(#tip)" d="M{start[0]:.0f} {start[1]:.0f} '
            f'C{start[0]:.0f} {middle:.0f} {end[0]:.0f} {middle:.0f} {end[0]:.0f} {end[1]:.0f}"/>'
        )
    for name, (x, y) in place.items():
        head, _, tail = labels[name].partition(":")
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{wide}" height="{high}" rx="6"/>')
        lines = [f'<tspan class="name" x="{x + wide / 2:.0f}" dy="0">{html.escape(head)}</tspan>']
        lines += [f'<tspan x="{x + wide / 2:.0f}" dy="15">{html.escape(_short(tail.strip()))}</tspan>'] * bool(tail)
        parts.append(f'<text x="{x + wide / 2:.0f}" y="{y + (19 if tail else 27):.0f}">{"".join(lines)}</text>')
    return "".join(parts) + "</svg>"


def _short(text: str, most: int = 42) -> str:
    return text if len(text) <= most else text[: text.rfind(" ", 0, most)] + " …"


def written(path: Path, content: str | bytes) -> None:
    """Write a file unless it says so already; what has not changed is not made again."""
    data = content.encode() if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def as_json(notebook: Mapping[str, Any]) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1)
