"""The fields that descriptions are made of: checked numbers and names, and the base of every entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

try:
    from pydantic import BaseModel, ConfigDict, Field
except ModuleNotFoundError as _error:
    raise ImportError(
        "pydantic is not installed; it comes with the 'study' extra: pip install 'nc1fast[study]'"
    ) from _error

T = TypeVar("T")
Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Variance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,40}$")]
Convention = Literal["papyan", "probe", "class", "sample", "released"]
Conventions = Annotated[tuple[Convention, ...], Field(min_length=1)]


class Entry(BaseModel):
    """A mapping of a description: unknown keys are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Entry):
    """What may be narrower than in the arm.

    Parameters
    ----------
    datasets : list of str, default ()
        Names of the sources that it is for; all if left out.
    largest : int, optional
        Samples beyond which it is left out.
    repeats : int, optional
    conventions : list of str, optional
    """

    datasets: tuple[Name, ...] = ()
    largest: Count | None = None
    repeats: Count | None = None
    conventions: Conventions | None = None

    def covers(self, dataset: str, n_samples: int | None) -> bool:
        """Whether it is for this data set; `n_samples` is None where only the data can tell."""
        if self.datasets and dataset not in self.datasets:
            return False
        return self.largest is None or n_samples is None or n_samples <= self.largest


def listed(value: T | tuple[T, ...]) -> tuple[T, ...]:
    """One value or several, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def joined(value: float | tuple[float, ...]) -> str:
    """Numbers as the table writes them: joined by colons."""
    return ":".join(f"{v:.12g}" for v in listed(value))


def reject_duplicates(what: str, names: Iterable[str]) -> None:
    """Refuse the same name twice.

    Raises
    ------
    ValueError
        That names it.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} must differ, {name!r} is there twice")
        seen.add(name)
