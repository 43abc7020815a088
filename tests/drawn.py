"""Numbers read off a figure, and those of the rows behind it."""

from __future__ import annotations

import math

import numpy as np

T = 4.302652729749464  # 97.5 % quantile of Student's t with two degrees of freedom


def curve(ax, label):
    """The line of a curve and the lengths of its bars, below and above."""
    [container] = [c for c in ax.containers if c.get_label() == label]
    line, _, bars = container
    y = line.get_ydata(orig=False)
    ends = np.array([segment[:, 1] for segment in bars[0].get_segments()])
    return line, ends.min(axis=1), ends.max(axis=1), np.asarray(y)


def notes(ax):
    """Words above a panel, which are not names of curves."""
    labels = {c.get_label() for c in ax.containers}
    return [text.get_text() for text in ax.texts if text.get_text() not in labels]


def values(rows, *columns, **fixed):
    """NC1 of the rows that have the given values, by some of their columns."""
    found: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        if all(row[name] == value for name, value in fixed.items()):
            found.setdefault(tuple(row[name] for name in columns), []).append(row["nc1"])
    return found


def assert_means(ax, label, samples):
    """Points are geometric means of samples (x, repeats); bars are 95 % Student intervals of the
    mean logarithm.
    """
    logs = np.log(samples)
    _, low, high, y = curve(ax, label)
    middle, reach = logs.mean(axis=1), T * logs.std(axis=1, ddof=1) / math.sqrt(3)
    for drawn, told in ((y, middle), (low, middle - reach), (high, middle + reach)):
        np.testing.assert_allclose(drawn, np.exp(told), rtol=1e-9)
