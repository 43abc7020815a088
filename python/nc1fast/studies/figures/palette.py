"""The palette: one colour for each thing, the same in all figures, in a light and a dark variant.

Every colour of a word or a line has a contrast of at least 4.5 with the paper it stands on, white
or almost black; what merely lies behind (grid, theory, the palest shades) has less.
"""

from __future__ import annotations

PAPER, INK, MUTED, GRID = "#ffffff", "#1d2430", "#5b6472", "#e3e6eb"
DATA, NETWORK, ADAPTIVE, MEAN_FIELD = "#596273", "#c2185b", "#0a7a4b", "#6d3fc0"
NNGP, NTK, OWN_NTK = "#0b62b8", "#b35300", "#776300"
RELEASED, THEORY = "#7d5f50", "#8f99a8"
# What is no representation, as a number of samples or a layer, has a shade of ink; from pale to
# dark.
SHADES = (
    *("#8a94a6", "#7a8598", "#6b7689", "#5c677b", "#4d586d", "#3e495d", "#2f3a4d", "#1d2939"),
)
_PALEST_WORDS = SHADES[2]
# Each colour on a dark page.
DARK = {
    PAPER: "#14171c",
    INK: "#e4e7ec",
    MUTED: "#a3acba",
    GRID: "#2c323b",
    DATA: "#a9b3c2",
    NETWORK: "#ff86b0",
    ADAPTIVE: "#53d39a",
    MEAN_FIELD: "#b9a0ff",
    NNGP: "#6fb4ff",
    NTK: "#f2a35c",
    OWN_NTK: "#d8c152",
    RELEASED: "#cda893",
    THEORY: "#6f7b8c",
} | dict(
    zip(
        SHADES,
        ("#66738a", "#7885a0", "#8995ad", "#9aa6ba", "#acb6c8", "#bfc8d6", "#d2d9e4", "#e6ebf2"),
        strict=True,
    )
)


def of_words(colour: str) -> str:
    """A colour for words about what is drawn in `colour`: itself, but for the palest shades, which
    are too pale to be read.
    """
    return _PALEST_WORDS if colour in SHADES[:2] else colour


def shade(index: int, n: int) -> str:
    """Shade `index` of n, evenly spread from the palest to the darkest; one alone is the
    darkest.
    """
    last = len(SHADES) - 1
    return SHADES[round(last * index / (n - 1)) if n > 1 else last]
