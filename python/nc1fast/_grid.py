"""How the pairs of rows of a pass are divided: into parts that can be added, and into what fits in memory.

Rows are sorted by class; a rectangle (a, b, c, d) is the pairs of rows [a, b) with rows [c, d): the same rows, or later
ones. Any division into rectangles gives the same bits.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Rectangle = tuple[int, int, int, int]

_FEW_ROWS = 768  # of columns: fewer are not worth their threads
_FINENESS = 4  # blocks of rows for the square root of a part: parts differ by at most one rectangle of the grid
# A part reads READ n_rows/sqrt(count) rows: one block of the grid, and _FINENESS^2/2 others for its share of the cells.
READ = _FINENESS / 2 + 1 / _FINENESS


def part_of(n_rows: int, part: tuple[int, int], step: int) -> list[Rectangle]:
    """The rectangles of part `index` of `count`: a run along the rows of a grid.

    The grid has about 4 sqrt(count) blocks of rows, so that a part reads a fraction of the rows and not all of them.

    Parameters
    ----------
    n_rows : int
    part : (index, count)
        At most n_rows parts have pairs; those beyond are empty.
    step : int
        Blocks begin at multiples of it.
    """
    index, count = part[0], min(part[1], n_rows)
    if index >= count:
        return []
    blocks = 1 if count == 1 else math.ceil(_FINENESS * math.sqrt(count))
    inner = {round(k * n_rows / (blocks * step)) * step for k in range(1, blocks)}
    edges = [0, *sorted(edge for edge in inner if 0 < edge < n_rows), n_rows]
    blocks = len(edges) - 1
    # In units of half a cell, of which a cell on the diagonal is one, row i begins at i (2 blocks - i).
    first, last = (-(-k * blocks**2 // count) for k in (index, index + 1))
    out = []
    for i in range(blocks):
        at = i * (2 * blocks - i)
        if not at < last or at + 2 * (blocks - i) - 1 <= first:
            continue
        if first <= at:
            out.append((edges[i], edges[i + 1], edges[i], edges[i + 1]))
        # Cell j > i begins at at + 2 (j - i) - 1; it belongs to the part in which it begins.
        begin = max(i + 1, i + -(-(first - at + 1) // 2))
        end = min(blocks, i + -(-(last - at + 1) // 2))
        if begin < end:
            out.append((edges[i], edges[i + 1], edges[begin], edges[end]))
    return out


def rows_of_part(n_rows: int, count: int) -> float:
    """About how many rows a part reads."""
    return n_rows * min(1.0, READ / math.sqrt(count))


def divided(rectangles: list[Rectangle], room: int, step: int) -> list[Rectangle]:
    """The rectangles cut so that rows and columns of each together fit into `room` rows, at least two steps.

    The rows of a piece stay while the columns pass by: they get most of the room, so that there are few passes.
    """
    columns = max(step, min(room // 2, max(room // 8, _FEW_ROWS)) // step * step)
    rows = (room - columns) // step * step
    return [piece for rectangle in rectangles for piece in _pieces(rectangle, rows, columns, step)]


def _pieces(rectangle: Rectangle, rows: int, columns: int, step: int) -> Iterator[Rectangle]:
    a, b, c, d = rectangle
    for r in _spans(_edges(a, b, rows, step)):
        start = c
        if a == c:
            yield (*r, *r)
            start = r[1]
        for s in _spans(_edges(start, d, columns, step)):
            yield (*r, *s)


def _edges(begin: int, end: int, block: int, step: int) -> list[int]:
    """Nearly equal blocks of at most `block` rows, rounded up to multiples of `step`."""
    if begin == end:
        return []
    count = -(-(end - begin) // max(block, step))
    length = -(-(end - begin) // (count * step)) * step
    return [*range(begin, end, length), end]


def _spans(edges: list[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(edges))
