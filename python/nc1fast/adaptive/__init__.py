"""The adaptive kernel: that of hidden weights which have learned the labels, by the equations of
state of a wide network.

    settings   the network and the solver, checked
    slopes     how a kernel depends on the norms of its rows, per activation
    factoring  Cholesky factors, on the processor or a device
    equations  the free energy of Sigma and its gradient
    descent    down to a stationary point
    starts     where descents begin
    search     several starts at one width, and the minima they end at
    solving    `solve`: continuation in width
    solution   the result, with a certificate
    control    the same with shuffled labels

and the same equations without a Gaussian closure:

    mean_field_settings  the network and the draws, checked
    hidden_prior         the prior and draws from it
    hidden_draws         sums over draws
    tilting              the law of the hidden weights and its free energy
    mean_field           the solve, its error and its residual
    mean_field_solution  the result
    finite_width         from there to the exact posterior of a network

Needs the `adaptive` extra (scipy).
"""

from __future__ import annotations

from nc1fast.adaptive.control import ShuffledControl, shuffled_control
from nc1fast.adaptive.finite_width import FiniteWidth, finite_width
from nc1fast.adaptive.mean_field import mean_field
from nc1fast.adaptive.mean_field_solution import MeanFieldSolution
from nc1fast.adaptive.solution import AdaptiveSolution, Branch
from nc1fast.adaptive.solving import solve

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
