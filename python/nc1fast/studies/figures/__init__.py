"""Figures of a study, drawn from its table and its series and nothing else.

Means, standard deviations and pairs of rows come from `nc1fast.studies.summary`; here they only get a place on paper:
curves (rows to points) -> panels (points to axes) -> drawing (figure, caption, files). A module for each kind of figure
makes the curves; `looks` says what each representation looks like, the same everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nc1fast.studies.figures import collapse, controls, courses, matrices, points, ratios
from nc1fast.studies.figures.drawing import STYLE, Drawing, save, to_bytes
from nc1fast.studies.summary import derived
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

__all__ = ["Drawing", "draw", "save", "to_bytes"]

_OF_TABLE = (
    collapse.overview,
    ratios.training,
    controls.shuffled,
    collapse.by_size,
    ratios.ntk_over_nngp,
    controls.conventions,
    points.against_depth,
    points.single_data_sets,
)
_OF_SERIES = (
    courses.along_training,
    courses.along_annealing,
    matrices.weight_covariances,
    matrices.gram_matrices,
)
_LAST = (points.counter_examples,)  # after everything on the published data
_UNDEFINED = (
    " A note above a panel counts what has no place on its logarithmic axis: values that are not positive, or that a "
    "failed computation leaves open."
)


@ieee
def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Draw every figure that the rows can support, in the order in which they should be seen.

    Parameters
    ----------
    rows : sequence of Row
        The table, as `nc1fast.studies.table.read` gives it.
    series : sequence of Row, optional
        As `nc1fast.studies.series.read` gives it.

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
    with matplotlib.rc_context(STYLE):
        of_table = [drawing for make in _OF_TABLE for drawing in make(rows)]
        of_series = [drawing for make in _OF_SERIES for drawing in make(series)]
        last = [drawing for make in _LAST for drawing in make(rows)]
    drawings = [*of_table, *of_series, *last]
    for drawing in drawings:
        drawing.figure.draw_without_rendering()  # lays it out
        drawing.figure.set_layout_engine("none")  # for good, whatever the format
    return [_complete(d, [e.name for e in drawings[:i]]) for i, d in enumerate(drawings)]


def _complete(drawing: Drawing, taken: Sequence[str]) -> Drawing:
    """The drawing with a name of its own, and a caption that explains its notes if it has any."""
    again = taken.count(drawing.name)
    name = f"{drawing.name}-{again + 1}" if again else drawing.name
    noted = any(ax.texts for ax in drawing.figure.axes)
    return replace(drawing, name=name, caption=drawing.caption + _UNDEFINED * noted)
