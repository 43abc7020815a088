"""Expected collapse of Gaussian mixtures under limiting kernels: no data set is drawn.

expectation       the public function, its arguments and its result
population        quadrature: classes N(m_c 1, s_c^2 I), one hidden layer of relu or erf, no biases
gaussian_moments  activations at a Gaussian preactivation, for the quadrature
nodes             where the quadrature evaluates them
pairs             any other kernel and mixture: quasi-random pairs of rows, with a standard error
mixture           Gaussian classes with any means and covariances
"""

from __future__ import annotations

from nc1fast.theory.expectation import ExpectedCollapse, expected_collapse

__all__ = ["ExpectedCollapse", "expected_collapse"]
