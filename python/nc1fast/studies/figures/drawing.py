"""A drawing: a figure with its name and caption, and its PNG and SVG files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import palette
from nc1fast.studies.figures.themes import themed
from nc1fast.support.extras import require
from nc1fast.support.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": palette.MUTED,
    "axes.labelcolor": palette.MUTED,
    "axes.titlecolor": palette.INK,
    "grid.color": palette.GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "text.color": palette.INK,
    "text.parse_math": False,  # a name of the user may hold dollar signs
    "xtick.color": palette.MUTED,
    "ytick.color": palette.MUTED,
    "ytick.left": False,
    "svg.hashsalt": "nc1fast",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # of the same proportions
    "svg.fonttype": "none",  # words stay words, and files small
}


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes
    ----------
    name : str
        Its file name without suffix.
    caption : str
        Its first sentence is the title.
    figure : matplotlib Figure
    seen : str, default ""
        What it shows, in words, for those who do not see it.
    aside : bool, default False
        Whether it is a file in the folder of figures alone, and not on the page.
    """

    name: str
    caption: str
    figure: Any
    seen: str = ""
    aside: bool = False


def save(drawings: Sequence[Drawing], folder: Path) -> dict[str, bytes]:
    """Write each figure as PNG and SVG; returns the SVG files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    for drawing in drawings:
        write_atomically(folder / f"{drawing.name}.png", to_bytes(drawing, "png"))
        images[drawing.name] = to_bytes(drawing, "svg")
        write_atomically(folder / f"{drawing.name}.svg", images[drawing.name])
    return images


def to_bytes(drawing: Drawing, kind: str, dpi: int = 150) -> bytes:
    """Render a figure as "png" (on white) or "svg" (transparent, for light and dark pages); always
    the same bytes.
    """
    matplotlib = require("matplotlib", "study")
    buffer = io.BytesIO()
    svg = kind == "svg"
    metadata = {"Date": None} if svg else {"Software": None}
    with matplotlib.rc_context(STYLE):
        drawing.figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata, transparent=svg)
    return themed(buffer.getvalue()) if svg else buffer.getvalue()
