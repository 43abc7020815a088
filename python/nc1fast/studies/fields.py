"""Fields of descriptions: checked numbers and names, and the base classes `Entry` of every mapping
and `Described` of the whole.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from nc1fast.metrics.definitions import Convention

if TYPE_CHECKING:
    from collections.abc import Iterable

try:
    from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
    from pydantic_core import InitErrorDetails, PydanticCustomError
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
Conventions = Annotated[tuple[Convention, ...], Field(min_length=1)]


class Entry(BaseModel):
    """A mapping of a description, frozen: unknown keys are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def allowed_keys(cls) -> list[str]:
        """The keys that the mapping may have."""
        return list(cls.model_fields)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content: Any) -> Any:
        if isinstance(content, dict):
            allowed = cls.allowed_keys()
            unknown = [key for key in content if key not in allowed]
            if unknown:
                details = [_unknown(key, allowed) for key in unknown]
                raise ValidationError.from_exception_data(cls.__name__, details)
        return content


class Described(Entry):
    """The first fields of the description of every study.

    Parameters
    ----------
    name, title : str
    preset : str, default ""
        The variant of a built-in study that this is.
    provisional : bool, default False
        Put a banner on the report: too few repeats or cells for lasting verdicts.
    seed : int, default 0
        The seed of a cell derives from it, from where the cell is, and from the repeat.
    repeats : int, default 10
    """

    name: Name
    title: str
    preset: str = ""
    provisional: bool = False
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    repeats: Count = 10


def _unknown(key: Any, allowed: list[str]) -> InitErrorDetails:
    """The error of one unknown key, at the place of that key."""
    error = PydanticCustomError(
        "unknown_key",
        "there is no such key{meant}; allowed are {allowed}",
        {"meant": did_you_mean(key, allowed), "allowed": ", ".join(allowed)},
    )
    return InitErrorDetails(type=error, loc=(str(key),), input=key)


def did_you_mean(found: Any, allowed: Iterable[str]) -> str:
    """The words "(did you mean 'x'?)" for the closest allowed word, or nothing if none is close."""
    close = difflib.get_close_matches(str(found), list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listed(value: T | tuple[T, ...]) -> tuple[T, ...]:
    """One value or several, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def joined(value: float | tuple[float, ...]) -> str:
    """Numbers as the table writes them, joined by colons."""
    return ":".join(f"{v:.12g}" for v in listed(value))


def reject_duplicates(what: str, names: Iterable[str]) -> None:
    """Refuse a list in which the same name occurs twice.

    Raises
    ------
    ValueError
        Names the first one.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} must differ, {name!r} is there twice")
        seen.add(name)
