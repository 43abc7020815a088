"""Figures in words, for those who do not see them: panels, axes, and where curves begin and end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_CURVES = 8  # told of one panel


def seen(figure: Any) -> str:
    """Describe a figure: the number of its panels, the first one curve by curve, and the titles of
    the others.
    """
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    if not panels:
        return ""
    first, *others = panels
    x_name = next((ax.get_xlabel() for ax in panels if ax.get_xlabel()), "")
    told = [_panel(first, " against ".join(filter(None, (first.get_ylabel(), x_name))))]
    if others:
        titles = ", ".join(ax.get_title(loc="left") for ax in others)
        told.append(f"{len(others)} more panel{'s' * (len(others) > 1)}: {titles}.")
    return " ".join(told)


def _panel(ax: Any, axes: str) -> str:
    title = ax.get_title(loc="left")
    if ax.images:
        return f"{title}: a heat map."
    courses = list(_courses(ax))
    more = len(courses) - _MOST_CURVES
    told = [*courses[:_MOST_CURVES], *([f"and {more} more"] if more > 0 else [])]
    return f"{title}{f', {axes}' if axes else ''}: {'; '.join(told) or f'{len(ax.lines)} lines'}."


def _courses(ax: Any) -> Iterator[str]:
    """One clause for each named curve: "NNGP rises from 0.009 to 0.11"; a range where positions are
    names.
    """
    for container in ax.containers:
        x, y = (
            [float(v) for v in values if math.isfinite(v)]
            for values in container[0].get_data(orig=False)
        )
        if x and y:
            yield f"{container.get_label()} {_course(y) if ax.get_yscale() == 'log' else _range(x)}"


def _course(values: Sequence[float]) -> str:
    first, last = f"{values[0]:.2g}", f"{values[-1]:.2g}"
    if first == last:
        return _range(values)
    return f"{'rises' if values[-1] > values[0] else 'falls'} from {first} to {last}"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return f"is {low}" if low == high else f"lies between {low} and {high}"
