"""Labelled rows of which a few dominate NC1: heavy tails, outliers, wrong labels, a table of 16
classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rows = tuple[NDArray[np.float64], NDArray[np.int64]]

FEATURES, CLASSES = 8, 4
CARRIERS = np.array(
    (
        57782,
        54049,
        51108,
        47658,
        31947,
        25037,
        19831,
        17294,
        12044,
        5116,
        3175,
        709,
        681,
        544,
        342,
        29,
    )
)  # flights of each


def _classes(n: int) -> NDArray[np.int64]:
    return np.arange(n) % CLASSES


def lognormal(n: int) -> Rows:
    """Rows exp(1.5 z + m), z standard normal, m of the class: the longest is hundreds of times the
    median.
    """
    rng = np.random.default_rng(1)
    y = _classes(n)
    means = 0.5 * rng.normal(size=(CLASSES, FEATURES))
    return np.exp(1.5 * rng.normal(size=(n, FEATURES)) + means[y]), y


def student_norms(n: int) -> Rows:
    """Random directions with norms of a Student t of 1.5 degrees of freedom, about means a fifth
    apart.
    """
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, FEATURES))
    X *= (np.abs(rng.standard_t(1.5, size=n)) / np.linalg.norm(X, axis=1))[:, None]
    y = _classes(n)
    return X + 0.2 * rng.normal(size=(CLASSES, FEATURES))[y], y


def outliers(n: int, many: int, times: float) -> Rows:
    """Gaussian classes in which some rows are many times longer than the others."""
    rng = np.random.default_rng(3)
    y = _classes(n)
    X = rng.normal(size=(CLASSES, FEATURES))[y] + 0.5 * rng.normal(size=(n, FEATURES))
    X[rng.choice(n, many, replace=False)] *= times
    return X, y


def mislabelled(n: int) -> Rows:
    """Classes a thousandth as wide as they are apart, and five rows with the label of another."""
    rng = np.random.default_rng(4)
    y = _classes(n)
    X = rng.normal(size=(CLASSES, FEATURES))[y] + 1e-3 * rng.normal(size=(n, FEATURES))
    wrong = rng.choice(n, 5, replace=False)
    y[wrong] = (y[wrong] + 1) % CLASSES
    return X, y


def flights(n: int) -> Rows:
    """A table like that of a year's flights by carrier: 16 classes from 29 rows in 327,346 to
    57,782, 13 standardised columns.

    Delays with heavy right tails that depend on one another, times of day and calendar in whole
    numbers, distances in a few values of each carrier; class means nearly the same.
    """
    rng = np.random.default_rng(5)
    sizes = np.maximum(29, np.round(CARRIERS * (n / CARRIERS.sum()))).astype(np.int64)
    y = rng.permutation(np.repeat(np.arange(16), sizes))
    n = len(y)
    carrier = rng.normal(size=(16, 4))
    departure = np.round(np.exp(1.2 * rng.normal(size=n) + 0.2 * carrier[y, 0] + 1.5) - 8)
    late = np.where(rng.random(n) < 0.02, np.round(40 * rng.pareto(1.6, size=n)), 0.0)
    departure += late
    arrival = departure + np.round(12 * rng.standard_t(4, size=n) - 4)
    routes = rng.integers(5, size=n)
    distance = np.round(np.exp(rng.normal(6.7, 0.6, size=(16, 5))))[y, routes]
    air = np.round(distance / 7.6 + 18 + 6 * rng.standard_t(5, size=n))
    scheduled = rng.integers(5, 23, size=n) * 100 + 5 * rng.integers(12, size=n)
    columns: list[Any] = [
        rng.integers(1, 13, size=n),
        rng.integers(1, 29, size=n),
        scheduled,
        scheduled + departure,
        departure,
        scheduled + air + 30,
        scheduled + air + arrival + 30,
        arrival,
        air,
        distance,
        scheduled // 100,
        scheduled % 100,
        rng.integers(1, 8, size=n),
    ]
    X = np.column_stack(columns).astype(np.float64)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


FAMILIES: dict[str, Callable[[int], Rows]] = {
    "lognormal rows": lognormal,
    "t_1.5 norms": student_norms,
    "one row x 1000": lambda n: outliers(n, 1, 1000.0),
    "ten rows x 100": lambda n: outliers(n, 10, 100.0),
    "five mislabelled": mislabelled,
    "16 classes, 29 to 57,782": flights,
}
