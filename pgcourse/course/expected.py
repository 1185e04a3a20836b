"""Expected values of a chapter's claims: the committed files `chapters/expected/NN_name.toml`.

One class for each kind of statement; its fields are the keys of the file. `pgcourse.course.claims` describes both.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pgcourse.course.copies import original
from pgcourse.stats import student_t

if TYPE_CHECKING:
    from pgcourse.course.claims import Claim, Number

PROFILES = ("quick", "full")
RTOL, ATOL = 1e-5, 1e-8  # numpy.allclose's
GAP = ""  # in a table; TOML has no null
INTERVAL_LEVEL = 0.999


class Expectation(Protocol):
    """What the file says of one claim."""

    kind: ClassVar[str]

    def objection(self, claim: Claim) -> str | None:
        """Why the claim does not satisfy this, in words; None if it does."""

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> Expectation:
        """What to commit for this claim, `before` being the entry so far (hand-written tolerances are kept).

        Raises:
            ValueError: the claim is not one that can be committed.
        """


@dataclass(frozen=True)
class Close:
    """|x - value| ≤ atol + rtol · |value|; booleans must be equal."""

    kind: ClassVar[str] = "close"
    value: Number
    rtol: float = RTOL
    atol: float = ATOL

    def objection(self, claim: Claim) -> str | None:
        if objection := _other_tolerance(claim, self):
            return objection
        if isinstance(claim.value, bool) or isinstance(self.value, bool):
            same = claim.value is self.value
        else:
            same = abs(claim.value - self.value) <= self.atol + self.rtol * abs(self.value)
        return None if same else f"{claim.value!r} is not {self.value!r} (rtol {self.rtol}, atol {self.atol})"

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> Close:
        return cls(claim.value, *_tolerances(claim, before))


@dataclass(frozen=True)
class Exact:
    """The same bits where `platform` is that of the committed run, `close` elsewhere."""

    kind: ClassVar[str] = "exact"
    value: Number
    platform: str
    rtol: float = RTOL
    atol: float = ATOL

    def objection(self, claim: Claim) -> str | None:
        if claim.platform != self.platform:
            return Close(self.value, self.rtol, self.atol).objection(claim)
        if repr(claim.value) != repr(self.value):  # repr tells every float apart, and -0.0 from 0.0
            return f"{claim.value!r} is not exactly {self.value!r}, on the same platform"
        return None

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> Exact:
        return cls(claim.value, str(claim.platform), *_tolerances(claim, before))


@dataclass(frozen=True)
class OverSeeds:
    """|mean of n seeds - mean| ≤ t · sd · √(2/n), t the quantile of Student's t with n - 1 degrees of freedom."""

    kind: ClassVar[str] = "interval"
    mean: float
    sd: float
    n: int

    @property
    def half_width(self) -> float:
        quantile = student_t((1 + INTERVAL_LEVEL) / 2, self.n - 1)
        return float(quantile * self.sd * math.sqrt(2 / self.n))

    def objection(self, claim: Claim) -> str | None:
        if claim.seeds != (self.n,):
            return f"{claim.seeds[0]} seeds recorded, {self.n} committed"
        if abs(claim.value - self.mean) <= self.half_width:
            return None
        low, high = self.mean - self.half_width, self.mean + self.half_width
        return f"mean {claim.value:.6g} lies outside [{low:.6g}, {high:.6g}]"

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> OverSeeds:
        if claim.sd == 0:
            raise ValueError(f"all {claim.seeds[0]} seeds gave {claim.value}: no spread, no interval; state a bound")
        return cls(float(claim.value), claim.sd, claim.seeds[0])


@dataclass(frozen=True)
class Order:
    """Bounds that the whole 95 % interval of the value clears, or `inconclusive`: the interval has 0 in it.

    The bounds decide; value, lower, upper and n tell the reader by how much they were cleared.
    """

    kind: ClassVar[str] = "order"
    value: Number
    above: Number | None = None
    below: Number | None = None
    inconclusive: bool = False
    lower: float | None = None
    upper: float | None = None
    n: Sequence[int] = ()

    def objection(self, claim: Claim) -> str | None:
        stated = (claim.above, claim.below, claim.inconclusive)
        committed = (self.above, self.below, self.inconclusive)
        if stated != committed:
            return f"the notebook says {_statement(*stated)}, the file {_statement(*committed)}"
        if self._sizes(claim) != list(self.n):
            return f"{self._sizes(claim)} seeds recorded, {list(self.n)} committed"
        return claim.objection()

    @staticmethod
    def _sizes(claim: Claim) -> list[int]:
        return [] if claim.seeds == (1,) else list(claim.seeds)

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> Order:
        objection = claim.objection()
        if objection:
            raise ValueError(objection)
        spread = {} if claim.seeds == (1,) else {"lower": claim.lower, "upper": claim.upper}
        return cls(claim.value, claim.above, claim.below, claim.inconclusive, **spread, n=cls._sizes(claim))


@dataclass(frozen=True)
class Table:
    """The same rows and columns, the same words and gaps (`""`) in them, and every number close."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rtol: float = RTOL
    atol: float = ATOL
    rows: Mapping[str, Sequence[Number | str]] = field(default_factory=dict)  # a table of the file's own: comes last

    def objection(self, claim: Claim) -> str | None:
        if objection := _other_tolerance(claim, self):
            return objection
        for what, labels, names in (("columns", claim.columns, self.columns), ("rows", claim.rows, [*self.rows])):
            if list(labels) != list(names):
                return f"the table's {what} are {', '.join(labels)}; in the file {', '.join(names)}"
        places = [(row, column) for row in claim.rows for column in claim.columns]
        committed = (entry for row in self.rows.values() for entry in row)
        wrong = [
            (*place, found, known)
            for place, found, known in zip(places, claim.entries, committed, strict=True)
            if not self._same(found, known)
        ]
        if not wrong:
            return None
        row, column, found, known = wrong[0]
        return (
            f"{len(wrong)} of {len(places)} entries differ, first {row}, {column}: {found!r} is not {known!r} "
            f"(rtol {self.rtol}, atol {self.atol})"
        )

    def _same(self, found: Number | str | None, known: Number | str) -> bool:
        if found is None or isinstance(found, str) or isinstance(known, str):
            return (GAP if found is None else found) == known
        return abs(found - known) <= self.atol + self.rtol * abs(known)

    @classmethod
    def accept(cls, claim: Claim, before: Mapping[str, Any]) -> Table:
        if len(set(claim.rows)) < len(claim.rows):
            raise ValueError("two rows of the table have one label")
        width = len(claim.columns)
        entries = [GAP if entry is None else entry for entry in claim.entries]
        rows = {row: entries[at * width : (at + 1) * width] for at, row in enumerate(claim.rows)}
        return cls(list(claim.columns), *_tolerances(claim, before), rows)


KINDS: dict[str, type[Close] | type[Exact] | type[OverSeeds] | type[Order] | type[Table]] = {
    cls.kind: cls for cls in (Close, Exact, OverSeeds, Order, Table)
}


def path_for(notebook: Path) -> Path:
    """`chapters/expected/NN_name.toml` of `chapters/NN_name.ipynb`, and of a learner's copy of it."""
    notebook = original(notebook)
    return notebook.parent / "expected" / f"{notebook.stem}.toml"


def load(path: Path, profile: str) -> dict[str, Expectation] | None:
    """The file's expectations for a profile, by claim; None where there is no file or it has no such profile.

    Raises:
        ValueError: the file is not TOML of the form described in `pgcourse.course.claims`; names file and claim.
    """
    section = _read(path).get(profile)
    return None if section is None else {name: _parse(path, profile, name, entry) for name, entry in section.items()}


def failures(claims: Sequence[Claim], expectations: Mapping[str, Expectation]) -> dict[str, str]:
    """Why recorded and expected claims disagree, by claim: not held, missing, unexpected or made twice."""
    found: dict[str, str] = {}
    names = [claim.name for claim in claims]
    for claim in claims:
        expectation = expectations.get(claim.name)
        if names.count(claim.name) > 1:
            found[claim.name] = "made twice in the chapter"
        elif expectation is None:
            found[claim.name] = "unexpected: not in the file of expected claims"
        elif claim.kind != expectation.kind:
            found[claim.name] = f"the notebook states {claim.kind!r}, the file {expectation.kind!r}"
        elif objection := expectation.objection(claim):
            found[claim.name] = objection
    return found | {name: "missing: the chapter did not make this claim" for name in expectations if name not in names}


def accept(path: Path, profile: str, claims: Sequence[Claim]) -> dict[str, str]:
    """Write what was measured as what is expected for `profile`; other profiles, comments and tolerances stay.

    Returns:
        Why claims cannot be accepted, by claim. Where there is any, nothing is written.
    """
    import tomlkit

    names = [claim.name for claim in claims]
    refused = {name: "made twice in the chapter" for name in names if names.count(name) > 1}
    before = _read(path).get(profile, {})
    accepted: dict[str, Expectation] = {}
    for claim in claims:
        entry = before.get(claim.name, {})
        try:
            accepted[claim.name] = KINDS[claim.kind].accept(claim, entry)
        except ValueError as error:
            refused[claim.name] = str(error)
    if refused:
        return refused

    text = path.read_text("utf-8") if path.is_file() else ""
    written = tomlkit.parse(text)
    header = text[: len(text) - len(_from_first_table(text))] or (
        f"# What the claims of {path.stem}.ipynb must satisfy; written by `pgcourse run --accept`.\n"
        "# Tolerances and comments are kept, all else is measured.\n\n"
    )
    document = tomlkit.document()
    for section in PROFILES:
        entries = written.get(section)
        if section == profile:
            entries = {name: _update(written.get(section, {}).get(name), new) for name, new in accepted.items()}
        if entries is not None:
            table = tomlkit.table(is_super_table=bool(entries))
            for name, entry in entries.items():
                table[name] = entry
            document[section] = table
    body = re.sub(r"\n+\[", "\n\n[", "\n" + tomlkit.dumps(document)).strip("\n")
    _write(path, f"{header}{body}\n")
    return {}


def _tolerances(claim: Claim, before: Mapping[str, Any]) -> tuple[float, float]:
    """The notebook's, else the file's, else the defaults."""
    return (
        claim.rtol if claim.rtol is not None else before.get("rtol", RTOL),
        claim.atol if claim.atol is not None else before.get("atol", ATOL),
    )


def _other_tolerance(claim: Claim, entry: Close | Table) -> str | None:
    for name in ("rtol", "atol"):
        stated = getattr(claim, name)
        if stated is not None and stated != getattr(entry, name):
            return f"the notebook says {name}={stated}, the file {getattr(entry, name)}"
    return None


def _statement(above: Number | None, below: Number | None, inconclusive: bool) -> str:
    words = [f"above={above}"] * (above is not None) + [f"below={below}"] * (below is not None)
    return " ".join(words + ["inconclusive"] * inconclusive)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    unknown = sorted(set(content) - set(PROFILES))
    if unknown:
        raise ValueError(f"{path}: unknown profile {unknown[0]!r}; profiles are {', '.join(PROFILES)}")
    return content


def _parse(path: Path, profile: str, name: str, entry: Any) -> Expectation:
    where = f'{path}, [{profile}."{name}"]'
    if not isinstance(entry, dict) or entry.get("kind") not in KINDS:
        raise ValueError(f"{where}: kind must be one of {', '.join(KINDS)}")
    kind = KINDS[entry["kind"]]
    keys = set(entry) - {"kind"}
    known = {each.name for each in fields(kind)}
    required = {each.name for each in fields(kind) if each.default is MISSING}
    if keys - known:
        raise ValueError(f"{where}: kind {kind.kind!r} has no key {sorted(keys - known)[0]!r}, only {sorted(known)}")
    if required - keys:
        raise ValueError(f"{where}: {sorted(required - keys)[0]!r} is missing")
    return kind(**{key: entry[key] for key in keys})


def _update(entry: Any, expectation: Expectation) -> Any:
    """`entry`, a tomlkit table with its comments, brought to the expectation's keys and values."""
    import tomlkit

    entry = tomlkit.table() if entry is None else entry
    values: dict[str, Any] = {"kind": expectation.kind}
    for each in fields(expectation):  # type: ignore[arg-type]
        value = getattr(expectation, each.name)
        if each.default is MISSING or (value is not None and value is not False and value != []):
            values[each.name] = value
    for key in [key for key in entry if key not in values]:
        entry.remove(key)
    for key, value in values.items():
        entry[key] = value
    return entry


def _from_first_table(text: str) -> str:
    found = re.search(r"^\[", text, re.MULTILINE)
    return text[found.start() :] if found else ""


def _write(path: Path, text: str) -> None:
    """All or nothing: readers never see half a file."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text, "utf-8", newline="\n")
    partial.replace(path)
