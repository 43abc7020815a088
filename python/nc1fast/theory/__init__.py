"""Expectations without a draw: the collapse of Gaussian mixtures under limiting kernels, and a
moment of finite networks.

expectation  the public function, its arguments and its result
population   quadrature: classes N(m_c 1, s_c^2 I), one hidden layer of relu or erf, no biases
pairs        any other kernel and mixture: quasi-random pairs of rows, with a standard error
tangent      the second moment of the tangent kernel of finite ReLU networks
"""

from __future__ import annotations

from nc1fast.theory.expectation import ExpectedCollapse, expected_collapse
from nc1fast.theory.tangent import tangent_moment

__all__ = ["ExpectedCollapse", "expected_collapse", "tangent_moment"]


def __dir__() -> list[str]:
    return sorted(__all__)
