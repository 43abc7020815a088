"""The second moment of the tangent kernel of a finite ReLU network, exactly.

On one input a ReLU network without biases has the law of a linear one whose units are on with
probability 1/2, independently of the weights. With u_l = |h_l|^2, v_l = |delta_l|^2 the tangent
kernel is Theta(x, x) = sum over layers of c_l u_{l-1} v_l, terms of the same mean. For l < l',
E[term_l term_l'] takes E u_{l-1}^2, E v_l'^2 and E |P|_F^4 of the product P of the layers in
between; a = E |P|_F^4/(E |P|_F^2)^2 and b = E |P P^T|_F^2/(E |P|_F^2)^2 begin with (1 + 1/n, 2/n)
and go on, through a layer of n units, as a' = (1 + 1/n) a + 4/n b, b' = (1 + 3/n) b + 2/n a. E u^2
and E v^2 take the factor 1 + 5/n from each layer.
Source: the masks are those of Hanin & Nica (2020), arXiv 1909.05989, who give the order exp(5
beta); the recursion is ours. Seleznova & Kutyniok (2022), arXiv 2202.00553, announce exact moments
too; that paper was not read.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nc1fast.support.arguments import as_count, as_items

if TYPE_CHECKING:
    from collections.abc import Sequence


def tangent_moment(widths: Sequence[int]) -> float:
    """E Theta(x, x)^2/(E Theta(x, x))^2 of a finite ReLU network without biases, over its
    initialisations.

    Parameters
    ----------
    widths : sequence of int
        Units of each hidden layer, from input to output; one output, all weights trained, NTK
        parametrization.

    Returns
    -------
    float
        1 + Var/mean^2: 1 + 3/m for one hidden layer of m units. The same for every x and every
        weight variance.

    Notes
    -----
    Cost: of order L^2. Accuracy: rounding; all terms are positive.
    Source: of this library (see the module), after Hanin & Nica (2020), arXiv 1909.05989, who give
    its order of magnitude, exp(5 beta), beta = sum 1/n_l.

    Examples
    --------
    >>> nc.theory.tangent_moment([64] * 15)  # of depth 16; exp(5 * 15/64) is 3.23
    """
    what = "the units of each hidden layer"
    units = [as_count("widths", n) for n in as_items("widths", widths, what)]
    if not units:
        raise ValueError(f"widths must be {what}, got none")
    before = list(itertools.accumulate((1 + 5 / n for n in units), lambda a, b: a * b, initial=1.0))
    depth, whole = len(units) + 1, before[-1]
    total = depth * whole  # of each term with itself
    for low in range(1, depth):  # the terms of layers low < high
        n = units[low - 1]
        a, b = 1 + 1 / n, 2 / n
        for high in range(low + 1, depth + 1):
            beyond = whole / before[high - 1]
            total += 2 * before[low - 1] * a * beyond
            if high <= len(units):
                n = units[high - 1]
                a, b = (1 + 1 / n) * a + 4 / n * b, (1 + 3 / n) * b + 2 / n * a
    return total / depth**2
