"""The adaptive kernel: that of hidden weights which have learned the labels, by the equations of
state of a wide network.

    settings   the network and the solver, checked
    factoring  Cholesky factors, on the processor or a device
    equations  the free energy of Sigma and its gradient
    search     starts, descents from them, and the minima they end at
    solving    `solve`: continuation in width; the same with shuffled labels
    solution   the results, each with a certificate

and the same equations without a Gaussian closure:

    hidden        the prior, draws from it, and sums over draws
    tilting       the law of the hidden weights and its free energy
    mean_field    the solve, its error and its residual
    finite_width  from there to the exact posterior of a network

Needs the `adaptive` extra (scipy).
"""

from __future__ import annotations

from nc1fast.adaptive.finite_width import FiniteWidth, finite_width
from nc1fast.adaptive.mean_field import mean_field
from nc1fast.adaptive.solution import AdaptiveSolution, Branch, MeanFieldSolution
from nc1fast.adaptive.solving import ShuffledControl, shuffled_control, solve

__all__ = [
    "AdaptiveSolution",
    "Branch",
    "FiniteWidth",
    "MeanFieldSolution",
    "ShuffledControl",
    "finite_width",
    "mean_field",
    "shuffled_control",
    "solve",
]


def __dir__() -> list[str]:
    return sorted(__all__)
