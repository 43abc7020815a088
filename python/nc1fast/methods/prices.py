"""Predicted run times of the methods, from costs measured once: only their ratios matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nc1fast.activations import traits
from nc1fast.estimators.runs import PILOT_UNITS
from nc1fast.estimators.strata import PILOT_PAIRS
from nc1fast.kernels.algebra import Composite
from nc1fast.shortcuts import shortcut_of

if TYPE_CHECKING:
    from nc1fast.kernels.classes import Kernel

# Seconds on one core, of the machine behind the table in the README.
_PAIR, _PAIR_FEATURE = 1.7e-9, 3.9e-11  # exact: per pair of rows and hidden layer; per feature
_SWEEP = 2.5e-7  # per row and class
_LINE, _PLANE = (1e-7, 2.5e-3, 1e-5), (3e-7, 3e-2, 1.4e-2)  # per row; class; pair of classes
_DRAWN, _DRAWN_FEATURE = 7e-7, 1.6e-8  # per sampled pair of rows and hidden layer; per feature
_STRATUM = 5e-5  # per pair of classes, in each sample of pairs
_UNIT, _UNIT_FEATURE = 6e-9, 6e-11  # per row and hidden unit; per feature; an NTK four times both
_UNIT_DRAWN = 1e-5


class Price(NamedTuple):
    """Predicted seconds of a method.

    Attributes
    ----------
    begun : float
        Of what is certain to run: all of an exact method; of an estimate the first reading of the
        rows and the pilot.
    term : float
        Of each further term of a sample.
    """

    begun: float
    term: float = 0.0

    def seconds(self, terms: int) -> float:
        """Seconds of a sample that was given up after so many terms."""
        return max(self.begun, terms * self.term)


def prices(
    kernel: Kernel, n: int, n_features: int, n_classes: int, *, single: bool, n_threads: int
) -> dict[str, Price]:
    """Price of each method that applies to a kernel, by name.

    Parameters
    ----------
    kernel : Kernel
    n, n_features, n_classes : int
        Rows, their columns, and classes.
    single : bool
        Whether tiles are in single precision.
    n_threads : int
    """
    layers = max(1, kernel.depth - 1)
    exact = n**2 / 2 * (_PAIR * layers + _PAIR_FEATURE * n_features) / n_threads
    out = {"exact": Price(exact * (0.5 if single else 1.0))}
    if isinstance(kernel, Composite):
        return out
    shortcut = shortcut_of(kernel, n_features)
    if shortcut == "linear":
        out["shortcut"] = Price(n * n_features * n_classes * 1e-9)
    elif shortcut == "sweep":
        out["shortcut"] = Price(n * (n_classes + 1) * _SWEEP)
    elif shortcut == "interpolation":
        row, one, two = _LINE if n_features == 1 else _PLANE
        classes = n_classes * (one + n_classes * two * layers)
        out["shortcut"] = Price(n * (n_classes + 1) * row + classes)
    strata = n_classes * (n_classes + 1) / 2
    term = _DRAWN * layers + _DRAWN_FEATURE * n_features
    pilot = (PILOT_PAIRS * term + 2 * _STRATUM) * strata
    if traits(kernel.input_layer(n_features).activation).series is None:
        out["pairs"] = Price((n + 28 * n_classes) * term + pilot, term)
    if (layer := kernel.one_layer(n_features)) is not None:
        unit = n * (_UNIT + _UNIT_FEATURE * n_features) * (4 if layer.tangent else 1) + _UNIT_DRAWN
        out["features"] = Price(PILOT_UNITS * unit, unit)
    return out
