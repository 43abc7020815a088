"""Which rows of a table a study of data speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.summary import grouped, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row


def first_convention(rows: Sequence[Row]) -> list[Row]:
    """The rows of each arm under its first convention."""
    return [
        row
        for _, members in grouped(rows, ("arm",))
        for row in select(members, convention=members[0]["convention"])
    ]
