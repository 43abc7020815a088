"""A drawing: a figure with its name and caption, and its PNG and SVG files."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import palette
from nc1fast.studies.figures.palette import DARK
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


# --- SVG files for light and dark pages: colours as classes of a style sheet that knows both

_STYLED = re.compile(r' style="([^"]*)"')
_NUMBER = re.compile(r"scale\([^)]*\)|-?\d+\.\d{2,}")
_TAG = re.compile(r"<[^>]*>")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_PATHS = re.compile(r'(?:<path d="[^"]*"([^/>]*)/>)(?:<path d="[^"]*"\1/>)+')
_COURSE = re.compile(r'd="([^"]*)"')
_ID = re.compile(r' id="([^"]*)"')
_USE = re.compile(r'(?<=#)[^")]+(?=[")])')
_BLANK = (
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r"> <"), "><"),
    (re.compile(r' (?="[ />])| (?=/>)'), ""),
)
_HEAD = '<style type="text/css">'


def themed(svg: bytes) -> bytes:
    """A drawing of matplotlib with its styles in one sheet, each colour of the palette in both
    variants.

    Coordinates are rounded to a tenth of a point and paths of one style joined, which makes the
    file three times smaller.
    """
    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        rule = match.group(1).replace(": ", ":").replace("; ", ";")
        return f' class="c{names.setdefault(rule, str(len(names)))}"'

    head, found, rest = _without_blanks(svg.decode()).partition(_HEAD)
    rest = _TAG.sub(_rounded, _STYLED.sub(named, rest))
    rest = _short_names(_PATHS.sub(_joined, rest))
    light = "".join(f".c{name}{{{rule}}}" for rule, name in names.items())
    dark = "".join(
        f".c{name}{{{on_dark}}}"
        for rule, name in names.items()
        if (on_dark := _COLOUR.sub(lambda m: DARK.get(m.group(), m.group()), rule)) != rule
    )
    sheet = f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{head}{found}{sheet}{rest}".encode()


def _without_blanks(text: str) -> str:
    """The text without comments and without blanks that mean nothing."""
    for pattern, short in _BLANK:
        text = pattern.sub(short, text)
    return text


def _rounded(tag: re.Match[str]) -> str:
    """A tag with coordinates of one decimal; a scale stays as it is, and so do the words between
    tags.
    """
    return _NUMBER.sub(
        lambda m: m[0] if m[0].startswith("scale") else f"{float(m[0]):.1f}".removesuffix(".0"),
        tag[0],
    )


def _short_names(text: str) -> str:
    """The text with the shortest ids for what is used elsewhere in it, and none for what is not."""
    short = {name: f"i{n}" for n, name in enumerate(dict.fromkeys(_USE.findall(text)))}
    text = _ID.sub(lambda m: f' id="{short[m.group(1)]}"' if m.group(1) in short else "", text)
    return _USE.sub(lambda m: short[m.group()], text)


def _joined(match: re.Match[str]) -> str:
    """Paths of the same style as one."""
    paths = " ".join(_COURSE.findall(match.group()))
    return f'<path d="{paths}"{match.group(1)}/>'
