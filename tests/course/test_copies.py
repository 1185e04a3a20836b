"""One's own copies of the notebooks: what becomes of them when the course changes, or they do."""

import asyncio
import json
import os
import platform
import re
import subprocess
import sys

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tracked import ROOT, notebooks

from pgcourse.app.lab import keep_python_version
from pgcourse.course import expected
from pgcourse.course.copies import changed, copy_of, digest, original, update
from pgcourse.course.runner import find_root
from pgcourse.lab import provenance

CHAPTER, EXERCISE = "chapters/01_first.ipynb", "exercises/01_first.ipynb"
ALL = sorted(notebooks().values())
NAMES = [path.name if path.parent.name == "chapters" else f"{path.parent.name}/{path.name}" for path in ALL]


def write(path, *sources):
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(source) for source in sources]), path)


def sources(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def edit(path, more):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(more))
    nbformat.write(notebook, path)


def said(root):
    return [str(news) for news in update(root)]


@pytest.fixture
def course(tmp_path):
    for name in (CHAPTER, EXERCISE):
        write(tmp_path / name, "first version")
    (tmp_path / "chapters" / "expected").mkdir()
    assert said(tmp_path) == []
    return tmp_path


@pytest.fixture
def mine(course):
    return course / "my" / EXERCISE


def test_every_chapter_and_exercise_has_a_copy(course):
    for name in (CHAPTER, EXERCISE):
        assert sources(course / "my" / name) == ["first version"]
        assert copy_of(course, course / name) == course / "my" / name
        assert original(course / "my" / name) == course / name
        assert copy_of(course, course / "my" / name) == course / "my" / name
    assert changed(course, "exercises") == []
    assert original(course / "solutions" / "x.ipynb") == course / "solutions" / "x.ipynb"


def test_an_untouched_copy_follows_the_course_also_when_it_was_run(course, mine):
    notebook = nbformat.read(mine, as_version=4)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "another"}
    notebook.cells[0].metadata["collapsed"] = True
    nbformat.write(notebook, mine)
    run = mine.read_bytes()
    assert said(course) == []
    assert mine.read_bytes() == run  # with what running it has left there
    write(course / EXERCISE, "second version")
    assert said(course) == [f"my/{EXERCISE}: brought up to date (you had not changed it)"]
    assert sources(mine) == ["second version"]
    assert said(course) == []


def test_outputs_are_no_change_and_text_kind_and_tags_are(tmp_path):
    def of(cell):
        nbformat.write(new_notebook(cells=[cell]), tmp_path / "x.ipynb")
        return digest(tmp_path / "x.ipynb")

    before = of(new_code_cell("1"))
    assert of(new_code_cell("1", execution_count=3, outputs=[new_output("stream", text="1")])) == before
    others = [new_code_cell("2"), new_markdown_cell("1"), new_code_cell("1", metadata={"tags": ["hide-input"]})]
    assert len({before, *map(of, others)}) == 4
    (tmp_path / "x.ipynb").write_text("<<<<<<< ours", "utf-8")
    assert digest(tmp_path / "x.ipynb") is None


def test_one_s_own_work_stays_and_the_newer_version_is_beside_it(course, mine):
    edit(mine, "my answer")
    work, newer = mine.read_bytes(), mine.with_name("01_first.new.ipynb")
    assert said(course) == []
    for version in ("second version", "third version"):
        write(course / EXERCISE, version)
        offer = f"my/{EXERCISE}: yours, and stays; the course's newer version is beside it: 01_first.new.ipynb"
        assert said(course) == [offer]
        assert sources(newer) == [version]
        assert mine.read_bytes() == work
        assert said(course) == []
    assert changed(course, "exercises") == [mine]
    assert original(newer) == course / EXERCISE


def test_a_newer_version_that_was_taken_away_is_not_offered_again(course, mine):
    edit(mine, "my answer")
    write(course / EXERCISE, "second version")
    update(course)
    mine.with_name("01_first.new.ipynb").unlink()
    assert said(course) == []
    assert not mine.with_name("01_first.new.ipynb").exists()
    write(course / EXERCISE, "third version")
    assert len(said(course)) == 1
    assert sources(mine.with_name("01_first.new.ipynb")) == ["third version"]


def test_work_in_the_newer_version_is_kept_too(course, mine):
    edit(mine, "my answer")
    write(course / EXERCISE, "second version")
    update(course)
    newer = mine.with_name("01_first.new.ipynb")
    edit(newer, "my answer, in the new one")
    write(course / EXERCISE, "third version")
    assert said(course)[0].endswith("beside it: 01_first.new2.ipynb")
    assert sources(newer) == ["second version", "my answer, in the new one"]
    assert changed(course, "exercises") == [mine, newer]


def test_who_takes_the_newer_version_follows_the_course_again(course, mine):
    edit(mine, "my answer")
    write(course / EXERCISE, "second version")
    update(course)
    mine.with_name("01_first.new.ipynb").replace(mine)
    assert said(course) == []
    write(course / EXERCISE, "third version")
    assert said(course) == [f"my/{EXERCISE}: brought up to date (you had not changed it)"]


def test_who_deletes_the_own_work_begins_again(course, mine):
    edit(mine, "my answer")
    write(course / EXERCISE, "second version")
    update(course)
    mine.unlink()
    update(course)
    assert sources(mine) == ["second version"]
    assert [path.name for path in mine.parent.glob("*.ipynb")] == [mine.name]


def test_a_lost_list_of_copies_loses_no_work(course, mine):
    edit(mine, "my answer")
    work = mine.read_bytes()
    (course / "my" / ".copied.json").unlink()
    write(course / CHAPTER, "second version")
    assert len(said(course)) == 2  # nobody knows any more that the chapter was untouched
    assert mine.read_bytes() == work
    assert said(course) == []


def test_what_the_course_no_longer_has_goes_only_if_untouched(course, mine):
    edit(mine, "my answer")
    for name in (CHAPTER, EXERCISE):
        (course / name).unlink()
    write(course / "chapters/02_other.ipynb", "other")
    assert said(course) == [f"my/{CHAPTER}: removed (you had not changed it, and the course no longer has it)"]
    assert mine.exists()
    assert changed(course, "exercises") == [mine]
    assert said(course) == []


def test_an_unfinished_merge_leaves_the_copy_alone(course, mine):
    (course / EXERCISE).write_text("<<<<<<< ours", "utf-8")
    before = mine.read_bytes()
    assert said(course) == [f"{EXERCISE}: not a notebook (a merge that was not finished?), so your copy is as it was"]
    assert mine.read_bytes() == before


# What a notebook in my/ finds


def test_a_copy_belongs_to_the_clone_and_its_claims_to_the_chapter(course, monkeypatch):
    for folder in ("chapters", "exercises", "."):
        monkeypatch.chdir(course / "my" / folder)
        assert provenance.repository() == find_root() == course
    for name in ("01_first.ipynb", "01_first.new.ipynb", "01_first.new2.ipynb"):
        assert expected.path_for(course / "my/chapters" / name) == course / "chapters/expected/01_first.toml"
    assert expected.path_for(course / CHAPTER) == course / "chapters/expected/01_first.toml"


def test_a_clone_that_is_called_my_is_a_clone(tmp_path, monkeypatch):
    (tmp_path / "my").mkdir()
    write(tmp_path / "my" / CHAPTER, "chapter")
    monkeypatch.chdir(tmp_path / "my")
    assert find_root() == tmp_path / "my"
    assert expected.path_for(tmp_path / "my" / CHAPTER) == tmp_path / "my/chapters/expected/01_first.toml"


def test_links_lead_where_the_course_s_lead(course):
    (course / "docs").mkdir()
    (course / "docs" / "page.md").write_text("", "utf-8")
    text = "[a](../docs/page.md#x) [b](../exercises/01_first.ipynb) [c](01_first.ipynb) [d](https://x.org/../y)"
    write(course / CHAPTER, text)
    update(course)
    (copied,) = sources(course / "my" / CHAPTER)
    assert copied == text.replace("../docs", "../../docs")
    for link in re.findall(r"\((?!https)([^)#]+)", copied):
        assert (course / "my" / "chapters" / link).is_file(), link


# What Jupyter writes


def saved(folder, name, kernel):
    """The notebook's bytes before and after it is opened with a kernel and saved, by Jupyter's own contents manager."""

    async def go():
        manager = AsyncFileContentsManager(root_dir=str(folder))
        manager.register_pre_save_hook(keep_python_version)
        model = await manager.get(name)
        model["content"]["metadata"].update(kernel)  # as JupyterLab does once the kernel has answered
        await manager.save({key: model[key] for key in ("type", "format", "content")}, name)

    before = (folder / name).read_bytes()
    asyncio.run(go())
    return before, (folder / name).read_bytes()


@pytest.fixture(scope="module")
def kernel():
    """What JupyterLab notes about the kernel."""
    from ipykernel.ipkernel import IPythonKernel

    spec = KernelSpecManager().get_kernel_spec("python3")
    language = IPythonKernel.language_info
    return {
        "kernelspec": {"display_name": spec.display_name, "language": spec.language, "name": "python3"},
        "language_info": json.loads(json.dumps(language)),
    }


@pytest.mark.parametrize("path", ALL, ids=NAMES)
def test_opening_and_saving_changes_nothing(path, kernel, tmp_path):
    (tmp_path / path.name).write_bytes(path.read_bytes())
    before, after = saved(tmp_path, path.name, kernel)
    assert after == before, f"put right by opening and saving it: pgcourse lab --originals {path.name}"


def test_another_python_changes_nothing_and_another_kernel_does(kernel, tmp_path):
    (tmp_path / "x.ipynb").write_bytes(ALL[0].read_bytes())
    newer = kernel["language_info"] | {"version": "3.99.1"}
    before, after = saved(tmp_path, "x.ipynb", kernel | {"language_info": newer})
    assert after == before
    _, after = saved(tmp_path, "x.ipynb", {"language_info": {"name": "R", "version": "5"}})
    assert json.loads(after)["metadata"]["language_info"] == {"name": "R", "version": "5"}


def test_a_copy_names_the_python_that_is_here(course):
    notebook = nbformat.read(course / CHAPTER, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "2.7"}
    notebook.cells.append(new_code_cell("1"))
    nbformat.write(notebook, course / CHAPTER)
    update(course)
    copied = nbformat.read(course / "my" / CHAPTER, as_version=4)
    assert copied.metadata["language_info"]["version"] == platform.python_version()


# One thread


def kernel_threads(before, **environment):
    """Threads of torch in a notebook that somebody else's Jupyter runs, after what `before` does."""
    program = f"""
import types, IPython
IPython.get_ipython = lambda: types.SimpleNamespace(kernel=1)
{before}
import pgcourse, torch
print(torch.get_num_threads())
"""
    variables = {name: value for name, value in os.environ.items() if "THREADS" not in name} | environment
    done = subprocess.run([sys.executable, "-c", program], env=variables, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() + done.stderr


def test_a_notebook_trains_on_one_thread_wherever_it_is_opened():
    assert kernel_threads("import torch; torch.set_num_threads(2)") == "1"
    assert kernel_threads("") == "1"


def test_who_asked_for_threads_gets_them():
    assert kernel_threads("", OMP_NUM_THREADS="2") == "2"
