"""Labelled data: Gaussian mixtures, those of the paper among them, data files, and scikit-learn's digits.

Every function but `apply_scale` returns ``(X, y)``: X a C-contiguous float64 array of shape (n_samples, n_features),
y an array of shape (n_samples,).
"""

from __future__ import annotations

from nc1fast.datasets.bundled import digits
from nc1fast.datasets.files import load
from nc1fast.datasets.mixtures import gaussian_mixture, paper_d1, paper_d2
from nc1fast.datasets.readers import as_reader
from nc1fast.datasets.scaling import SCALES, Scale, apply_scale

__all__ = [
    "SCALES",
    "Scale",
    "apply_scale",
    "as_reader",
    "digits",
    "gaussian_mixture",
    "load",
    "paper_d1",
    "paper_d2",
]
