"""What a figure shows, in words, for those who do not see it: its panels, its axes, and where its curves begin and end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FLAT = 0.02  # relative change below which a curve stays where it is
_MOST_CURVES = 8  # told of one panel


def seen(figure: Any) -> str:
    """Describe a figure: the number of its panels, the first one curve by curve, and the titles of the others."""
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    if not panels:
        return ""
    first, *others = panels
    told = [_panel(first)]
    if others:
        titles = ", ".join(ax.get_title(loc="left") for ax in others)
        told.append(f"{len(others)} more panel{'s' * (len(others) > 1)}: {titles}.")
    return " ".join(told)


def _panel(ax: Any) -> str:
    title = ax.get_title(loc="left")
    if ax.images:
        return f"{title}: a heat map."
    axes = " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
    courses = list(_courses(ax))
    more = len(courses) - _MOST_CURVES
    told = [*courses[:_MOST_CURVES], *([f"and {more} more"] if more > 0 else [])]
    return f"{title}{f', {axes}' if axes else ''}: {'; '.join(told) or 'no points'}."


def _courses(ax: Any) -> Iterator[str]:
    """One clause for each named curve: "NNGP rises from 0.009 to 0.11"; a range where positions are names."""
    for container in ax.containers:
        x, y = (list(values) for values in container[0].get_data(orig=False))
        told = _course(y) if ax.get_yscale() == "log" else _range(x)
        if told:
            yield f"{container.get_label()} {told}"


def _course(values: Sequence[float]) -> str:
    known = [float(v) for v in values if math.isfinite(v)]
    if len(known) < 2:
        return f"is {known[0]:.2g}" if known else ""
    first, last = known[0], known[-1]
    if abs(last / first - 1) < _FLAT:
        return f"stays at {first:.2g}" if max(known) / min(known) < 1 + _FLAT else _range(known)
    return f"{'rises' if last > first else 'falls'} from {first:.2g} to {last:.2g}"


def _range(values: Sequence[float]) -> str:
    known = [float(v) for v in values if math.isfinite(v)]
    return f"lies between {min(known):.2g} and {max(known):.2g}" if known else ""
