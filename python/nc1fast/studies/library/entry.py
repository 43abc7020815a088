"""`BuiltIn`, one entry of the library of studies: its presets on disk, its findings and its
figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, TypedDict, Unpack

from nc1fast.studies import figures
from nc1fast.studies.findings import common, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Traversable

    from nc1fast.studies.description import Study
    from nc1fast.studies.experiment import Part
    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.findings import Answer, Claim, Finding
    from nc1fast.studies.tidy import Row


def no_claims(rows: Sequence[Row]) -> list[Claim]:
    """The claims of a study that makes none."""
    del rows
    return []


def no_answer(rows: Sequence[Row]) -> Answer | None:
    """The answer of a study that asks no question."""
    del rows
    return None


@dataclass(frozen=True)
class BuiltIn:
    """A built-in study: a comparison of NC1, or with `parts` an experiment.

    Attributes
    ----------
    folder : Traversable
        Has a description for each preset, PRESET.yml; "quick" is the default.
    claims : callable(rows) -> list of Claim
        Lines of the first table of the report; default: none, and no table.
    sections : callable(rows) -> list of (heading, findings)
        The findings in the order in which they should be read; default:
        `nc1fast.studies.findings.common`.
    draw : callable(rows, series) -> list of Drawing
        Default: the figures that any table supports.
    answer : callable(rows) -> Answer or None
        The first screen of the report; default: none.
    fit : callable(study, source, networks=) -> Study, optional
        Puts a data set of the user in the place of those of a preset; None for a study of data of
        its own.
    parts : tuple of classes
        The parts that the descriptions of an experiment may have.
    source, question : str
        The paper it follows, and what it asks, for lists of studies.
    ours : str
        What is not the paper's: what stands in for a formula that was not read, and what differs;
        default: nothing.
    """

    folder: Traversable
    claims: Callable[[Sequence[Row]], list[Claim]] = no_claims
    sections: Callable[[Sequence[Row]], list[tuple[str, list[Finding]]]] = common
    draw: Callable[[Sequence[Row], Sequence[Row]], list[Drawing]] = figures.draw
    answer: Callable[[Sequence[Row]], Answer | None] = no_answer
    fit: Callable[..., Study] | None = None
    parts: tuple[type[Part], ...] = ()
    source: str = ""
    question: str = ""
    ours: str = ""

    def presets(self) -> list[str]:
        """Names of the presets, sorted."""
        names = (entry.name for entry in self.folder.iterdir())
        return sorted(name.removesuffix(".yml") for name in names if name.endswith(".yml"))

    def description(self, preset: str) -> str:
        """The YAML text of a preset."""
        return (self.folder / f"{preset}.yml").read_text(encoding="utf-8")


class Told(TypedDict):
    """Lines of an experiment in lists of studies; see `BuiltIn`."""

    source: str
    question: str


class About(Told, total=False):
    """Likewise, with what need not be said."""

    ours: str


def experiment(
    package: str,
    parts: Sequence[type[Part]],
    claims: Callable[[Sequence[Row]], list[Claim]],
    draw: Callable[[Sequence[Row], Sequence[Row]], list[Drawing]],
    **about: Unpack[About],
) -> BuiltIn:
    """An experiment, whose presets lie in the folder of a package."""
    return BuiltIn(
        resources.files(package), claims, measured.sections, draw, parts=tuple(parts), **about
    )
