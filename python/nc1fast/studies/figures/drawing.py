"""A drawing: a figure with its name and caption, and its PNG and SVG files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.support.extras import require
from nc1fast.support.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "nc1fast",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Drawing:
    """One figure: its file name without suffix, its caption, and the matplotlib figure."""

    name: str
    caption: str
    figure: Any


def save(drawings: Sequence[Drawing], folder: Path) -> dict[str, bytes]:
    """Write each figure as PNG and SVG; returns the SVG files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    for drawing in drawings:
        write_atomically(folder / f"{drawing.name}.png", to_bytes(drawing, "png"))
        images[drawing.name] = to_bytes(drawing, "svg")
        write_atomically(folder / f"{drawing.name}.svg", images[drawing.name])
    return images


def to_bytes(drawing: Drawing, kind: str) -> bytes:
    """Render a figure as "png" (150 dpi) or "svg"; the same figure gives the same bytes."""
    matplotlib = require("matplotlib", "study")
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(STYLE):
        drawing.figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return buffer.getvalue()
