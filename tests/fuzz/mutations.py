"""Changes of a file, as damage and malice make them: bits, ends, lengths that lie, pieces twice or
elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Rng = np.random.Generator

_MOST = 1 << 18  # bytes of a changed file
_SIZES = (1, 2, 4, 8)
_NUMBERS = (0, 1, -1, 2, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**20, 2**24, 2**28)
_LARGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_TEXTS = (*b"-1 0 1 nan inf 1e400 ' \" \0 \xff [ { null".split(b" "), b"")
_DIGITS = re.compile(rb"\d+")


def mutated(content: bytes, rng: Rng, words: Sequence[bytes] = ()) -> bytes:
    """One to four changes; `words` are what the format has a meaning for."""
    if rng.random() < 0.01:
        return (b"", bytes(len(content)), rng.bytes(max(1, len(content))))[rng.integers(3)]
    for _ in range(rng.integers(1, 5)):
        if words and rng.random() < 0.15:
            content = _put(content, rng, words[rng.integers(len(words))])
        else:
            content = _CHANGES[rng.integers(len(_CHANGES))](content, rng)
    return content[:_MOST]


def _at(content: bytes, rng: Rng) -> int:
    """A place: anywhere, or near one of the two ends, where headers and directories are."""
    n, where = len(content), rng.random()
    if where < 0.3:
        return int(min(n, rng.integers(0, 128)))
    return int(rng.integers(0, n + 1)) if where < 0.8 else int(max(0, n - rng.integers(0, 256)))


def _put(content: bytes, rng: Rng, piece: bytes) -> bytes:
    """A piece in between, or over what is there."""
    at, over = _at(content, rng), len(piece) if rng.random() < 0.5 else 0
    return content[:at] + piece + content[at + over :]


def _flip(content: bytes, rng: Rng) -> bytes:
    at = min(_at(content, rng), len(content) - 1)
    if at < 0:
        return content
    return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]


def _noise(content: bytes, rng: Rng) -> bytes:
    return _put(content, rng, rng.bytes(int(rng.integers(1, 17))))


def _length(content: bytes, rng: Rng) -> bytes:
    """A number in two or eight bytes, in either order, over what is there: of what lengths may be,
    or near the one found.
    """
    size = int(_SIZES[rng.integers(4)])
    order = ("little", "big")[rng.integers(2)]
    at = _at(content, rng)
    found = int.from_bytes(content[at : at + size], order)
    near = (found + 1, found - 1, 2 * found, found + len(content), len(content))
    pool = (*_NUMBERS, *_LARGE, *near)
    number = int(pool[rng.integers(len(pool))]) % (1 << 8 * size)
    return content[:at] + number.to_bytes(size, order) + content[at + size :]


def _number(content: bytes, rng: Rng) -> bytes:
    """Another number where one is written in digits."""
    places = list(_DIGITS.finditer(content))
    if not places:
        return _length(content, rng)
    one = places[rng.integers(len(places))]
    words = ("9" * 5000, "1.5", "1e3", "true", "nan", "null", '"7"', "[]")
    pool = [*map(str, _NUMBERS), *map(str, _LARGE), *words]
    return content[: one.start()] + pool[rng.integers(len(pool))].encode() + content[one.end() :]


def _piece(content: bytes, rng: Rng) -> tuple[int, int]:
    begin = _at(content, rng)
    return begin, begin + int(rng.integers(1, 1 + (8, 64, 1024)[rng.integers(3)]))


def _delete(content: bytes, rng: Rng) -> bytes:
    begin, end = _piece(content, rng)
    return content[:begin] + content[end:]


def _twice(content: bytes, rng: Rng) -> bytes:
    begin, end = _piece(content, rng)
    return content[:end] + content[begin:end] * int((1, 2, 100)[rng.integers(3)]) + content[end:]


def _moved(content: bytes, rng: Rng) -> bytes:
    begin, end = _piece(content, rng)
    return _put(content, rng, content[begin:end])


def _zeroed(content: bytes, rng: Rng) -> bytes:
    begin, end = _piece(content, rng)
    byte = (b"\0", b"\xff")[rng.integers(2)]
    return content[:begin] + byte * len(content[begin:end]) + content[end:]


def _cut(content: bytes, rng: Rng) -> bytes:
    return content[: _at(content, rng)]


def _longer(content: bytes, rng: Rng) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 64)))


def _text(content: bytes, rng: Rng) -> bytes:
    return _put(content, rng, _TEXTS[rng.integers(len(_TEXTS))])


def _deep(content: bytes, rng: Rng) -> bytes:
    """Levels inside each other, more than a parser has room for."""
    piece = (b"[", b"{", b"(", b"- ", b'{"a":', b"-")[rng.integers(6)]
    return _put(content, rng, piece * int((10, 100, 3000)[rng.integers(3)]))


_CHANGES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    *(_flip, _flip, _noise, _length, _length, _length, _number, _number),
    *(_delete, _twice, _moved, _zeroed, _cut, _longer, _text, _deep),
)
