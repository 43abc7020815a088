"""The law of the hidden weights as weights of fixed draws, and the descent to a stationary point of
its free energy.

    F[p] = h KL(p | prior) + (1/2) [Tr Y^T Qt^-1 Y + P log det Qt],   Qt = sa2 E_p phi phi^T + s2 I.

dF = 0 is p ~ prior exp(-S), S(w) = (sa2/(2h)) phi(w)^T A phi(w), A = P Qt^-1 - T T^T, T = Qt^-1 Y.
The step from S to (1 - g) S + g S', S' from the present p, is mirror descent in KL: it lowers F if
g is small enough, and g = 1 is the plain iteration. Anderson's extrapolation of the last steps is
tried first, and kept where it lowers F.
Sources: Seroussi, Naveh & Ringel (2023), the equations; Beck & Teboulle (2003), mirror descent;
Walker & Ni (2011), Anderson.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.adaptive.hidden import HiddenDraws
    from nc1fast.adaptive.settings import MeanFieldSettings

    Array = NDArray[np.float64]

_MEMORY = 6  # steps that are extrapolated
_SLACK = 1e-11  # relative rounding of F
_FLAT = 1e-12  # relative singular values that the extrapolation drops
_SMALLEST = 2.0**-30  # share g of a step below which the descent gives up


@dataclass(frozen=True, eq=False)
class TiltedLaw:
    """Weights of the draws, and what follows from them.

    Attributes
    ----------
    action : ndarray of shape (n,)
        S of every draw; a constant added to all does not matter.
    weights : ndarray of shape (n,)
        p, which sum to 1.
    gram : ndarray of shape (N, N)
        Q = E_p phi phi^T.
    inverse : ndarray of shape (N, N)
        Qt^-1.
    T : ndarray of shape (N, P)
        Qt^-1 Y.
    free_energy : float
        F, without the constant of `MeanFieldSolution.free_energy`.
    """

    action: Array
    weights: Array
    gram: Array
    inverse: Array
    T: Array
    free_energy: float

    @property
    def effective_sample_size(self) -> float:
        """1/sum p^2: how many equally weighted draws are worth as much."""
        return float(1 / np.square(self.weights).sum())


class StateEquations:
    """The equations of one data set over fixed draws.

    Parameters
    ----------
    draws : HiddenDraws
    Y : ndarray of shape (N, P)
    settings : MeanFieldSettings
    """

    def __init__(self, draws: HiddenDraws, Y: Array, settings: MeanFieldSettings) -> None:
        self.draws, self.Y, self.settings = draws, Y, settings

    def law(self, action: Array) -> TiltedLaw | None:
        """The law ~ prior exp(-action); None where Qt is not positive definite."""
        s, least = self.settings, action.min()
        raw = self.draws.base * np.exp(least - action)
        p = raw / raw.sum()
        log_mean = float(np.log(raw.sum()) - least)  # of E_prior exp(-S)
        Q = self.draws.gram(p)
        Qt = s.readout_variance * Q
        Qt[np.diag_indices_from(Qt)] += s.noise
        try:
            L = np.linalg.cholesky(Qt)
        except np.linalg.LinAlgError:
            return None
        half = np.linalg.inv(L)
        inverse = half.T @ half
        T = inverse @ self.Y
        log_det = 2 * float(np.log(np.diag(L)).sum())
        data = 0.5 * (float((self.Y * T).sum()) + self.Y.shape[1] * log_det)
        divergence = -float(p @ action) - log_mean  # KL(p | prior)
        return TiltedLaw(action, p, Q, inverse, T, s.width * divergence + data)

    def action(self, law: TiltedLaw, draws: HiddenDraws | None = None) -> Array:
        """S' that a law asks for, at its own draws or at others, shape (n,)."""
        s = self.settings
        A = self.Y.shape[1] * law.inverse - law.T @ law.T.T
        scale: float = s.readout_variance / (2 * s.width)
        return scale * (draws or self.draws).quadratic(A)


class TiltDescent:
    """A descent of F over the action of fixed draws.

    Parameters
    ----------
    equations : StateEquations
    start : ndarray of shape (n,)
        Action to start from; zero is the prior.
    tol : float
        Change of log p in one more step, its standard deviation under p, at which the descent ends,
    relative : float, default 0
        or, if that is more, this share of the change in the first step.
    report : callable(done, total), optional
        Called after every step.

    Attributes
    ----------
    law : TiltedLaw
        The best so far.
    change : float
        The change of log p that one more step would make, as for `tol`.
    steps : int

    Raises
    ------
    ValueError
        If Qt is not positive definite at the start.
    """

    def __init__(
        self,
        equations: StateEquations,
        start: Array,
        tol: float,
        relative: float = 0.0,
        report: Callable[[int, int], object] | None = None,
    ) -> None:
        self.equations, self.report = equations, report
        self._tol, self._relative = tol, relative
        law = equations.law(start)
        if law is None:
            raise ValueError(
                f"noise {equations.settings.noise:g} is too small: Q + noise I is not positive "
                "definite in float64"
            )
        self.law, self.change, self.steps = law, np.inf, 0
        self._share = 1.0
        self._past: list[tuple[Array, Array]] = []  # actions and their steps

    def run(self) -> TiltDescent:
        """Descend until the change is small, no step helps or max_iter steps are made."""
        most = self.equations.settings.max_iter
        small = 0.0
        while True:
            step = self._step()
            small = small or max(self._tol, self._relative * self.change)
            if self.change <= small or self.steps >= most or not self._move(step):
                return self
            self.steps += 1
            if self.report is not None:
                self.report(self.steps, most)

    def _step(self) -> Array:
        """The full step S' - S at the present law, without the part that is constant."""
        step = self.equations.action(self.law) - self.law.action
        step -= self.law.weights @ step
        self.change = float(np.sqrt(self.law.weights @ np.square(step)))
        return step

    def _move(self, step: Array) -> bool:
        """Go where F is lower: as extrapolated, or by a share of the step, at most twice the last
        one.
        """
        S = self.law.action
        extrapolated = self._extrapolated(step)
        self._past = [*self._past[1 - _MEMORY :], (S, step)]
        if extrapolated is not None and self._accept(extrapolated):
            return True
        self._share = min(1.0, 2 * self._share)
        while self._share >= _SMALLEST:
            if self._accept(S + self._share * step):
                return True
            self._share /= 2
        return False

    def _accept(self, action: Array) -> bool:
        """Whether F is not higher there, up to rounding; if so the law is replaced."""
        found = self.equations.law(action)
        slack = _SLACK * max(1.0, abs(self.law.free_energy))
        if found is None or found.free_energy > self.law.free_energy + slack:
            return False
        self.law = found
        return True

    def _extrapolated(self, step: Array) -> Array | None:
        """The action at which the linear model of the last steps has a step of zero; None without a
        past.
        """
        if not self._past:
            return None
        p = self.law.weights
        dS = np.array([self.law.action - S for S, _ in self._past])
        dR = np.array([step - R for _, R in self._past])
        dR -= (dR @ p)[:, None]
        theta, *_ = np.linalg.lstsq((dR * p) @ dR.T, (dR * p) @ step, rcond=_FLAT)
        found: Array = self.law.action + step - theta @ (dS + dR)
        return found
