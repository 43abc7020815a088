"""The search for the lowest minimum of the free energy at one width: several starts, a loose
descent from each, then the winner to the tolerance.

The free energy has several minima: on four classes in 8 features, whichever start one takes. The
prior is the natural start. From a large isotropic Sigma, where erf saturates, and from a small one,
where it is linear, descents enter other basins; so does the path of widths, which follows the
minimum from networks so wide that it is the prior. F is stationary at its minima, so that at a
residual of 1e-4 its relative error is about 1e-8: enough to distinguish the minima, at half
the evaluations.

A descent is L-BFGS on the factor L, then Newton steps on the equation itself. L-BFGS compares
values of F and ends where a step changes F by no more than rounding, at residuals of 1e-5 to 1e-8.
The equation of state has no such floor: Newton's method with Krylov solves reaches 1e-10 and below
in a few steps.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.backend import adaptive_gram
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.adaptive.equations import Evaluation, FreeEnergy

    Array = NDArray[np.float64]
    Report = Callable[[int, int], object] | None

_PATH_OF_WIDTHS = "path of widths"
_WIDER = (64.0, 16.0, 4.0)  # widths of the path, in units of the width
_RANDOM_SCALES = (1 / 8, 64.0)  # range of the eigenvalues of a random S
_MEMORY = 30  # pairs that L-BFGS keeps
_LARGEST = 30.0  # bound on |log| of a diagonal entry of L
_FLAT = 1e-11  # relative decrease of F that ends L-BFGS
_FLOOR = 1e-9  # relative rounding of F: a Newton step may not raise it by more
_NEWTON_STEPS = 12
_KRYLOV = 30  # Krylov directions of one Newton step
_LOOSE = 1e-4  # residual at which descents from several starts are compared
_ON_THE_WAY = 1e-2  # residual at wider networks
_SAME_F = 1e-6  # relative difference of F within one branch
_SAME_KERNEL = 1e-2  # relative difference of kernels within one branch, Frobenius norm
_ROWS_COMPARED = 256


@dataclass(frozen=True, eq=False)
class Start:
    """One start of a descent.

    Attributes
    ----------
    name : str
    L : ndarray of shape (r, r)
        Lower triangular factor of S.
    wider : tuple of float, default ()
        Widths to descend at first, in units of the width.
    """

    name: str
    L: Array
    wider: tuple[float, ...] = ()


def starting_points(
    n: int, rank: int, rng: np.random.Generator, *, given: Array | None, before: Array | None
) -> list[Start]:
    """The first n starts: the best known ones, then random ones.

    Parameters
    ----------
    n : int
        Number of starts.
    rank : int
        Dimension r of S.
    rng : Generator
        Draws the random starts.
    given : ndarray of shape (r, r) or None
        L of a start of the caller's, which goes before the prior.
    before : ndarray of shape (r, r) or None
        L of the solution at the width before, which then goes first.
    """
    prior, path = _multiple("prior", 1.0, rank), Start(_PATH_OF_WIDTHS, np.eye(rank), _WIDER)
    first = [prior] if given is None else [Start("start", given), prior]
    if before is not None:
        first, path = [Start(_PATH_OF_WIDTHS, before)], prior
    large, small = _multiple("8 x prior", 8.0, rank), _multiple("prior / 8", 1 / 8, rank)
    known = [*first, large, path, small, _multiple("64 x prior", 64.0, rank)]
    drawn = (Start(f"random {k}", _random(rank, rng)) for k in count(1))
    return list(islice(chain(known, drawn), n))


def _multiple(name: str, scale: float, rank: int) -> Start:
    """The start S = scale I."""
    return Start(name, np.sqrt(scale) * np.eye(rank))


def _random(rank: int, rng: np.random.Generator) -> Array:
    """The lower triangular factor (r, r) of a random S: log-uniform eigenvalues, random basis."""
    basis, _ = np.linalg.qr(rng.standard_normal((rank, rank)))
    low, high = np.log(_RANDOM_SCALES)
    eigenvalues = np.exp(rng.uniform(low, high, rank))
    factor: Array = np.linalg.cholesky((basis * eigenvalues) @ basis.T)
    return factor


class _FinishedError(Exception):
    """Ends a descent whose tolerance is met, or whose evaluations are spent."""


@dataclass
class Minimization:
    """A minimisation of F under way at one width: the best point so far, and its history.

    Attributes
    ----------
    energy : FreeEnergy
        Its settings hold the number of evaluations allowed.
    width : float
        Hidden units h.
    L : ndarray of shape (r, r)
        The best point so far.
    best : Evaluation
        F at that point.
    report : callable(evaluations, max_iter) or None
    evaluations : int
        Evaluations of F so far.
    tol : float
        Residual at which the descent ends.
    history : list of (evaluation, F, residual)
        Every improvement.
    """

    energy: FreeEnergy
    width: float
    L: Array
    best: Evaluation
    report: Report = None
    evaluations: int = 0
    tol: float = 0.0
    history: list[tuple[int, float, float]] = field(default_factory=list)

    @classmethod
    def begin(
        cls, energy: FreeEnergy, width: float, start: Array, report: Report = None
    ) -> Minimization | None:
        """Evaluate F at L = start, shape (r, r); None where Qt is not positive definite."""
        found = energy.evaluate(start, width)
        if found is None:
            return None
        history = [(1, found.value, found.residual)]
        if report is not None:
            report(1, energy.settings.max_iter)
        return cls(energy, width, start, found, report, 1, history=history)

    @property
    def spent(self) -> bool:
        """Whether the evaluations allowed are used up."""
        return self.evaluations >= self.energy.settings.max_iter

    def refine(self, tol: float) -> None:
        """Descend from the best point so far until the residual is at most `tol`, or nothing moves
        any more.
        """
        self.tol = tol
        with suppress(_FinishedError):
            self._check()
            for flat in (_FLAT, 0.0):  # the second round goes on until nothing moves any more
                self._lbfgs(flat)
                self._newton()

    def _look(self, L: Array) -> Evaluation | None:
        """Evaluate F at L, and keep the point if it is better."""
        found = self.energy.evaluate(L, self.width)
        self.evaluations += 1
        if self.report is not None:
            self.report(self.evaluations, self.energy.settings.max_iter)
        if found is not None and self._better(found):
            self.L, self.best = L, found
            self.history.append((self.evaluations, found.value, found.residual))
        return found

    def _better(self, found: Evaluation) -> bool:
        """Whether a point is lower in F or, where F is equal up to rounding or no guide, has the
        smaller residual.
        """
        if not self.energy.potential:
            return found.residual < self.best.residual
        slack = _FLOOR * max(1.0, abs(self.best.value))
        if abs(found.value - self.best.value) <= slack:
            return found.residual < self.best.residual
        return found.value < self.best.value

    def _check(self) -> None:
        """End the descent if there is nothing left to do."""
        if self.best.residual <= self.tol or self.spent:
            raise _FinishedError

    def _lbfgs(self, flat: float) -> None:
        """Minimise F over the strict lower triangle of L and the logarithms of its diagonal."""
        r, h = len(self.L), self.width
        below, diagonal = np.tril_indices(r, -1), np.diag_indices(r)
        worst = self.best.value

        def matrix(v: Array) -> Array:
            L = np.zeros((r, r))
            L[diagonal] = np.exp(np.clip(v[:r], -_LARGEST, _LARGEST))
            L[below] = v[r:]
            return L

        def value_and_gradient(v: Array) -> tuple[float, Array]:
            L = matrix(v)
            found = self._look(L)
            self._check()
            if found is None:  # too far out: a wall that turns the line search back
                return worst + h * r * (1 + float(v @ v)), 2 * h * r * v
            g = found.gradient
            return found.value, np.concatenate([g[diagonal] * L[diagonal], g[below]])

        minimize = require("scipy.optimize", "adaptive").minimize
        most = self.energy.settings.max_iter
        options = {"maxcor": _MEMORY, "ftol": flat, "gtol": 0.0, "maxiter": most, "maxfun": most}
        start = np.concatenate([np.log(self.L[diagonal]), self.L[below]])
        minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)

    def _newton(self) -> None:
        """Solve mismatch(L) = 0 over L = L0 (I + E), E lower triangular, from the best point L0."""
        base, r = self.L, len(self.L)
        lower = np.tril_indices(r)

        def mismatch(e: Array) -> Array:
            E = np.zeros((r, r))
            E[lower] = e
            found = self._look(base @ (np.eye(r) + E))
            self._check()
            if found is None:
                raise ArithmeticError
            return found.mismatch[lower]

        last = [np.inf]

        def halved(_: Array, f: Array) -> None:
            norm = float(np.linalg.norm(f))
            if norm > last[0] / 2:
                raise ArithmeticError
            last[0] = norm

        optimize = require("scipy.optimize", "adaptive")
        try:
            optimize.newton_krylov(
                mismatch,
                np.zeros(len(lower[0])),
                f_tol=0.0,
                maxiter=_NEWTON_STEPS,
                inner_maxiter=_KRYLOV,
                callback=halved,
            )
        except (optimize.NoConvergence, ArithmeticError, ValueError):
            return  # the best point stands; its residual says how far it is


@dataclass(frozen=True, eq=False)
class Trial:
    """One start and its descent.

    Attributes
    ----------
    start : Start
    index : int
        Of the start: 0, 1, ...
    descents : tuple of Minimization
        At wider networks, on the way, and last at the width itself.
    """

    start: Start
    index: int
    descents: tuple[Minimization, ...]

    @property
    def last(self) -> Minimization:
        """The descent at the width itself."""
        return self.descents[-1]

    @property
    def free_energy(self) -> float:
        """The value of F at the end."""
        return self.last.best.value


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
            f"noise {energy.settings.noise:g} is too small: Q + noise I is not positive definite "
            "in float64"
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
    L, descents = start.L, []
    for times in (*start.wider, 1.0):
        descent = Minimization.begin(energy, times * width, L, next(reports))
        if descent is None:
            return None
        descent.refine(tol if times == 1 else max(tol, _ON_THE_WAY))
        L = descent.L
        descents.append(descent)
    return Trial(start, index, tuple(descents))


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
    K, other = (_some_kernel(energy, end.last.L) for end in (a, b))
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
