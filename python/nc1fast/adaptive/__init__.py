"""The adaptive kernel: hidden weights that have seen the labels, by the equations of state of a wide network.

equations: the free energy of Sigma and its gradient, one Cholesky factorization each -> descent: down to a stationary
point -> solving: checked arguments, several starts, continuation in width -> solution: what came out, with a certificate.
Needs the `adaptive` extra (scipy).
"""

from __future__ import annotations

from nc1fast.adaptive.control import ShuffledControl, shuffled_control
from nc1fast.adaptive.solution import AdaptiveSolution
from nc1fast.adaptive.solving import solve

__all__ = ["AdaptiveSolution", "ShuffledControl", "shuffled_control", "solve"]
