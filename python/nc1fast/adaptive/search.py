"""The search for the lowest minimum at one width: a loose descent from every start, then the winner
to the tolerance.

F is stationary at its minima, so that at a residual of 1e-4 its relative error is about 1e-8:
enough to tell the minima apart, at half the evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.adaptive.descent import Minimization
from nc1fast.core.backend import adaptive_gram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.adaptive.equations import Evaluation, FreeEnergy
    from nc1fast.adaptive.starts import Start

    Array = NDArray[np.float64]
    Report = Callable[[int, int], object] | None

_LOOSE = 1e-4  # residual at which descents from several starts are compared
_ON_THE_WAY = 1e-2  # residual at wider networks
_SAME_F = 1e-6  # relative difference of F within one branch
_SAME_KERNEL = 1e-2  # relative difference of kernels within one branch, Frobenius norm
_ROWS_COMPARED = 256


@dataclass(frozen=True, eq=False)
class Trial:
    """One start and its descent.

    Attributes
    ----------
    start : Start
    index : int
        Of the start: 0, 1, ...
    passed : tuple of Minimization
        At wider networks, on the way.
    last : Minimization
        At the width itself.
    """

    start: Start
    index: int
    passed: tuple[Minimization, ...]
    last: Minimization

    @property
    def factor(self) -> Array:
        """The end, L of shape (r, r)."""
        assert self.last.L is not None
        return self.last.L

    @property
    def found(self) -> Evaluation:
        """The evaluation of F at the end."""
        assert self.last.best is not None
        return self.last.best

    @property
    def free_energy(self) -> float:
        """The value of F at the end."""
        return self.found.value

    @property
    def evaluations(self) -> int:
        """Evaluations of F, on the way too."""
        return sum(one.evaluations for one in (*self.passed, self.last))


def search(
    energy: FreeEnergy, width: float, starts: Sequence[Start], reports: Iterator[Report]
) -> list[Trial]:
    """Descend from every start; the lowest end goes first, to the tolerance of the settings, then
    the others by F.

    Of ends with the same F up to the error of a loose descent, that of the first start wins. Starts
    where Qt is not positive definite in float64 are left out.

    Raises
    ------
    ValueError
        If Qt is not positive definite at any start.
    """
    tol = energy.settings.tol
    loose = tol if len(starts) == 1 else max(tol, _LOOSE)
    tried = [_descend(energy, width, k, start, loose, reports) for k, start in enumerate(starts)]
    ends = [end for end in tried if end is not None]
    if not ends:
        raise ValueError(
            f"noise {energy.settings.noise:g} is too small: Q + noise I is not positive definite in float64"
        )
    lowest = min(end.free_energy for end in ends)
    winner = next(end for end in ends if _same_value(end.free_energy, lowest))
    if loose > tol:
        winner.last.refine(tol)
    others = [end for end in ends if end is not winner]
    return [winner, *sorted(others, key=lambda end: end.free_energy)]


def _descend(
    energy: FreeEnergy,
    width: float,
    index: int,
    start: Start,
    tol: float,
    reports: Iterator[Report],
) -> Trial | None:
    """The descent from one start; None where F is not defined there."""
    L, all_widths = start.L, []
    for times in (*start.wider, 1.0):
        descent = Minimization(energy, times * width, next(reports))
        if not descent.begin(L):
            return None
        descent.refine(tol if times == 1 else max(tol, _ON_THE_WAY))
        assert descent.L is not None
        L = descent.L
        all_widths.append(descent)
    return Trial(start, index, tuple(all_widths[:-1]), all_widths[-1])


def grouped(energy: FreeEnergy, ends: Sequence[Trial]) -> list[list[Trial]]:
    """The ends by branch, both in the order of `ends`: within a branch F and the kernel are the
    same.
    """
    branches: list[list[Trial]] = []
    for end in ends:
        for branch in branches:
            if _same(energy, branch[0], end):
                branch.append(end)
                break
        else:
            branches.append([end])
    return branches


def _same(energy: FreeEnergy, a: Trial, b: Trial) -> bool:
    """Whether two ends are the same minimum, up to the error of a loose descent."""
    if not _same_value(a.free_energy, b.free_energy):
        return False
    K, other = (_some_kernel(energy, end.factor) for end in (a, b))
    return float(np.linalg.norm(K - other)) <= _SAME_KERNEL * float(np.linalg.norm(K))


def _same_value(a: float, b: float) -> bool:
    return abs(a - b) <= _SAME_F * max(1.0, abs(a), abs(b))


def _some_kernel(energy: FreeEnergy, L: Array) -> Array:
    """The kernel of L on at most 256 rows, evenly spaced."""
    n = len(energy.rows)
    some = np.unique(np.linspace(0, n - 1, min(n, _ROWS_COMPARED)).astype(int))
    s = energy.settings
    K: Array = adaptive_gram(energy.rows[some] @ L, s.activation, 1.0, s.n_threads)
    return K
