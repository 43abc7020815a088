"""Single arguments as callers give them: numbers, counts, flags and names, each checked in one place.

What is not allowed raises in one line that names the argument, what is allowed and what was given: TypeError for what is no
number, count or flag at all, ValueError for one out of range.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

LARGEST = 2**63 - 1  # of a count: what an int64 holds
_SHOWN = 80  # characters of a value in a message
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN


def shown(value: Any) -> str:
    """A value on one line, cut short."""
    try:
        text = " ".join(_SHORT.repr(value).split())
    except ValueError:  # an integer with more digits than Python writes
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def as_flag(name: str, value: Any) -> bool:
    """True or False, of Python or of NumPy."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {shown(value)}")


def as_optional_flag(name: str, value: Any) -> bool | None:
    """The same, or None."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True, False or None, got {shown(value)}")


def as_count(name: str, value: Any, least: int = 1, most: float = LARGEST) -> int:
    """An integer of `least` to `most`, of Python, of NumPy or anything with `__index__`; no bool."""
    number = None if _is_bool(value) else _integer(value)
    if number is None:
        raise TypeError(f"{name} must be an integer >= {least}, got {shown(value)}")
    if number < least:
        raise ValueError(f"{name} must be >= {least}, got {shown(number)}")
    if number > most:
        raise ValueError(f"{name} must be >= {least} and <= {most}, got {shown(number)}")
    return number


def as_seed(seed: Any) -> int:
    """What draws of NumPy start from: an integer >= 0, of any size."""
    return as_count("seed", seed, 0, math.inf)


def as_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number within bounds: anything with `__float__` but bools, text and complex numbers."""
    number = None if _is_bool(value) else _float(value)
    if number is None:
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    bounds = {">=": least, ">": above, "<=": most, "<": below}
    holds = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
    given = {sign: bound for sign, bound in bounds.items() if bound is not None}
    if not (math.isfinite(number) and all(holds[s](number, b) for s, b in given.items())):
        allowed = " and ".join(["finite", *(f"{s} {b:g}" for s, b in given.items())])
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    return number


def as_items(name: str, values: Any, what: str) -> list[Any]:
    """What a sequence holds; not text, nor a mapping or a set."""
    if not isinstance(values, str | bytes | Mapping | AbstractSet):
        try:
            return list(values)
        except TypeError:
            pass
    raise TypeError(f"{name} must be {what}, got {shown(values)}")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise unless `value` is one of the names."""
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, allowed))}, got {shown(value)}"
        )


def _is_bool(value: Any) -> bool:
    """Of Python, or with a dtype that is: a scalar or tensor of truth values."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def _integer(value: Any) -> int | None:
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # arrays and tensors of several, or of floats
        return None


def _float(value: Any) -> float | None:
    """Of a real scalar; not of text, which NumPy's scalars would parse."""
    kind = getattr(getattr(value, "dtype", None), "kind", "f")
    scalar = getattr(value, "ndim", 0) == 0
    if isinstance(value, str | bytes) or kind not in "iuf" or not scalar:
        return None
    try:
        return value.__float__()  # type: ignore[no-any-return]
    except OverflowError:  # an integer beyond 1e308
        return math.inf
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None
