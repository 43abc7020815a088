"""Expected collapse of Gaussian mixtures under limiting kernels, by quadrature: no sample is drawn.

Class c is N(m_c 1, s_c^2 I) in d0 features, 1 the all-ones vector; the networks have one hidden layer and no biases.
"""

from __future__ import annotations

from nc1fast.theory.expectation import ExpectedCollapse, expected_collapse

__all__ = ["ExpectedCollapse", "expected_collapse"]
