"""One pass over the rows: stretches of consecutive ones, one a thread, whose moments are joined in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable

_STRETCHES = 512  # at most


class _Moments(Protocol):
    def join(self, other: Any) -> None:
        """Merge those of other rows."""


Of = TypeVar("Of", bound=_Moments)


def stretch(n_rows: int, chunk: int) -> int:
    """Rows of a stretch: whole chunks, and nothing that depends on threads or memory, so that the bits do not."""
    return chunk * -(-n_rows // (chunk * _STRETCHES))


def stretches(n_rows: int, step: int) -> list[range]:
    """All rows."""
    return [range(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def joined(moments: Callable[[range], Of], ranges: list[range], n_threads: int) -> Of:
    """Moments of all ranges together."""
    with workers(n_threads) as in_order:
        found = in_order(moments, ranges)
        total: Of = next(found)
        for other in found:
            total.join(other)
    return total
