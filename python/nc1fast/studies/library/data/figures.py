"""The figures of a study of data: every kernel along its depth first, with networks beside them, then those of any table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies import figures
from nc1fast.studies.figures import collapse
from nc1fast.studies.figures.curves import activations, representations, written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import model_of
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.findings.checks import LIMITING
from nc1fast.studies.library.data.rows import first_convention
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_SHOWN = (  # (model, state)
    ("data", ""),
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
    drawings = list(collapse.overview(rows))
    yield from drawings or over_depth(rows)


def over_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of every model against depth, one panel for each data set and activation."""
    some = [row for row in first_convention(rows) if row["state"] != "theory"]
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
        f"NC1 of {', '.join(distinct(some, 'dataset'))} and of models of them, against depth. NC1 is Tr Σ_W / Tr Σ_B, the "
        f"variance within the classes over that between them (N = {sizes}); the level of the data stands at every depth."
        f"{collapse.repeats(some)}{collapse.setting(some)}"
    )
    sheet = Sheet([panels], "depth (weight layers)", collapse.NC1, place=float, height=3.6)
    yield Drawing("overview", caption, drawn(sheet))


def _curves(rows: Sequence[Row], activation: str, n: int) -> list[Curve]:
    """Limiting kernels and the data at the largest N, beside networks and adaptive kernels wherever they are."""
    of_all = select(rows, lambda row: (model_of(row), row["state"]) in _SHOWN)
    own = select(
        of_all, lambda row: row["N"] == n or row["model"] not in LIMITING, activation=activation
    )
    depths = sorted(distinct(own, "depth"))
    level = [
        {**row, "depth": depth} for row in select(of_all, model="data", N=n)[:1] for depth in depths
    ]
    return representations([*own, *level], "depth")[0]
