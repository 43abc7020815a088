"""SVG files for light and dark pages: the colours of a drawing as classes of a style sheet that knows both."""

from __future__ import annotations

import re

from nc1fast.studies.figures.palette import DARK

_STYLE = re.compile(r' style="([^"]*)"')
_NUMBER = re.compile(r"scale\([^)]*\)|-?\d+\.\d{3,}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_HEAD = '<style type="text/css">'


def themed(svg: bytes) -> bytes:
    """A drawing of matplotlib with its styles in one sheet, each colour of the palette in both variants.

    Coordinates are rounded to a hundredth of a point, which halves the file.
    """
    text = _NUMBER.sub(lambda m: _rounded(m.group()), svg.decode())
    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        rule = match.group(1).replace(": ", ":").replace("; ", ";")
        return f' class="c{names.setdefault(rule, str(len(names)))}"'

    head, found, rest = text.partition(_HEAD)
    rest = _STYLE.sub(named, rest)
    light = "".join(f".c{name}{{{rule}}}" for rule, name in names.items())
    dark = "".join(
        f".c{name}{{{on_dark}}}"
        for rule, name in names.items()
        if (on_dark := _COLOUR.sub(lambda m: DARK.get(m.group(), m.group()), rule)) != rule
    )
    sheet = f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{head}{found}{sheet}{rest}".encode()


def _rounded(text: str) -> str:
    """A coordinate to two decimals; a scale as it is."""
    return text if text.startswith("scale") else f"{float(text):.2f}".rstrip("0").rstrip(".")
