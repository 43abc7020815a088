"""Gaussian classes for tests."""

from __future__ import annotations

import numpy as np


def gaussians(sizes, n_features, std=0.5, seed=0):
    """Classes of these sizes about random means, in random order: X and y."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(sizes), n_features))[y] + std * rng.normal(size=(len(y), n_features))
    order = rng.permutation(len(y))
    return X[order], y[order]
