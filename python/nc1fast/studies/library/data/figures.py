"""The figures of a study of data: every kernel along its depth first, with networks beside them,
then those of any table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies import figures
from nc1fast.studies.figures import levels as _levels
from nc1fast.studies.figures.curves import Curve, activations, levels, representations, written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of, variant
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.findings import pairings
from nc1fast.studies.summary import distinct, grouped, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_SHOWN = (  # (model, state)
    ("data", ""),
    ("mean field", ""),
    ("NNGP", ""),
    ("NTK", ""),
    ("network", "start"),
    ("network", "end"),
    ("AdaptiveKernel", ""),
    ("AdaptiveKernel", "shuffled"),
)
_MOST_PANELS = 4


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """All figures, as `nc1fast.studies.figures.draw`, with that of these data first."""
    return figures.draw(rows, series, lead=lead)


def lead(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against d0 where data have several, else NC1 of every model against depth."""
    drawings = list(_levels.overview(rows))
    yield from drawings or over_depth(rows)


def over_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of every model against depth, one panel for each data set and activation."""
    some = [row for row in pairings.first_convention(rows) if row["state"] != "theory"]
    panels = []
    for group, members in grouped(some, ("dataset", "d0")):
        n = max(distinct(members, "N"))
        for name in activations(members):
            panels.append(Panel(f"{group['dataset']}, {written(name)}", _curves(members, name, n)))
    panels = [panel for panel in panels if panel.curves][:_MOST_PANELS]
    if not panels:
        return
    sizes = ", ".join(f"{n:,}" for n in sorted(distinct(some, "N")))
    caption = (
        f"NC1 of {', '.join(distinct(some, 'dataset'))} and of models of them, against depth. NC1 "
        "is Tr Σ_W / Tr Σ_B, the variance within the classes over that between them (N = "
        f"{sizes}); the level of the data stands at every "
        f"depth.{_levels.repeats(some)}{_levels.setting(some)}"
    )
    sheet = Sheet([panels], "depth (weight layers)", _levels.NC1, place=float, height=3.6)
    yield Drawing("overview", caption, drawn(sheet))


def _curves(rows: Sequence[Row], activation: str, n: int) -> list[Curve]:
    """Limiting kernels and the data at the largest N, beside networks and adaptive kernels wherever
    they are.
    """
    of_all = select(rows, lambda row: (model_of(row), row["state"]) in _SHOWN)
    own = select(
        of_all,
        lambda row: row["N"] == n or row["model"] not in LIMITING,
        activation=activation,
    )
    depths = sorted(distinct(own, "depth"))
    data = select(of_all, model="data", N=n)[:1]
    level = [{**row, "depth": depth} for row in data for depth in depths]
    plain = select(own, lambda row: row["model"] != "AdaptiveKernel")
    return [*representations([*level, *plain], "depth")[0], *_adaptive(own)]


def _adaptive(rows: Sequence[Row]) -> list[Curve]:
    """Adaptive kernels, each with its noise where there are several."""
    curves = []
    some = select(rows, model="AdaptiveKernel")
    noises = distinct(some, "noise")
    for cell, members in grouped(some, ("state", "noise", "weight_variance")):
        look = look_of("AdaptiveKernel", cell["state"])
        suffix = f", noise {cell['noise']:g}" if len(noises) > 1 and not cell["state"] else ""
        curves.append(
            Curve(variant(look, suffix, noises.index(cell["noise"])), levels(members, "depth"))
        )
    return curves
