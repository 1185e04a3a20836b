"""The web book: a site made from the executed chapters, the exercises, the pages of docs/ and the docstrings.

Sphinx makes it, with its configuration generated here and its sources put together in a folder of their own. No step
needs a network, and no page asks anything of another machine: MathJax comes from the package sphinx-mathjax-offline.
"""

from __future__ import annotations

import ast
import io
import json
import re
import shutil
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pgcourse.course import pages
from pgcourse.course.pages import Repository
from pgcourse.course.runner import CHAPTER, find_chapters, lacking

NEEDED = {"sphinx": "sphinx", "myst_nb": "myst-nb", "sphinx_book_theme": "sphinx-book-theme"}
MATHJAX_PACKAGE = "sphinx-mathjax-offline"  # the folder has the name of the distribution
MATHJAX = "tex-svg-full.js"
MODULES_OF_OTHERS = ("envpool", "minatar", "nbgrader", "ray")  # of extras: docstrings are read without them, too
PROJECT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LEFT_OUT = {"app"}  # of the reference: the commands have a page
RESOURCE = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object|input)\b[^>]*?\b(?:src|srcset|data|poster)\s*=\s*"
    r"""["']?\s*(?P<one>(?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|icon|shortcut|preload|prefetch|preconnect|modulepreload|dns-prefetch))"""
    r"""[^>]*?\bhref\s*=\s*["']?\s*(?P<two>(?:https?:)?//[^"'\s>]+)""",
    re.I,
)
SET_APART = re.compile(r"<(pre|code|script|style)\b.*?</\1>", re.S)  # where dollars are dollars
PAYLOAD = re.compile(r'"data:[^"]*"')  # of pictures inside a page
PROGRESS = re.compile(r"(reading sources|writing output|copying images|highlighting module code)\.*\s*\[\s*(\d+)%\]")
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

Progress = Callable[[str, int], None]
"""Told (what is being done, per cent of it)."""


class BookError(Exception):
    """No book can be made; the message says why and what to do."""


class NotExecuted(BookError):
    """Chapters whose executed copy is missing, older than their text, or broken off; `chapters` are their notebooks."""

    def __init__(self, reasons: Mapping[Path, str]) -> None:
        self.chapters = list(reasons)
        numbers = " ".join(
            match["number"] if (match := CHAPTER.fullmatch(path.stem)) else path.stem for path in reasons
        )
        lines = [f"  {path.stem}: {reason}" for path, reason in reasons.items()]
        super().__init__(
            "the book shows executed chapters, and these are not ready:\n"
            + "\n".join(lines)
            + f"\nExecute them with `pgcourse run {numbers}`, or say `pgcourse book --run`."
        )


@dataclass(frozen=True)
class Book:
    """A site that was made."""

    folder: Path
    pages: int
    size: int  # bytes
    seconds: float

    @property
    def index(self) -> Path:
        return self.folder / "index.html"


def make(
    root: Path,
    *,
    build: Path | None = None,
    out: Path | None = None,
    draft: bool = False,
    fresh: bool = False,
    commands: Mapping[str, str] = {},
    progress: Progress = lambda what, percent: None,
) -> Book:
    """Make the book of the repository `root`.

    What has not changed since the last time is not made again.

    Args:
        build: where executed chapters are and intermediate files go; default `root`/_build.
        out: the site's folder; default `build`/book.
        draft: take chapters that are not ready as they are, with the outputs they have.
        fresh: make everything anew.
        commands: help texts of the command line, by verb, for a page of their own.
        progress: told what is being done.

    Raises:
        NotExecuted: chapters have not run as they stand.
        BookError: a package is missing, a link is dead, or Sphinx warns.
    """
    began = time.monotonic()
    require()
    build = build or root / "_build"
    out = out or build / "book"
    source, cache = build / "book-src", build / "book-cache"
    if out.exists() and any(out.iterdir()) and not (out / "index.html").is_file():
        raise BookError(f"{out} holds something else than a book: name an empty folder, or a new one")
    chapters = find_chapters(root)
    reasons = not_ready(chapters, build)
    if reasons and not draft:
        raise NotExecuted(reasons)
    if fresh:
        shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    progress("putting the pages together", 0)
    repository = assemble(root, build, source, commands)
    warnings = _sphinx(root, source, out, cache, repository, progress)
    if warnings:
        shutil.rmtree(cache, ignore_errors=True)  # or the next build would not read these pages, nor warn of them
        raise BookError(_listed("Sphinx warns of", warnings, source))
    _show_sources(out, repository)
    for path in (out / "_static").rglob("*.map"):  # 3 MB for whoever debugs the theme's scripts
        path.unlink()
    shutil.rmtree(out / "_static" / "locales", ignore_errors=True)  # the theme's words in other languages
    progress("checking links", 0)
    found = list(faults(out))
    if found:
        raise BookError(_listed("the site has", found, out))
    files = [path for path in out.rglob("*") if path.is_file()]
    count = sum(path.suffix == ".html" and "_static" not in path.relative_to(out).parts for path in files)
    return Book(out, count, sum(path.stat().st_size for path in files), time.monotonic() - began)


def require() -> None:
    """Raises BookError where what makes the book is not installed."""
    missing = [package for module, package in NEEDED.items() if not find_spec(module)]
    missing += [MATHJAX_PACKAGE] * (mathjax() is None)
    if missing:
        raise BookError(
            f"not installed: {', '.join(missing)}. `python3 start.py setup book` installs what makes the book, as does "
            "`pip install -c constraints.txt -e .[book]`"
        )


def mathjax() -> Path | None:
    """The script that sets equations, with all of TeX's packages in one file."""
    package = find_spec(MATHJAX_PACKAGE)
    if package is None or package.origin is None:
        return None
    script = Path(package.origin).parent / "static" / "mathjax" / MATHJAX
    return script if script.is_file() else None


def not_ready(chapters: Sequence[Path], build: Path) -> dict[Path, str]:
    """Why a chapter cannot be shown as it ran, for those that cannot. What cannot run here is shown as it stands."""
    reasons = {}
    for chapter in chapters:
        executed = build / chapter.parent.name / chapter.name
        if lacking(chapter):
            continue
        if not executed.is_file():
            reasons[chapter] = "has not run"
            continue
        try:
            ran, text = (json.loads(path.read_text("utf-8"))["cells"] for path in (executed, chapter))
        except (ValueError, KeyError) as error:
            reasons[chapter] = f"not a notebook: {error}"
            continue
        ran = [cell for cell in ran if pages.INJECTED not in cell["metadata"].get("tags", [])]
        code = [cell for cell in ran if cell["cell_type"] == "code" and pages.text_of(cell).strip()]
        if any(output["output_type"] == "error" for cell in code for output in cell["outputs"]):
            reasons[chapter] = "ended with an error"
        elif any(cell["execution_count"] is None for cell in code):
            reasons[chapter] = "did not run to its end"
        elif [pages.text_of(cell) for cell in ran] != [pages.text_of(cell) for cell in text]:
            reasons[chapter] = "has changed since it ran"
    return reasons


# Sources


def assemble(root: Path, build: Path, source: Path, commands: Mapping[str, str] = {}) -> Repository:
    """Put the sources of the site together in the folder `source`; what is there and no longer belongs is removed.

    Raises:
        BookError: a page links to a file that is not there.
    """
    chapters = [f"chapters/{path.name}" for path in find_chapters(root)]
    folders = {
        name: sorted(f"{name}/{path.name}" for path in (root / name).glob(pattern))
        for name, pattern in (("exercises", "*.ipynb"), ("solutions", "*.ipynb"), ("docs", "*.md"))
    }
    project = [name for name in PROJECT_PAGES if (root / name).is_file()]
    repository = Repository(root, {*chapters, *(path for paths in folders.values() for path in paths), *project})
    contents: dict[str, str | bytes] = {}
    openings: dict[str, pages.Opening] = {}
    try:
        for path in chapters:
            executed = build / path
            notebook = _notebook(executed if executed.is_file() else root / path)
            openings[path] = pages.opening(notebook, path)
            exercises = [each for each in folders["exercises"] if Path(each).name == Path(path).name]
            contents[path] = pages.as_json(pages.notebook_page(notebook, path, repository, *map(_exercise, exercises)))
        for path in folders["exercises"] + folders["solutions"]:
            page = pages.notebook_page(_notebook(root / path), path, repository)
            if path.startswith("solutions"):
                page["metadata"] |= {"orphan": True, "nosearch": True}
            contents[path] = pages.as_json(page)
        for path in folders["docs"] + project:
            text = (root / path).read_text("utf-8")
            contents[path] = pages.markdown_page(text, path, repository)
            contents |= {image: (root / image).read_bytes() for image in pages.images(text, path)}
    except pages.DeadLink as error:
        raise BookError(str(error)) from None
    if commands:
        contents["docs/commands.md"] = _commands(commands)
        folders["docs"].append("docs/commands.md")
    reference = dict(_reference(root))
    contents |= {f"reference/{package}.md": text for package, text in reference.items()}
    repository.linked |= {_file(root, module) for module in _modules(root)}
    for folder in [path for path in repository.linked if (root / path).is_dir()]:
        repository.linked |= set(pages.folder_files(folder, repository))
    contents["index.md"] = _front(root, chapters, openings, folders, project, list(reference))
    script = mathjax()
    assert script is not None
    contents[f"_static/{MATHJAX}"] = script.read_bytes()
    contents["_static/course.css"] = CSS
    contents["_static/course.js"] = SCRIPT
    contents["_static/source.css"] = pages.source_style()
    for path, content in contents.items():
        pages.written(source / path, content)
    for file in [each for each in source.rglob("*") if each.is_file()]:
        if file.relative_to(source).as_posix() not in contents:
            file.unlink()
    return repository


def _show_sources(out: Path, repository: Repository) -> None:
    """The pages of files that are no pages of the book, beside those that Sphinx made."""
    made = set()
    for path in sorted(repository.linked):
        page = repository.source_page(path)
        made.add(out / page)
        pages.written(out / page, pages.source_page(path, repository, "../" * page.count("/") + "index.html"))
    for old in (out / "source").rglob("*.html"):
        if old not in made:
            old.unlink()


def _notebook(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BookError(f"{path} is not a notebook: {error}") from None


def _exercise(path: str) -> str:
    return (
        "```{admonition} Work on it\n:class: tip\n"
        f"The graded exercises of this chapter: [{Path(path).stem}](../{path}). "
        f"Open them with `pgcourse lab {path}`; a check in the notebook says at once what an answer lacks.\n```\n"
    )


def _front(
    root: Path,
    chapters: Sequence[str],
    openings: Mapping[str, pages.Opening],
    folders: Mapping[str, Sequence[str]],
    project: Sequence[str],
    reference: Sequence[str],
) -> str:
    """The first page: what it is, the chapters with their questions, and the list of contents."""
    about = _project(root)
    lines = ["# " + about.get("title", "Policy gradient methods"), "", about.get("description", ""), ""]
    if "README.md" in project:
        lines += [*_picture(root / "README.md"), "To run it and to do its exercises, [set it up](README.md#start).", ""]
    lines += ["| chapter | its question | minutes to read |", "| --- | --- | --- |"]
    for path in chapters:
        of = openings[path]
        cells = [f"[{of.title}]({path})", of.question, str(of.minutes or "")]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    lines += [
        "",
        "Every page works without a network. The figures and numbers are those of the run that made this site.",
    ]
    lists = {
        "Chapters": chapters,
        "Exercises": folders["exercises"],
        "Pages": folders["docs"],
        "Reference": [f"reference/{package}.md" for package in reference],
        "Project": project,
    }
    for caption, entries in lists.items():
        if entries:
            lines += ["", "```{toctree}", ":hidden:", ":maxdepth: 1", f":caption: {caption}", "", *entries, "```"]
    return "\n".join(lines) + "\n"


def _picture(readme: Path) -> list[str]:
    """The first picture of a Markdown file, with the paragraph below it."""
    paragraphs = readme.read_text("utf-8").split("\n\n")
    place = next((number for number, text in enumerate(paragraphs) if text.startswith("![")), None)
    return [] if place is None else [line for text in paragraphs[place : place + 2] for line in (text, "")]


def _project(root: Path) -> dict[str, str]:
    """Title, description and repository of pyproject.toml, as far as it says so."""
    path = root / "pyproject.toml"
    project = tomllib.loads(path.read_text("utf-8")).get("project", {}) if path.is_file() else {}
    title, _, rest = project.get("description", "Policy gradient methods").partition(":")
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    url = urls.get("repository") or urls.get("source") or urls.get("homepage") or ""
    description = rest.strip()
    return {
        "name": project.get("name", "pgcourse"),
        "title": title.strip(),
        "description": (description[:1].upper() + description[1:] + ".") if description else "",
        "url": url,
    }


def _commands(commands: Mapping[str, str]) -> str:
    parts = ["# Commands", "", "What `pgcourse VERB --help` says, verb by verb."]
    for verb, text in commands.items():
        parts += ["", f"## pgcourse {verb}", "", "````text", text.rstrip(), "````"]
    return "\n".join(parts) + "\n"


# The reference


def _modules(root: Path) -> list[str]:
    """The public modules, packages included, by their full names: those of the package's folders except `LEFT_OUT`."""
    package = root / "pgcourse"
    names = []
    for file in sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []:
        parts = file.relative_to(root).with_suffix("").parts
        if (len(parts) > 2 and parts[1] in LEFT_OUT) or any(p.startswith("_") and p != "__init__" for p in parts):
            continue
        names.append(".".join(part for part in parts if part != "__init__"))
    return sorted(names)


def _file(root: Path, module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (root / path).is_dir() else f"{path}.py"


def _reference(root: Path) -> Iterator[tuple[str, str]]:
    """(name, page) of every package: its docstring, then its modules with all that is public in them."""
    modules = _modules(root)
    packages = sorted({".".join(module.split(".")[:2]) for module in modules})
    for package in packages:
        inside = [module for module in modules if module.startswith(f"{package}.")] if package.count(".") else []
        lines = [f"# `{package}`", "", "```{eval-rst}", f".. automodule:: {package}"]
        lines += ["   :members:"] * (not inside and package.count(".") > 0) + ["```"]
        for module in inside:
            if not ast.parse((root / _file(root, module)).read_text("utf-8")).body:
                continue
            lines += ["", f"## `{module.removeprefix(package + '.')}`", "", "```{eval-rst}"]
            lines += [f".. automodule:: {module}", "   :members:", "   :ignore-module-all:", "```"]
        yield package, "\n".join(lines) + "\n"


def _read_as_markdown(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with `code` and lists: what else reStructuredText would take for marks is escaped."""
    for number, line in enumerate(lines):
        bullet, text = re.fullmatch(r"(\s*\* )?(.*)", line).groups("")  # type: ignore[union-attr]  # which always matches
        parts = re.split(r"(`+[^`]+`+)", text)
        parts[::2] = [re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
        for place in range(1, len(parts), 2):
            glued = re.match(r"\w", parts[place + 1])  # `nudge`d
            parts[place] = f"``{parts[place].strip('`')}``" + (r"\ " if glued else "")
        lines[number] = bullet + "".join(parts)


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples have docstrings that say nothing."""
    text = getattr(obj, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None


# Sphinx


def _sphinx(root: Path, source: Path, out: Path, cache: Path, repository: Repository, progress: Progress) -> list[str]:
    """Run Sphinx; the warnings it gave."""
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    about = _project(root)

    def source_of(domain: str, info: Mapping[str, str]) -> str | None:
        """Where the reference's [source] leads: pages of the reference and of sources are beside each other."""
        module = info.get("module", "")
        if domain != "py" or not module.startswith("pgcourse"):
            return None
        file = _file(root, module)
        line = repository.line_of(file, info["fullname"])
        return f"../source/{file}.html" + (f"#L-{line}" if line else "")

    class Status(io.StringIO):
        def write(self, text: str) -> int:
            if found := PROGRESS.findall(ANSI.sub("", text)):
                progress(found[-1][0], int(found[-1][1]))
            return len(text)

    options = configuration(about, source_of)
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        try:
            app = Sphinx(source, None, out, cache, "html", options, status=Status(), warning=warnings)
            app.connect("autodoc-process-docstring", _read_as_markdown, priority=400)  # before Google's form is read
            app.connect("autodoc-skip-member", _skip)
            app.build()
        except SphinxError as error:
            return [f"{error.category}: {error}", *_lines(warnings)]
    return _lines(warnings)


def _lines(warnings: io.StringIO) -> list[str]:
    return [line for line in ANSI.sub("", warnings.getvalue()).splitlines() if line.strip()]


def configuration(about: Mapping[str, str], source_of: Callable[..., str | None]) -> dict[str, Any]:
    """Sphinx's options, as conf.py would hold them."""
    theme: dict[str, Any] = {
        "show_navbar_depth": 1,
        "collapse_navbar": True,  # or every page copies the contents of all pages, to throw them away
        "show_toc_level": 2,
        "home_page_in_toc": True,
        "use_download_button": False,
        "navigation_with_keys": False,
        "navbar_persistent": [],  # one box to search, the sidebar's
        "footer_content_items": [],
        "logo": {"text": about["title"]},
        "pygments_light_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
    }
    if about["url"]:
        theme |= {"repository_url": about["url"], "use_repository_button": True}
    return {
        "project": about["title"],
        "html_title": about["title"],
        "language": "en",
        "extensions": [
            "myst_nb",
            "sphinx.ext.mathjax",
            "sphinx.ext.autodoc",
            "sphinx.ext.napoleon",
            "sphinx.ext.linkcode",
        ],
        "exclude_patterns": ["_static"],
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_ipywidgets_js": {},
        "nb_mime_priority_overrides": [("html", "image/gif", 25)],
        "nb_code_prompt_show": "Show the code",
        "nb_code_prompt_hide": "Hide the code",
        "myst_enable_extensions": ["dollarmath", "amsmath"],
        "myst_dmath_double_inline": True,  # $$ within a paragraph, as in a quotation
        "myst_heading_anchors": 4,
        "myst_links_external_new_tab": False,
        "suppress_warnings": ["mystnb.unknown_mime_type"],
        "autodoc_member_order": "bysource",
        "autodoc_use_type_comments": False,
        "autodoc_preserve_defaults": True,  # as written: no paths of this machine, no addresses in memory
        "autodoc_type_aliases": {"ArrayLike": "ArrayLike", "NDArray": "NDArray"},
        "autodoc_typehints_format": "short",
        "autodoc_mock_imports": [name for name in MODULES_OF_OTHERS if not find_spec(name)],
        "python_use_unqualified_type_names": True,
        "python_maximum_signature_line_length": 88,
        "add_module_names": False,
        "toc_object_entries_show_parents": "hide",
        "linkcode_resolve": source_of,
        "mathjax_path": MATHJAX,
        "mathjax3_config": {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}},
        "html_theme": "sphinx_book_theme",
        "html_theme_options": theme,
        "html_static_path": ["_static"],
        "html_css_files": ["course.css"],
        "html_js_files": ["course.js"],
        "html_copy_source": False,
        "html_show_sphinx": False,
        "html_show_copyright": False,
        "html_use_index": True,
    }


CSS = """\
/* Wide tables and code scroll inside their own box, and long names break: the page never scrolls, on a phone either. */
.bd-article { overflow-wrap: break-word; }
.bd-article .pst-scrollable-table-container, .cell_output .text_html { overflow-x: auto; }
:is(.bd-article, .bd-toc) :is(code, .sig) span.pre { white-space: pre-wrap; }
.bd-article :is(code, .sig, h1, h2, h3, .field-list dd), .bd-toc code { overflow-wrap: anywhere; }
:is(.indextable, .indextable a) { overflow-wrap: anywhere; }
.bd-article thead:has(th > p:empty):not(:has(p:not(:empty))) { display: none; } /* Markdown has no table without one */
@media (max-width: 600px) { .indextable td { display: block; width: auto !important; } }
.bd-main .bd-content .bd-article-container { max-width: 70em; }
.bd-article div.highlight pre { font-size: 0.8rem; }
/* Names of options stay whole: a table that is too wide for them scrolls. */
.bd-article .table :is(td, th) code { overflow-wrap: normal; }
.cell_output table { font-size: 0.9em; }
html[data-theme="dark"] .bd-content .cell_output .text_html caption { color: inherit; } /* tables have a light ground */
.cell_output table :is(td, th) { padding: 0.1em 0.6em; } /* those that pandas styles have no style of the theme */
.bd-article .cell_output .stream pre { white-space: pre-wrap; } /* sentences that a program prints, not tables */
@media (min-width: 1200px) { /* a line of code has up to 120 characters; narrow sides make room for it, not for prose */
  .bd-sidebar-primary { flex-basis: 15rem; }
  .bd-sidebar-primary.pst-sidebar-hidden { margin-left: -15rem; }
  :root { --pst-sidebar-secondary: 13.5rem; }
  .bd-sidebar-secondary { width: var(--pst-sidebar-secondary); padding: 0 1rem; }
  .bd-main .bd-content .bd-article-container .bd-article { padding-left: 1.5rem; padding-right: 1rem; }
  .bd-article div.highlight pre { font-size: 0.75rem; }
  .bd-article :is(p, ul, ol, blockquote) { max-width: 52em; }
}
.bd-article td > img, .bd-article td > p > img { min-width: 9rem; }
.cell_output img { max-width: 100%; height: auto; }
html[data-theme="dark"] .cell_output :is(img, .text_html:has(> img)) {
  background: none !important; padding: 0 !important; /* a film's box would be wider than the film */
}
mjx-container:is([display="true"], .wide) { overflow-x: auto; overflow-y: hidden; }
mjx-container.wide { display: block; }
/* The theme gives outputs a light ground in the dark. Tables need it, whose cells may be coloured; claims, explorable
   figures and other text have the colours of the page. */
html[data-theme="dark"] .bd-content .bd-article div.cell_output .text_html:not(:has(table)) {
  background-color: transparent; color: inherit;
}
svg.flowchart { width: 100%; height: auto; display: block; margin: 1rem auto; }
svg.flowchart rect { fill: var(--pst-color-surface); stroke: var(--pst-color-border); }
svg.flowchart text { fill: var(--pst-color-text-base); font-size: 11px; text-anchor: middle; }
svg.flowchart .name { font-weight: 600; font-size: 13px; }
svg.flowchart .arrow { fill: none; stroke: var(--pst-color-text-muted); stroke-opacity: 0.6; }
svg.flowchart marker path { fill: var(--pst-color-text-muted); }
"""


SCRIPT = """\
// An equation inside a line cannot be broken: one that is wider than the page scrolls, in a line of its own.
function fit() {
  for (const each of document.querySelectorAll('mjx-container:not([display="true"])')) {
    each.classList.remove("wide");
    const room = each.closest("p, li, td, th, dd, dt, h1, h2, h3, h4, caption, article").clientWidth;
    each.classList.toggle("wide", each.getBoundingClientRect().width > room + 1);
  }
}
window.addEventListener("load", () => window.MathJax?.startup.promise.then(fit)); // which pages without equations lack
window.addEventListener("resize", fit);
"""


# What a finished site must be


def faults(site: Path) -> Iterator[str]:
    """Requests to other machines, and links within the site that lead nowhere."""
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    files = {name: path for name, path in files.items() if not name.startswith("_static/")}  # templates of the theme
    texts = {name: PAYLOAD.sub('"data:"', path.read_text("utf-8")) for name, path in files.items()}
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in texts.items()}
    for name, text in texts.items():
        for match in RESOURCE.finditer(text):
            yield f"{name} asks for {match['one'] or match['two']}"
        if not name.startswith("source/") and (raw := re.search(r"\$\$.{,40}", SET_APART.sub("", text), re.S)):
            yield f"{name} shows TeX: {raw[0]}"
        yield from _dead(site, name, re.findall(r'<(?:a|link)\b[^>]*?\bhref="([^"]*)"', text), ids)
        yield from _dead(site, name, re.findall(r'<(?:img|script)\b[^>]*?\bsrc="([^"]*)"', text), ids)
    for style in site.rglob("*.css"):
        for address in re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", style.read_text("utf-8")):
            yield f"{style.relative_to(site).as_posix()} asks for {address}"


def _dead(site: Path, name: str, targets: Iterable[str], ids: Mapping[str, set[str]]) -> Iterator[str]:
    folder = (site / name).parent
    for target in dict.fromkeys(map(unescape, targets)):
        if re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.I):
            continue
        file, _, fragment = target.partition("#")
        file = unquote(file.partition("?")[0])
        path = (folder / file).resolve() if file else site / name
        if not path.exists():
            yield f"{name} links to {target}, which is not there"
        elif fragment and path.suffix == ".html":
            known = ids.get(path.relative_to(site.resolve()).as_posix() if file else name, set())
            if unquote(fragment) not in known:
                yield f"{name} links to {target}, and there is no such place"


def _listed(what: str, lines: Sequence[str], folder: Path, most: int = 15) -> str:
    shown = [f"  {line}".replace(f"{folder}/", "") for line in lines[:most]]
    rest = [f"  and {len(lines) - most} more"] * (len(lines) > most)
    return "\n".join([f"{what} {len(lines)} {'faults' if len(lines) > 1 else 'fault'}:", *shown, *rest])
