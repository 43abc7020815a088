"""`BuiltIn`, one entry of the library of studies: its presets, its claims and its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nc1fast.studies import figures
from nc1fast.studies.figures.measured import drawings
from nc1fast.studies.findings import common, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.abc import Traversable

    from nc1fast.studies.description import Study
    from nc1fast.studies.experiment import Measured, Part
    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.measured import Figure
    from nc1fast.studies.findings.finding import Answer, Claim, Finding
    from nc1fast.studies.findings.measured import Statement
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
    folder : Traversable or None
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
    descriptions : mapping from presets to YAML texts
        In the place of `folder`.
    """

    folder: Traversable | None
    claims: Callable[[Sequence[Row]], list[Claim]] = no_claims
    sections: Callable[[Sequence[Row]], list[tuple[str, list[Finding]]]] = common
    draw: Callable[[Sequence[Row], Sequence[Row]], list[Drawing]] = figures.draw
    answer: Callable[[Sequence[Row]], Answer | None] = no_answer
    fit: Callable[..., Study] | None = None
    parts: tuple[type[Part], ...] = ()
    source: str = ""
    question: str = ""
    ours: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def presets(self) -> list[str]:
        """Names of the presets, sorted."""
        if self.folder is None:
            return sorted(self.descriptions)
        names = (entry.name for entry in self.folder.iterdir())
        return sorted(name.removesuffix(".yml") for name in names if name.endswith(".yml"))

    def description(self, preset: str) -> str:
        """The YAML text of a preset."""
        if self.folder is None:
            return self.descriptions[preset]
        return (self.folder / f"{preset}.yml").read_text(encoding="utf-8")


def experiment(
    text: str,
    *,
    title: str,
    parts: Sequence[Measured],
    presets: Mapping[str, str],
    claims: Sequence[Statement],
    figures: Sequence[Figure],
    ours: str = "",
) -> BuiltIn:
    """An experiment, declared in one file.

    Parameters
    ----------
    text : str
        The docstring of the file: its first line is "NAME: QUESTION", its last one "Source: PAPER".
    title : str
        Of the report.
    parts : sequence of functions declared by `nc1fast.studies.experiment.part`
    presets : mapping
        The YAML texts of "quick" and "full": `repeats`, and `parts`, a mapping for each.
    claims : sequence of Statement
    figures : sequence of Figure
    ours : str, default ""
        As of `BuiltIn`.
    """

    def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
        del series
        return drawings(figures, rows)

    name, question = text.partition("\n\n")[0].replace("\n", " ").split(": ", 1)
    return BuiltIn(
        None,
        claims=lambda rows: measured.claims_of(claims, rows),
        sections=measured.sections,
        draw=draw,
        parts=tuple(one.part for one in parts),
        source=text.rpartition("Source: ")[2].strip().rstrip(".").replace("\n", " "),
        question=question,
        ours=ours,
        descriptions={
            preset: f"name: {name}\ntitle: {title!r}\npreset: {preset}\n"
            f"provisional: {preset == 'quick'}\n{yaml}"
            for preset, yaml in presets.items()
        },
    )
