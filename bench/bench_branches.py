"""Claim: no random start finds a lower free energy than a study's adaptive kernels have; run on its
own, on the table of a study.

    python -m bench.bench_branches docs/paper --rows 60

Rows are drawn at random from the table, their data and targets are drawn again, and the equations
of state solved from starts of another kind than those of `nc1fast.adaptive.solve`: Wishart matrices
of few degrees of freedom, whose eigenvalues spread over orders of magnitude, at random scales.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._session import Claim, Result
from nc1fast import studies
from nc1fast.studies import table
from nc1fast.studies.tasks.adaptive import AdaptiveTask, solve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nc1fast.studies.description import Cell
    from nc1fast.studies.tidy import Row

LOWER = 1e-6  # relative difference of F that is no error of a descent
TOLERANCE = 1e-5  # residual of a descent: it gives F to about 1e-10
SCALES = (1 / 30, 300.0)  # of random starts, in units of the prior


def main() -> int:
    """Run what the command line asks for; 1 if a lower free energy was found."""
    parser = argparse.ArgumentParser(prog="bench_branches", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the study, with its table")
    parser.add_argument("--preset", default="paper", help="preset of the study (default paper)")
    parser.add_argument("--rows", type=int, default=60, help="rows to check (default 60)")
    parser.add_argument("--starts", type=int, default=4, help="random starts of each (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="seed of rows and starts (default 0)")
    arguments = parser.parse_args()
    rows, _ = table.read(arguments.folder)
    cells = studies.plan(studies.load("paper", arguments.preset))
    rng = np.random.default_rng(arguments.seed)
    result = check(rows, cells, arguments.rows, arguments.starts, rng)
    print(result.text())
    return 0 if all(claim.holds for claim in result.claims) else 1


def check(
    rows: Sequence[Row], cells: Sequence[Cell], n_rows: int, n_starts: int, rng: np.random.Generator
) -> Result:
    """Search for lower free energies than those of `n_rows` rows, drawn at random."""
    known = {_of_cell(cell): cell for cell in cells if _is_solved(cell.task)}
    candidates = {_of_row(row): row for row in rows if _of_row(row) in known}
    keys = list(candidates)
    if not keys:
        raise ValueError("the table has no adaptive kernel of this study")
    chosen = rng.choice(len(keys), size=min(n_rows, len(keys)), replace=False)
    result = Result("branches")
    for k in sorted(chosen):
        row = candidates[keys[k]]
        free_energies = random_descents(known[keys[k]], n_starts, rng)
        difference = Difference(row["free_energy"], min(free_energies))
        columns = {name: row[name] for name in ("arm", "dataset", "N", "d0", "repeat", "state")}
        result.rows.append(
            {
                **columns,
                "F": row["free_energy"],
                "branches": row["branches"],
                "random starts": difference.relative,
                "lower": difference.lower,
            }
        )
        print(".", end="", file=sys.stderr, flush=True)
    lower = sum(row["lower"] for row in result.rows)
    text = f"rows of {len(result.rows)} with a lower F from {n_starts} random starts"
    result.claims.append(Claim(text, lower, "<=", 0))
    result.remarks.append("random starts: their lowest F relative to that of the row")
    return result


@dataclass(frozen=True)
class Difference:
    """The free energy of a row, and the lowest of other descents."""

    known: float
    found: float

    @property
    def relative(self) -> float:
        """The difference relative to the known value; negative where the other is lower."""
        return (self.found - self.known) / max(1.0, abs(self.known))

    @property
    def lower(self) -> bool:
        """Whether the other is lower by more than the error of a descent."""
        return self.relative < -LOWER


def random_descents(cell: Cell, n_starts: int, rng: np.random.Generator) -> list[float]:
    """F at the ends of descents from random starts, on the data and the targets of a cell."""
    task, data = cell.task, cell.draw()
    assert isinstance(task, AdaptiveTask)
    prior = task.entry.weight_variance / data.X.shape[1]
    settings: dict[str, Any] = {"multistart": 1, "tol": TOLERANCE}
    return [
        solve(
            task.entry,
            data,
            task.targets(data),
            task.activation,
            start=prior * random_covariance(data.X.shape[1], rng),
            **settings,
        ).free_energy
        for _ in range(n_starts)
    ]


def random_covariance(d: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A Wishart matrix (d, d) of d + 2 degrees of freedom and of a random scale."""
    low, high = np.log(SCALES)
    G = rng.standard_normal((d, d + 2))
    S: NDArray[np.float64] = np.exp(rng.uniform(low, high)) * (G @ G.T) / (d + 2)
    return S


def _is_solved(task: Any) -> bool:
    """Whether a task solves the correct equations."""
    return isinstance(task, AdaptiveTask) and not task.entry.released


def _of_cell(cell: Cell) -> tuple[Any, ...]:
    """What tells an adaptive kernel of a study from the others, from its cell."""
    assert isinstance(cell.task, AdaptiveTask)
    named = cell.task.named
    return (
        cell.arm,
        cell.instance.source.name,
        cell.seed,
        cell.task.state,
        *(named.model, named.activation, named.weight_variance, named.width, f"{named.noise:.6g}"),
    )


def _of_row(row: Row) -> tuple[Any, ...]:
    """The same from a row of the table."""
    names = ("arm", "dataset", "seed", "state", "model", "activation", "weight_variance", "width")
    return (*(row[name] for name in names), f"{row['noise']:.6g}")


if __name__ == "__main__":
    sys.exit(main())
