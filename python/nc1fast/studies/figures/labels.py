"""Names at the ends of curves, in their colours, moved apart where they would overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.studies.figures import palette
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures.looks import Look

_NAME = "name of a curve"  # marks the annotations of this module
_SIZE = 8.0  # of the letters, in points
_LINE = 1.25  # distance of two names, in sizes
_GAP = 14  # from panel to names, in points


def name_curve(ax: Any, look: Look, x: float, y: float) -> None:
    """Write the name of a curve, which ends at (x, y), right of its panel; `settle` joins the
    two.
    """
    offset = require("matplotlib.transforms", "study").offset_copy
    ax.annotate(
        look.label,
        (x, y),
        (1, 0.5),
        textcoords=offset(ax.transAxes, ax.figure, x=_GAP, units="points"),
        color=palette.of_words(look.colour),
        fontsize=_SIZE,
        verticalalignment="center",
        annotation_clip=False,
        gid=_NAME,
    )


def settle(figure: Any) -> None:
    """Move the names of a figure that is laid out apart, as little as possible, and join each to
    its curve.
    """
    for ax in list(figure.axes):
        names = [text for text in ax.texts if text.get_gid() == _NAME]
        if not names:
            continue
        gap = _LINE * _SIZE / 72 * figure.dpi / ax.bbox.height
        ends = [ax.transData.transform(name.xy) for name in names]
        heights = [(y - ax.bbox.y0) / ax.bbox.height for _, y in ends]
        for name, end, place in zip(names, ends, spaced(heights, gap), strict=True):
            name.set_position((1, place))
            _join(figure, name, end)


def _join(figure: Any, name: Any, end: Any) -> None:
    """A thin line from the end of a curve, in pixels, to its name."""
    point = figure.dpi / 72
    x, y = name.axes.transAxes.transform(name.get_position())
    ends = [(end[0] + 4 * point, end[1]), (x + (_GAP - 2) * point, y)]
    line = require("matplotlib.lines", "study").Line2D
    style = {"linewidth": 0.6, "color": name.get_color(), "alpha": 0.7, "zorder": 0.5}
    placed = figure.transFigure.inverted().transform(ends)
    figure.add_artist(line(*placed.T, transform=figure.transFigure, **style))


def spaced(heights: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, near the given ones in the least squares sense, within 0 and
    1 if they fit.

    Less i gaps, the i-th smallest position must not decrease with i: isotonic regression.
    """
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(order))
    regression = require("scipy.optimize", "study").isotonic_regression
    levels = regression(np.clip(np.asarray(heights)[order], 0, 1) - steps).x
    room = 1 - steps[-1]  # of the lowest position
    low, high = (0.0, room) if room > 0 else (room / 2, room / 2)
    placed = np.empty(len(order))
    placed[order] = np.clip(levels, low, high) + steps
    found: list[float] = placed.tolist()
    return found
