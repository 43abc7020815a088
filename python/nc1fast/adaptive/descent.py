"""Descent to a stationary point of the free energy: L-BFGS on the factor L, then Newton steps on
the equation itself.

L-BFGS compares values of F and ends where a step changes F by no more than rounding, at residuals
of 1e-5 to 1e-8. The equation of state has no such floor: Newton's method with Krylov solves reaches
1e-10 and below in a few steps.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.adaptive.equations import Evaluation, FreeEnergy

    Array = NDArray[np.float64]

_MEMORY = 30  # pairs that L-BFGS keeps
_LARGEST = 30.0  # bound on |log| of a diagonal entry of L
_FLAT = 1e-11  # relative decrease of F that ends L-BFGS
_FLOOR = 1e-9  # relative rounding of F: a Newton step may not raise it by more
_NEWTON_STEPS = 12
_KRYLOV = 30  # Krylov directions of one Newton step


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
    report : callable(evaluations, max_iter) or None
    evaluations : int
        Evaluations of F so far.
    tol : float
        Residual at which the descent ends.
    L : ndarray of shape (r, r) or None
        The best point so far; None before `begin`.
    best : Evaluation or None
        F at that point.
    history : list of (evaluation, F, residual)
        Every improvement.
    """

    energy: FreeEnergy
    width: float
    report: Callable[[int, int], object] | None = None
    evaluations: int = 0
    tol: float = 0.0
    L: Array | None = None
    best: Evaluation | None = None
    history: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def spent(self) -> bool:
        """Whether the evaluations allowed are used up."""
        return self.evaluations >= self.energy.settings.max_iter

    def begin(self, start: Array) -> bool:
        """Evaluate F at L = start, shape (r, r); False, and nothing else, where Qt is not positive
        definite.
        """
        return self._look(start) is not None

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
        if self.best is None:
            return True
        if not self.energy.potential:
            return found.residual < self.best.residual
        slack = _FLOOR * max(1.0, abs(self.best.value))
        if abs(found.value - self.best.value) <= slack:
            return found.residual < self.best.residual
        return found.value < self.best.value

    def _check(self) -> None:
        """End the descent if there is nothing left to do."""
        assert self.best is not None
        if self.best.residual <= self.tol or self.spent:
            raise _FinishedError

    def _lbfgs(self, flat: float) -> None:
        """Minimise F over the strict lower triangle of L and the logarithms of its diagonal."""
        assert self.L is not None
        assert self.best is not None
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
        assert self.L is not None
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
