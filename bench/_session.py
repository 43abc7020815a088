"""`Session`, the settings of a run of benchmarks, and `Result`, the rows and claims of one of
them.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench._timing import Peak, environment, table, write_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Session:
    """The settings of one run of the benchmarks, and the machine's peak as measured during it.

    Parameters
    ----------
    n_threads : int, default 2
    quick : bool, default False
        Small sizes, which show that everything runs; the numbers mean nothing.
    """

    n_threads: int = 2
    quick: bool = False
    peak: Peak = field(init=False)

    def __post_init__(self) -> None:
        self.peak = Peak(self.n_threads)

    def size(self, n_samples: int) -> int:
        """The number of samples, at most 2048 in a quick run."""
        return min(n_samples, 2048) if self.quick else n_samples

    def rounds(self, rounds: int) -> int:
        """The number of rounds, at most 2 in a quick run."""
        return min(rounds, 2) if self.quick else rounds


_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True)
class Claim:
    """A number that the project promises, beside the measured one."""

    text: str
    measured: float
    relation: str
    target: float

    @property
    def holds(self) -> bool:
        """Whether the measured number keeps the promise."""
        return bool(_COMPARE[self.relation](self.measured, self.target))

    def as_row(self) -> dict[str, Any]:
        """The claim as a row of a table."""
        return {
            "claim": self.text,
            "measured": self.measured,
            "target": f"{self.relation} {self.target:g}",
            "holds": self.holds,
        }


@dataclass
class Result:
    """Rows of measurements, the claims they bear on, and remarks."""

    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(
        default_factory=dict
    )  # for the JSON alone: all values, plans, libraries

    def text(self) -> str:
        """The tables as text, with the remarks below them."""
        parts = [f"== {self.name}", table(self.rows)]
        if self.claims:
            parts += ["", table([claim.as_row() for claim in self.claims])]
        return "\n".join([*parts, *(f"note: {remark}" for remark in self.remarks), ""])

    def write(self, folder: Path, session: Session) -> Path:
        """Write everything to NAME.json in a folder; returns its path."""
        path = folder / f"{self.name}.json"
        write_json(
            path,
            {
                "name": self.name,
                "quick": session.quick,
                "environment": environment(session.n_threads),
                "peak": session.peak.as_dict() if session.peak.readings else None,
                "rows": self.rows,
                "claims": [claim.as_row() for claim in self.claims],
                "remarks": self.remarks,
                "details": self.details,
            },
        )
        return path
