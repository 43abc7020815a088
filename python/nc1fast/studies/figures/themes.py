"""SVG files for light and dark pages: the colours of a drawing as classes of a style sheet that
knows both.
"""

from __future__ import annotations

import re

from nc1fast.studies.figures.palette import DARK

_STYLE = re.compile(r' style="([^"]*)"')
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
    rest = _TAG.sub(_rounded, _STYLE.sub(named, rest))
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
    courses = " ".join(_COURSE.findall(match.group()))
    return f'<path d="{courses}"{match.group(1)}/>'
