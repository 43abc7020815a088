"""Checks of single arguments as callers give them: numbers, counts, flags and names.

An error is one line that names the argument, what is allowed and what was given: TypeError for a
value of the wrong kind, ValueError for one out of range.
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

LARGEST = 2**63 - 1  # the largest count: that of an int64
_SHOWN = 80  # characters of a value in a message, at most
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN


def shown(value: Any) -> str:
    """A value as a message shows it: on one line, cut short."""
    try:
        text = " ".join(_SHORT.repr(value).split())
    except ValueError:  # an integer with more digits than Python writes
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def as_flag(name: str, value: Any) -> bool:
    """Check a flag: True or False, of Python or NumPy."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {shown(value)}")


def as_optional_flag(name: str, value: Any) -> bool | None:
    """Check a flag that may be None."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True, False or None, got {shown(value)}")


def as_count(name: str, value: Any, least: int = 1, most: float = LARGEST) -> int:
    """Check an integer between `least` and `most`: anything with `__index__` except bools."""
    number = None if _is_bool(value) else _integer(value)
    if number is None:
        raise TypeError(f"{name} must be an integer >= {least}, got {shown(value)}")
    if number < least:
        raise ValueError(f"{name} must be >= {least}, got {shown(number)}")
    if number > most:
        raise ValueError(f"{name} must be >= {least} and <= {most}, got {shown(number)}")
    return number


def as_seed(seed: Any) -> int:
    """Check the seed of a random generator of NumPy: an integer >= 0 of any size."""
    return as_count("seed", seed, 0, math.inf)


def seed_of(rng: Any, seed: Any, default: Any = 0) -> Any:
    """The seed that `rng`, an integer or a `numpy.random.Generator`, stands for; `seed` if it is
    None.

    An integer gives the bits of the same `seed`; a Generator gives its next 63-bit integer, so that
    it moves on with every call.

    Raises
    ------
    TypeError
        If `rng` is something else.
    ValueError
        If `rng` is given beside a `seed` other than the default.

    Notes
    -----
    Source: SPEC 7 of the Scientific Python project. A seed in the place of `rng` is accepted as
    there; nothing is drawn where both are None.
    """
    if rng is None:
        return seed
    if seed != default:
        raise ValueError("seed and rng are two names of one thing: give one of them")
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    try:
        return as_count("rng", rng, 0, math.inf)
    except TypeError:
        raise TypeError(
            "rng must be None, an integer >= 0 or a numpy.random.Generator, got " + shown(rng)
        ) from None


def as_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Check a finite number: anything with `__float__` except bools, text and complex numbers.

    Parameters
    ----------
    name : str
    value : object
    least, above, most, below : float, optional
        Bounds: value >= least, value > above, value <= most, value < below.
    """
    number = None if _is_bool(value) else _float(value)
    if number is None:
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    if (
        math.isfinite(number)
        and (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    ):
        return number
    bounds = {">=": least, ">": above, "<=": most, "<": below}
    given = (f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)
    raise ValueError(f"{name} must be {' and '.join(['finite', *given])}, got {shown(value)}")


def as_items(name: str, values: Any, what: str) -> list[Any]:
    """The items of a sequence, as a list. Text, mappings and sets are refused; `what` says what is
    allowed.
    """
    if not isinstance(values, str | bytes | Mapping | AbstractSet):
        try:
            return list(values)
        except TypeError:
            pass
    raise TypeError(f"{name} must be {what}, got {shown(values)}")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise ValueError unless `value` is one of the allowed names."""
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, allowed))}, got {shown(value)}"
        )


def _is_bool(value: Any) -> bool:
    """Whether a value is a bool of Python, or an array or tensor of bools."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def _integer(value: Any) -> int | None:
    """The integer that a value stands for, or None."""
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # arrays and tensors of several, or of floats
        return None


def _float(value: Any) -> float | None:
    """The float of a real scalar, or None; text is refused, although NumPy's scalars would parse
    it.
    """
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
