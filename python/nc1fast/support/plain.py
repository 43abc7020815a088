"""Values as strict JSON has them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The same of lists, dicts, numbers and text alone: NaN is None, infinities are "inf" and
    "-inf", other objects their text.
    """
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        dated = value.dtype.kind in "mM"
        return plain(value.astype(str).tolist() if dated else value.tolist())
    if isinstance(value, np.generic):
        return plain(str(value) if value.dtype.kind in "mM" else value.item())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def to_line(value: Any) -> str:
    """One line of strict JSON of the `plain` value."""
    return json.dumps(plain(value), allow_nan=False)


class PlainFields:
    """The exports of a result whose fields are all that it holds."""

    def to_dict(self: Any) -> dict[str, Any]:
        """Every field by name, arrays as they are; what is missing is None."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def to_json(self) -> str:
        """The same as one line of strict JSON: NaN is null, infinities are "inf" and "-inf"."""
        return to_line(self.to_dict())
