"""Labelled data: Gaussian mixtures, those of the paper among them, data files, and scikit-learn's
digits.

Every function but `apply_scale` returns ``(X, y)``: X a C-contiguous float64 array of shape
(n_samples, n_features), y an array of shape (n_samples,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nc1fast.datasets.files import load
    from nc1fast.datasets.images import digits
    from nc1fast.datasets.mixtures import gaussian_mixture, paper_d1, paper_d2
    from nc1fast.datasets.readers import as_reader
    from nc1fast.datasets.scaling import SCALES, Scale, apply_scale

_HOMES = {
    "SCALES": "scaling",
    "Scale": "scaling",
    "apply_scale": "scaling",
    "as_reader": "readers",
    "digits": "images",
    "gaussian_mixture": "mixtures",
    "load": "files",
    "paper_d1": "mixtures",
    "paper_d2": "mixtures",
}  # imported when first named: `datasets.paths` is part of what every function of rows needs
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


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"nc1fast.datasets.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
