"""Figures of a study, drawn from its table and its series alone; the kit that every study uses.

Pairs of rows come from `nc1fast.studies.summary`, means and intervals from `findings.rules`; here
they get a place on paper: curves (rows to points) -> panels (points to axes), with axes and labels
(names at the curves) -> drawing (figure, caption, files for light and dark pages). palette and
looks say what each thing looks like, in every figure. One module for each kind of figure: levels
(NC1 over a column: features, depth, width, class sizes), ratios (paired), points (one data set,
ratios of many), series (training, annealing, Sigma, Gram). Figures that belong to one study stand
in its folder of `nc1fast.studies.library`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.studies.figures import levels, points, ratios
from nc1fast.studies.figures import series as _series
from nc1fast.studies.figures.curves import UNCERTAINTY
from nc1fast.studies.figures.drawing import STYLE, Drawing, save, to_bytes
from nc1fast.studies.figures.labels import settle
from nc1fast.studies.figures.panels import NOTE
from nc1fast.studies.summary import derived, select
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nc1fast.studies.tidy import Row

    Maker: TypeAlias = Callable[[Sequence[Row]], Iterator[Drawing]]

__all__ = ["UNCERTAINTY", "Drawing", "draw", "save", "to_bytes"]

_OF_TABLE = (
    ratios.training,
    levels.against_width,
    ratios.of_solutions,
    points.shuffled,
    levels.by_size,
    ratios.ntk_over_nngp,
    points.conventions,
    points.against_depth,
    points.single_data_sets,
)
_OF_SERIES = (
    _series.along_training,
    _series.along_annealing,
    _series.weight_covariances,
    _series.gram_matrices,
)
_UNDEFINED = (
    " A note above a panel counts what has no place on its logarithmic axis: values that are not "
    "positive, or that a failed computation leaves open."
)


@ieee
def draw(
    rows: Sequence[Row],
    series: Sequence[Row] = (),
    *,
    lead: Maker = levels.overview,
    own: Sequence[Maker] = (),
    aside: Sequence[str] = (),
) -> list[Drawing]:
    """Draw every figure that the rows support, in the order in which they should be seen.

    Parameters
    ----------
    rows : sequence of Row
        The table, as `nc1fast.studies.table.read` returns it.
    series : sequence of Row, optional
        As `nc1fast.studies.table.read_series` returns them.
    lead : callable(rows) -> drawings
        What comes first, from all rows; default: NC1 against d0 for each data set.
    own : sequence of callable(rows) -> drawings
        Further figures of one study, drawn last from all rows.
    aside : sequence of str
        Arms that only those two show.

    Returns
    -------
    list of Drawing
        The first is "overview", if the rows support it.

    Raises
    ------
    ImportError
        If matplotlib is missing (extra `study`).
    """
    matplotlib = require("matplotlib", "study")
    rows = derived(rows)
    shared = select(rows, lambda row: row["arm"] not in aside)
    with matplotlib.rc_context(STYLE):
        of_table = [*lead(rows), *(drawing for make in _OF_TABLE for drawing in make(shared))]
        of_series = [drawing for make in _OF_SERIES for drawing in make(series)]
        last = [drawing for make in own for drawing in make(rows)]
    return finished([*of_table, *of_series, *last])


def finished(drawings: Sequence[Drawing]) -> list[Drawing]:
    """Figures laid out for good, with unique names, notes explained and what they show in words."""
    for drawing in drawings:
        drawing.figure.get_layout_engine().execute(drawing.figure)
        drawing.figure.set_layout_engine("none")  # the same in every format
        settle(drawing.figure)
    return [_complete(d, [e.name for e in drawings[:i]]) for i, d in enumerate(drawings)]


def _complete(drawing: Drawing, taken: Sequence[str]) -> Drawing:
    """The drawing with a unique name, with a caption that explains its notes if it has any, and
    with what it shows.
    """
    again = taken.count(drawing.name)
    name = f"{drawing.name}-{again + 1}" if again else drawing.name
    noted = any(text.get_gid() == NOTE for ax in drawing.figure.axes for text in ax.texts)
    caption = drawing.caption + _UNDEFINED * noted
    return replace(drawing, name=name, caption=caption, seen=seen(drawing.figure))


# --- figures in words, for those who do not see them

_MOST_CURVES = 8  # of one panel in words


def seen(figure: Any) -> str:
    """Describe a figure: the number of its panels, the first one curve by curve, and the titles of
    the others.
    """
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    if not panels:
        return ""
    first, *others = panels
    x_name = next((ax.get_xlabel() for ax in panels if ax.get_xlabel()), "")
    sentences = [_panel(first, " against ".join(filter(None, (first.get_ylabel(), x_name))))]
    if others:
        titles = ", ".join(ax.get_title(loc="left") for ax in others)
        sentences.append(f"{len(others)} more panel{'s' * (len(others) > 1)}: {titles}.")
    return " ".join(sentences)


def _panel(ax: Any, axes: str) -> str:
    title = ax.get_title(loc="left")
    if ax.images:
        return f"{title}: a heat map."
    clauses = list(_clauses(ax))
    more = len(clauses) - _MOST_CURVES
    some = [*clauses[:_MOST_CURVES], *([f"and {more} more"] if more > 0 else [])]
    return f"{title}{f', {axes}' if axes else ''}: {'; '.join(some) or f'{len(ax.lines)} lines'}."


def _clauses(ax: Any) -> Iterator[str]:
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
