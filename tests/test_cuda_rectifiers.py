"""Kernels of one hidden layer of rectifiers on devices: the NTK as one polynomial, alone and beside
the NNGP.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests import cases, precise
from tests.gaussians import gaussians

import nc1fast as nc

each_activation = pytest.mark.parametrize("activation", ["relu", "abs", nc.LeakyReLU(0.3)], ids=str)


@each_activation
@pytest.mark.parametrize(
    "variances", [{}, {"weight_variance": [0.01, 7.0], "bias_variance": [0.0, 3.0]}]
)
def test_tangent_kernels_alone_have_the_digits_of_their_closed_form(
    activation, variances, other_device
):
    kernel = nc.NTK(activation, depth=2, **variances)
    precise.assert_digits_at_every_angle(kernel, device=other_device)


@pytest.mark.parametrize("dtype", cases.DTYPES)
@each_activation
def test_their_sums_are_those_of_the_processor(activation, dtype, other_device):
    """One, or one twice: the same polynomial, and roots that differ in their last bits."""
    X, y = gaussians((66, 5, 1, 9), 7)
    for kernel in (nc.NTK(activation), nc.NTK(activation, 2, 0.8, 0.1)):
        for kernels in ([kernel], [kernel, kernel]):
            here, there = (
                cases.class_sums(X, y, kernels, device=device, dtype=dtype)
                for device in ("cuda", "cpu")
            )
            unit = 1e-13 if dtype == "float64" else 1e-6
            for a, b in zip(here, there, strict=True):
                for name in ("block_sums", "within", "class_rows"):
                    found, expected = getattr(a, name), getattr(b, name)
                    assert np.abs(found - expected).max() <= unit * np.abs(expected).max(), name


@pytest.mark.slow
def test_both_kernels_of_one_layer_have_the_bits_that_each_has_alone(other_device):
    cases.assert_both_of_rectifiers_keep_their_bits((3, 66, 1, 9), device="cuda")
