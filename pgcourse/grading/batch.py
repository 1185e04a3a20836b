"""Many submissions: which there are, several graded at a time, each a line of JSON as it ends, and going on later.

A folder of grades holds `grades.jsonl`, first what was graded how, then a row for each submission as it was finished;
and `replies/`, what each answered, so that a check which is added later is judged without running them again.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import json
import os
import queue
import re
import secrets
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from pgcourse.grading import catalogue, report
from pgcourse.grading.catalogue import EXERCISES
from pgcourse.grading.exercise import Check, Examination, Exercise, plain
from pgcourse.grading.grade import NOTEBOOK_BYTES, chapter_in, chapters, grade, other_chapter, read_file
from pgcourse.grading.process import Host
from pgcourse.grading.sandbox import CannotGrade, Sandbox

Row = dict[str, Any]

ROWS = "grades.jsonl"
REPLIES = "replies"
LOCK = ".lock"
# What learners, browsers, JupyterLab and learning platforms add to the name of a later version. A date is none of it.
COPY = re.compile(r"(?: ?\((\d+)\)|-Copy(\d+)|(?<!\d)[ _-]v?(\d{1,3}))$", re.I)
# Whose a file is, and a number that grows with every version. Numbers of students stay: two may have the same name.
PLATFORM = re.compile(
    r"([^\W_]+)(?:_LATE)?(_\d{3,})_(\d{5,})(?:_|$)"  # Canvas
    r"|(.+)_attempt_(\d{4}(?:-\d\d){5})(?:_|$)"  # Blackboard
    r"|(.+_\d+)_assignsubmission_[a-z]+(?:_|$)"  # Moodle
)
ARCHIVE = re.compile(r"\.(zip|tar|t?gz|7z|rar)$", re.I)
RENAMED = re.compile(r"\.ipynb\.\w+$", re.I)  # by a browser that took it for text
PATH_LENGTH = 4096


@dataclass(frozen=True)
class HandedIn:
    """A file that looks like a submission; `refused` says why it is none."""

    path: Path
    student: str
    chapter: str = ""  # where its name, or the instructor, says it
    copy: int = 0  # the number that tells a later version
    refused: str = ""
    name: str = ""  # the path as text that no other one has


def find(paths: Sequence[Path], chapter: str | None = None) -> list[HandedIn]:
    """The notebooks named, and all those in the folders named, with whose they are.

    The student is the folder below the one named; for a notebook that lies in it directly, its name before the
    chapter, see `chapter_in`. If that is empty and more than one folder is named, it is the name of this one, as for
    `submissions/*/*.ipynb`. Links are not followed.

    Args:
        chapter: that of all of them; None to read it off each one's name.

    Raises:
        CannotGrade: a path that does not exist, nothing to grade, or no such chapter.
    """
    try:
        chapter = chapter and EXERCISES.chapter(chapter)
    except ValueError:
        raise CannotGrade(f"{chapter}: no such chapter; say --chapter with one of: {', '.join(chapters())}") from None
    found: dict[Path, HandedIn] = {}
    several = len({path if path.is_dir() else path.parent for path in paths}) > 1
    for path in paths:
        if path.is_dir() and path.suffix != ".ipynb":
            inside = {one.path: one for one in _inside(path, several, chapter)}
            if not any(one.path.suffix.lower() == ".ipynb" for one in inside.values()):
                raise CannotGrade(f"no notebook (*.ipynb) in the folder {path}")
            found |= inside
        elif os.path.lexists(path):
            found[path] = _found(path, path.parent, several, chapter)
        else:
            raise CannotGrade(f"no such file or folder: {path}")
    taken: Counter[str] = Counter()
    named = []
    for one in found.values():
        name = plain(str(one.path), PATH_LENGTH)
        taken[name] += 1  # characters that cannot be shown look alike
        named.append(replace(one, name=name if taken[name] == 1 else f"{name} [{taken[name]}]"))
    return named


def _inside(folder: Path, several: bool, chapter: str | None) -> list[HandedIn]:
    """The notebooks in a folder, and what may be the submission of somebody who handed in none of that chapter."""
    found: list[HandedIn] = []
    others: list[HandedIn] = []
    below: list[Path] = []

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        student = (path.relative_to(folder).parts or (folder.name,))[0]
        found.append(HandedIn(path, _student(student), refused=f"cannot be read: {error.strerror}"))

    for root, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(root)
        folders[:] = sorted(name for name in folders if not _aside(here / name))
        for name in [name for name in folders if (here / name).is_symlink() or name.endswith(".ipynb")]:
            folders.remove(name)
            found.append(_found(here / name, folder, several, chapter))
        for name in sorted(files):
            one = _found(here / name, folder, several, chapter)
            if name.lower().endswith(".ipynb"):
                found.append(one)
            elif ARCHIVE.search(name):
                others.append(replace(one, refused="an archive: unpack it"))
            elif not name.startswith("."):
                others.append(replace(one, refused="its name does not end in .ipynb: rename it if it is a notebook"))
        if here == folder:
            below = [folder / name for name in folders]
    students = {one.student for one in found}
    handed_in = {(one.student, one.chapter) for one in found if not one.refused}
    missed: dict[object, HandedIn] = {}
    for one in others:
        flat = one.path.parent == folder
        if ARCHIVE.search(one.path.name) or RENAMED.search(one.path.name):
            missed[one.path] = one
        elif (one.student, one.chapter) not in handed_in if one.chapter else flat and one.student not in students:
            missed.setdefault(one.path if flat else (one.student, one.chapter), one)
    students |= {one.student for one in missed.values()}
    nothing = [HandedIn(path, _student(path.name), refused="no notebook (*.ipynb) in it") for path in below]
    return [*found, *missed.values(), *(one for one in nothing if one.student not in students)]


def made_by_macos(path: Path) -> bool:
    """Whether it is what macOS puts into an archive beside the files themselves."""
    return "__MACOSX" in path.parts or path.name.startswith("._")


def _aside(folder: Path) -> bool:
    """Whether it is none of a student's: hidden, such as .ipynb_checkpoints, or a folder of grades."""
    return folder.name.startswith(".") or folder.name == "__pycache__" or (folder / ROWS).is_file()


def _student(name: str) -> str:
    student, _, _ = _platform(name)
    return plain(unicodedata.normalize("NFC", student or name))  # macOS takes letters and accents apart


def _platform(name: str) -> tuple[str, int, str]:
    """A name that a learning platform made: the student, the number of the version, and the rest; ("", 0, all) else."""
    if not (match := PLATFORM.match(name)):
        return "", 0, name
    number = re.sub(r"\D", "", match[3] or match[5] or "0")
    return "".join(filter(None, match.group(1, 2, 4, 6))), int(number), name[match.end() :]


def _found(path: Path, folder: Path, several: bool, chapter: str | None) -> HandedIn:
    inside = path.relative_to(folder)
    flat = len(inside.parts) == 1
    student, number, rest = _platform(inside.stem if flat else inside.parts[0])
    match = COPY.search(inside.stem)
    copy = number or int(match[match.lastindex or 0] if match else 0)
    unknown = ""
    try:
        chapter, before = chapter_in(rest if flat else inside.stem, chapter)
    except CannotGrade as error:
        chapter, before, unknown = "", inside.stem, str(error)
    alone = path.absolute().parent.name if several else ""
    student = student or (before.strip(" _-") or alone or inside.stem if flat else inside.parts[0])
    refused = unknown
    if path.is_symlink():
        refused = "a link: hand in the file itself"
    elif path.is_dir():
        refused = "a folder, not a notebook's file"
    elif not path.is_file():
        refused = "no ordinary file (a FIFO, a socket or a device)"
    elif made_by_macos(inside):
        refused = "made by macOS beside the notebook itself; there is no code in it"
    elif (size := path.stat().st_size) > NOTEBOOK_BYTES:
        limit = f"{NOTEBOOK_BYTES >> 20} MB"
        refused = f"the notebook has {size >> 20} MB, more than {limit}: clear its outputs and try again"
    return HandedIn(path, _student(student), chapter, copy, refused)


def private_checks(path: Path) -> Mapping[str, Sequence[Check]]:
    """The checks that an instructor keeps to himself: `CHECKS` in a Python file, checks by name for each exercise.

    Raises:
        CannotGrade: no such file, or none that defines them.
    """
    spec = importlib.util.spec_from_file_location("private_checks", path)
    if spec is None or spec.loader is None:
        raise CannotGrade(f"{path}: a file of Python is wanted, whose name ends in .py")
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        checks = {
            exercise: tuple(replace(check, name=name) for name, check in some.items())
            for exercise, some in module.CHECKS.items()
        }
    except Exception as error:  # it is the instructor's own code
        raise CannotGrade(f"{path}: {type(error).__name__}: {error}") from error
    if unknown := [name for name in checks if name not in EXERCISES]:
        raise CannotGrade(f"{path}: no exercise is called {', '.join(map(repr, unknown))}")
    for exercise, some in checks.items():
        for check in some:
            if isinstance(check.points, bool) or not isinstance(check.points, int) or check.points < 0:
                raise CannotGrade(
                    f"{path}: {exercise}, {check.name!r}: points are a whole number, got {check.points!r}"
                )
            if not check.cases and not check.play:
                raise CannotGrade(f"{path}: {exercise}, {check.name!r} asks nothing: give it cases, or a `play`")
            if check.name in [one.name for one in EXERCISES[exercise].checks]:
                raise CannotGrade(f"{path}: {exercise} has a check {check.name!r} already; call yours otherwise")
            try:
                for call in EXERCISES[exercise].calls(check, np.random.default_rng(0)):
                    if not check.accept:
                        EXERCISES[exercise].expected(call, check)
            except Exception as error:
                raise CannotGrade(f"{path}: {exercise}, {check.name!r}: {type(error).__name__}: {error}") from error
    return checks


def settings(folder: Path) -> Row:
    """The settings of the grades in a folder, to go on with; none where there are no grades."""
    header, _ = _read(folder)
    return dict((header or {}).get("settings", {}))


def _read(folder: Path) -> tuple[Row | None, dict[str, Row]]:
    """How the submissions in a folder of grades were graded last, and their rows by name."""
    header, rows = None, {}
    path = folder / ROWS
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:  # cut off when the computer went down
            continue
        if "seed" in row:
            header = row
        else:
            rows[row["path"]] = row
    return header, rows


class Batch:
    """Submissions to grade, and what became of them.

    Args:
        submissions: as `find` gives them.
        seed: draws the inputs of the checks; None draws the seed itself, or takes that of the grades to go on with.
        private: a file of checks added to the exercises', see `private_checks`.
        folder: where rows and replies are kept; None keeps none.
        resume: go on with the grades in the folder: what was graded with these checks is not graded again, and where a
            check has changed, what a submission replied to it is judged anew.
        chosen: settings to keep with the grades, see `settings`.

    Raises:
        CannotGrade: grades are in the folder already, or were made with another seed or sandbox, or of more files; or
            it cannot be written to; or the private checks are none.
    """

    def __init__(
        self,
        submissions: Sequence[HandedIn],
        sandbox: Sandbox,
        seed: int | None = None,
        private: Path | None = None,
        folder: Path | None = None,
        resume: bool = False,
        chosen: Mapping[str, str] | None = None,
    ) -> None:
        self.chosen = dict(chosen or {})
        self.submissions = submissions
        self.sandbox = sandbox
        self.private = private_checks(private) if private else {}
        self.private_source = private.read_bytes() if private else b""
        self.folder = folder
        self.rows: dict[str, Row] = {}
        self.examinations: dict[str, Examination] = {}
        earlier = self._earlier(resume) if folder else None
        if earlier and seed is not None and seed != earlier["seed"]:
            raise CannotGrade(f"the grades in {folder} were drawn with --seed {earlier['seed']}, not {seed}")
        if earlier and earlier["sandbox"] != sandbox.name:
            was = earlier["sandbox"]
            raise CannotGrade(f"the grades in {folder} were made with --sandbox {was}, not {sandbox.name}")
        self._all_among(submissions)
        drawn = secrets.randbelow(2**31) if len(submissions) > 1 else 1
        self.seed: int = seed if seed is not None else earlier["seed"] if earlier else drawn
        if folder:
            with _writing(folder):
                (folder / REPLIES).mkdir(parents=True, exist_ok=True)
        self._begin = "a" if earlier else "x"  # how the file of grades is opened first

    @property
    def header(self) -> Row:
        return {**report.header(self.sandbox, self.seed), "settings": self.chosen}

    def _earlier(self, resume: bool) -> Row | None:
        """The header of the grades to go on with, after their rows were read."""
        assert self.folder
        path = self.folder / ROWS
        if not path.exists():
            return None
        if not resume:
            raise CannotGrade(f"{path} exists: go on with it by --resume, or choose another folder with --out")
        header, self.rows = _read(self.folder)
        if header is None:
            raise CannotGrade(f"{path} holds no grades: choose another folder with --out")
        return header

    def _all_among(self, submissions: Sequence[HandedIn]) -> None:
        """Raises `CannotGrade` where a gradebook would take the place of one that has more submissions."""
        files = {str(found.path.absolute()) for found in submissions}
        students = {found.student for found in submissions}
        left_out = [
            row["path"]
            for row in self.rows.values()
            if (file := row.get("file", os.path.abspath(row["path"]))) not in files
            and (row["state"] == "graded" or row["student"] not in students)
            and os.path.lexists(file)  # otherwise it was renamed or taken away
        ]
        if left_out:
            raise CannotGrade(
                f"{len(left_out)} of the submissions in {self.folder} are not among these paths, such as "
                f"{min(left_out)}: name all of them again, none is graded twice"
            )

    def _write(self, row: Row, mode: str = "a") -> None:
        assert self.folder
        with _writing(self.folder), (self.folder / ROWS).open(mode, encoding="utf-8") as file:
            # An empty line if the one before was cut off when the disk was full.
            file.write("\n" * ("seed" in row and mode == "a") + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def exercises(self, chapter: str) -> list[Exercise]:
        """A chapter's exercises, with the private checks."""
        return [
            replace(exercise, checks=(*exercise.checks, *self.private.get(exercise.name, ())))
            for exercise in EXERCISES.of(chapter)
        ]

    def run(self, jobs: int = 1) -> Iterator[Row]:
        """Grade what is not graded yet, and yield each row as it is done; the first ones are those that were.

        A submission that cannot be graded is a row with the reason and costs no other one anything.

        Raises:
            CannotGrade: the folder is full, or somebody else is grading into it, or has begun to.
        """
        with self._alone():
            if self.folder:
                self._write(self.header, self._begin)
                self._begin = "a"
            yield from self._run(jobs)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self.folder is None:
            yield
            return
        try:
            with FileLock(self.folder / LOCK).acquire(timeout=0):
                yield
        except Timeout:
            raise CannotGrade(f"somebody else is grading into --out {self.folder}: choose another folder") from None

    def _run(self, jobs: int) -> Iterator[Row]:
        done = {found.name: row for found in self.submissions if (row := self._done(found))}
        yield from done.values()
        waiting: queue.SimpleQueue[HandedIn] = queue.SimpleQueue()
        rows: queue.SimpleQueue[Row] = queue.SimpleQueue()
        left = [found for found in self.submissions if found.name not in done]
        for found in left:
            waiting.put(found)
        over = threading.Event()
        hosts = [Host(self.sandbox) for _ in range(min(jobs, len(left)))]
        threads = [threading.Thread(target=self._work, args=(host, waiting, rows, over)) for host in hosts]
        try:
            for thread in threads:
                thread.start()
            for _ in left:
                row = rows.get()
                self.rows[row["path"]] = row
                if self.folder:
                    self._write(row)
                yield row
        finally:
            over.set()
            for host in hosts:
                host.end()  # and what is still running in it
            for thread in threads:
                thread.join()

    def _work(
        self,
        host: Host,
        waiting: queue.SimpleQueue[HandedIn],
        rows: queue.SimpleQueue[Row],
        over: threading.Event,
    ) -> None:
        with host:
            while not over.is_set():
                try:
                    found = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    row = self._row(found, host)
                except Exception as error:  # a fault of the grader's, or of the computer's: the others go on
                    words = error.strerror if isinstance(error, OSError) else error  # and no path of the computer's
                    row = self._refused(found, f"{type(error).__name__} in the grader: {words}")
                    with contextlib.suppress(Exception):
                        host.close()
                if not over.is_set():  # otherwise its process was taken away from it
                    rows.put(row)

    def _row(self, found: HandedIn, host: Host) -> Row:
        try:
            if found.refused:
                raise CannotGrade(found.refused)
            exercises = self.exercises(found.chapter)
            content = read_file(found.path)
            if other := other_chapter(content, found.chapter):
                raise CannotGrade(f"taken for chapter {found.chapter}, but it holds the answers of {other}")
            digest = hashlib.sha256(content).hexdigest()
            kept = self._kept(digest)
            graded = grade(content, exercises, host, self.seed, kept, self.examinations)
            if graded.unreadable:
                raise CannotGrade(graded.unreadable)
            self._keep(digest, kept)
        except CannotGrade as error:
            return self._refused(found, str(error))
        return {
            **self._about(found),
            "judged_by": self._judged_by(found.chapter),
            "sha256": digest,
            **report.row(graded),
        }

    def _about(self, found: HandedIn) -> Row:
        modified = 0.0  # of what is gone by now
        with contextlib.suppress(OSError):
            modified = found.path.lstat().st_mtime
        return {
            "path": found.name,
            "file": str(found.path.absolute()),
            "student": found.student,
            "chapter": found.chapter,
            "copy": found.copy,
            "modified": modified,
        }

    def _refused(self, found: HandedIn, reason: str) -> Row:
        return {**self._about(found), "state": f"not graded: {plain(reason)}"}

    def _done(self, found: HandedIn) -> Row | None:
        """The row of a submission that was graded before, with the same checks and the same content."""
        row = self.rows.get(found.name)
        if row is None or "sha256" not in row or found.refused:
            return None
        try:
            content = hashlib.sha256(read_file(found.path)).hexdigest()
            judged_by = self._judged_by(found.chapter)
        except CannotGrade:
            return None
        same = (row["sha256"], row.get("judged_by")) == (content, judged_by)
        return {**row, **self._about(found)} if same else None

    def _judged_by(self, chapter: str) -> str:
        """A digest of what a chapter's submissions are judged by."""
        return hashlib.sha256(catalogue.digest(chapter).encode() + self.private_source).hexdigest()

    def _kept(self, digest: str) -> dict[str, Any]:
        if self.folder and (path := self.folder / REPLIES / f"{digest}.json.gz").exists():
            try:
                kept = json.loads(gzip.decompress(path.read_bytes()))
                if kept["seed"] == self.seed:
                    return dict(kept)
            except (OSError, EOFError, ValueError, KeyError, gzip.BadGzipFile):
                pass  # damaged: it is asked again
        return {}

    def _keep(self, digest: str, kept: dict[str, Any]) -> None:
        if self.folder and kept:
            path = self.folder / REPLIES / f"{digest}.json.gz"
            partial = path.with_suffix(f".{threading.get_ident()}")
            partial.write_bytes(gzip.compress(json.dumps({**kept, "seed": self.seed}).encode(), compresslevel=3))
            partial.replace(path)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises `CannotGrade` where a file there cannot be written."""
    try:
        yield
    except FileExistsError:
        raise CannotGrade(f"somebody else has begun to grade into --out {folder}: choose another folder") from None
    except OSError as error:
        raise CannotGrade(
            f"nothing can be written to --out {folder}: {error.strerror}. What was graded there before is kept, and "
            "--resume goes on with it"
        ) from None


def mark_resubmissions(rows: Sequence[Row], which: str) -> list[str]:
    """Where a student handed in a chapter more than once, `counts` is true for one of them: the latest or the best.

    What could not be graded never takes the place of what was. Where numbers and times leave open which is the latest,
    it is the one with more points.

    Returns:
        A remark for each student who has more points in another version.
    """
    versions: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        row["counts"] = True
        if row["chapter"]:
            versions.setdefault((row["student"], row["chapter"]), []).append(row)
    remarks = []
    for (student, chapter), several in versions.items():
        best = max(several, key=lambda row: (row.get("points", -1), *_order(row)))
        chosen = best if which == "best" else max(several, key=_order)
        for row in several:
            row["counts"] = row is chosen
            row["versions"] = len(several)
        if more := best.get("points", 0) - chosen.get("points", 0):
            remarks.append(f"{student}, {chapter}: {chosen['path']} counts, but {best['path']} has {more} points more")
    return remarks


def _order(row: Row) -> tuple[Any, ...]:
    return row["state"] == "graded", row["copy"], row["modified"], row.get("points", 0), row["path"]
