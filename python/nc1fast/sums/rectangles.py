"""Division of the pairs of rows of a pass: into parts that can be added, and into pieces that fit
in memory.

Rows are sorted by class; a rectangle (a, b, c, d) is the pairs of rows [a, b) with rows [c, d): the
same rows, or later ones. Any division into rectangles gives the same bits.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Rectangle = tuple[int, int, int, int]

_FEW_ROWS = 768  # of columns: fewer are not worth their threads
# Bands of rows for the square root of a part: its _FINENESS^2 pieces are a few, so that parts are
# alike.
_FINENESS = 2.5
# A part reads READ n_rows/sqrt(count) rows: those of a band, and half a band for each of its
# pieces.
READ = 1 / _FINENESS + _FINENESS / 2


def part_of(n_rows: int, part: tuple[int, int], step: int) -> list[Rectangle]:
    """The rectangles of part `index` of `count`: a run of pieces along bands of rows.

    A piece is a band with itself, or with half a band of later rows: as many pairs. There are about
    2.5 sqrt(count) bands, so that a part reads a fraction of the rows and not all of them.

    Parameters
    ----------
    n_rows : int
    part : (index, count)
        At most n_rows parts have pairs; those beyond are empty.
    step : int
        Bands begin at multiples of it.
    """
    index, count = part[0], min(part[1], n_rows)
    if index >= count:
        return []
    if count == 1:
        return [(0, n_rows, 0, n_rows)]
    halves = 2 * math.ceil(_FINENESS * math.sqrt(count))
    inner = {round(k * n_rows / (halves * step)) * step for k in range(1, halves)}
    edges = [0, *sorted(edge for edge in inner if 0 < edge < n_rows), n_rows]
    halves = len(edges) - 1
    bands = -(-halves // 2)
    total = (bands - 1) * (halves - bands + 1) + 1
    first, last = (-(-k * total // count) for k in (index, index + 1))
    out = []
    for band in range(bands):
        own, later = 2 * band, min(2 * band + 2, halves)
        before = band * (halves - band)  # pieces of earlier bands
        begin, end = max(first - before, 0), min(last - before, 1 + halves - later)
        rows = (edges[own], edges[later])
        if begin == 0 < end:
            out.append((*rows, *rows))
            begin = 1
        if begin < end:
            out.append((*rows, edges[later + begin - 1], edges[later + end - 1]))
    return out


def rows_of_part(n_rows: int, count: int) -> float:
    """Approximate number of rows that a part reads."""
    return n_rows * min(1.0, READ / math.sqrt(count))


def divided(rectangles: list[Rectangle], room: int, step: int) -> list[Rectangle]:
    """The rectangles cut so that rows and columns of each together fit into `room` rows, at least
    two steps.

    The rows of a piece stay while the columns pass by: they get most of the room, so that there are
    few passes.
    """
    columns = max(step, min(room // 2, max(room // 8, _FEW_ROWS)) // step * step)
    rows = (room - columns) // step * step
    return [piece for rectangle in rectangles for piece in _pieces(rectangle, rows, columns, step)]


def _pieces(rectangle: Rectangle, rows: int, columns: int, step: int) -> Iterator[Rectangle]:
    """Pieces of a rectangle of at most so many rows and columns."""
    a, b, c, d = rectangle
    for r in _spans(_edges(a, b, rows, step)):
        start = c
        if a == c:
            yield (*r, *r)
            start = r[1]
        for s in _spans(_edges(start, d, columns, step)):
            yield (*r, *s)


def _edges(begin: int, end: int, block: int, step: int) -> list[int]:
    """Edges of nearly equal blocks of at most `block` rows, which are multiples of `step`."""
    if begin == end:
        return []
    count = -(-(end - begin) // max(block, step))
    length = -(-(end - begin) // (count * step)) * step
    return [*range(begin, end, length), end]


def _spans(edges: list[int]) -> list[tuple[int, int]]:
    """Intervals between consecutive edges, in order."""
    return list(itertools.pairwise(edges))
