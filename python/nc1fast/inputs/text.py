"""Texts of files as arrays of NumPy, in which every text has the room of the longest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST = 1024  # letters of a label in a file
_LETTER = 4  # bytes
_ROOM, _PADDED = 1 << 26, 64  # bytes that are always there, and bytes for each byte of the texts


def as_texts(texts: Sequence[str] | Sequence[bytes]) -> NDArray[Any]:
    """Labels of a file as an array of text, or of bytes.

    Raises
    ------
    ValueError
        If one is longer than `LONGEST`, or so much longer than the others that it would make the
        array huge. The message has no subject: see `nc1fast.support.reading`.
    """
    longest = max(map(len, texts), default=0)
    if longest > LONGEST:
        raise ValueError(f"has a label of {longest} letters, {LONGEST} at most are read")
    if too_padded(texts):
        raise ValueError(
            f"has {len(texts)} labels beside one of {longest} letters: no array has room"
        )
    return np.array(texts) if len(texts) else np.empty(0, dtype=str)


def too_padded(texts: Sequence[Any]) -> bool:
    """Whether an array of these texts would be large, and hold little but padding: one is long, and
    the others are many.
    """
    lengths = list(map(len, texts))
    padded = _LETTER * len(lengths) * max(lengths, default=0)
    return padded > _ROOM + _PADDED * _LETTER * sum(lengths)
