"""The public interface only grows: every name and parameter of `public_signatures.json` is there,
with its kind, its place and its default; what is added has a default.

`python tests/test_signatures.py` writes the file anew: for a release, never to make a test pass.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

FILE = Path(__file__).parent / "data" / "public_signatures.json"
FACES = ("nc1fast", "nc1fast.kernels", "nc1fast.metrics", "nc1fast.reference", "nc1fast.studies")


def _names(module: ModuleType) -> list[str]:
    """Those of `__all__`; without it, functions and classes that the module defines."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(getattr(module, "__all__", own))


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods, properties and fields that classes of nc1fast define."""
    for name in {*dir(kind), *getattr(kind, "__dataclass_fields__", {})}:
        owner = next((base for base in kind.__mro__ if name in vars(base)), kind)
        hidden = name.startswith("_") and name != "__call__"
        if hidden or not owner.__module__.startswith("nc1fast"):
            continue
        value = inspect.getattr_static(kind, name, None)
        method = inspect.isfunction(value) or isinstance(value, classmethod | staticmethod)
        yield name, getattr(kind, name) if method else None


def public_names() -> dict[str, Any]:
    """Every public object by its dotted name; members by the name of their class."""
    found: dict[str, Any] = {}
    modules = list(FACES)
    for module in modules:  # grows by the modules that it names
        loaded = importlib.import_module(module)
        for name in _names(loaded):
            value = getattr(loaded, name)
            if inspect.ismodule(value):
                modules += [] if value.__name__ in modules else [value.__name__]
                continue
            found[f"{module}.{name}"] = value
            if isinstance(value, type):
                found |= {f"{value.__name__}.{n}": member for n, member in _members(value)}
    return found


def signature_of(value: Any) -> list[str] | None:
    """Its parameters as they are written, without types: ["X", "depth=1", "*", "seed=None"].

    None of what has no signature.
    """
    if not callable(value):
        return None
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # of the C API
        return None
    written: list[str] = []
    for p in signature.parameters.values():
        default = "" if p.default is p.empty else "=" + re.sub(r" at 0x\w+", "", repr(p.default))
        if p.kind is p.KEYWORD_ONLY and not any(one.startswith("*") for one in written):
            written.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        written.append(f"{stars}{p.name}{default}")
    return written


def breaks(before: list[str] | None, now: list[str] | None) -> list[str]:
    """What a caller of `before` would miss in `now`."""
    if before is None or now is None:
        return [] if before is None else ["it cannot be called"]

    def positions(parameters: list[str]) -> list[str]:
        first = next((i for i, p in enumerate(parameters) if p.startswith("*")), len(parameters))
        return parameters[:first]

    old, new = positions(before), positions(now)
    missing = [f"no {p}" for p in before if p not in now and p != "*"]
    moved = [] if new[: len(old)] == old else [f"positions {old} became {new}"]
    added = [p for p in now if p not in before]
    required = [f"{p} has no default" for p in added if "=" not in p and not p.startswith("*")]
    return missing + moved + required


BEFORE: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    for module in ("sklearn", "torch", "torchmetrics", "pydantic"):
        pytest.importorskip(module)
    return public_names()


def test_every_public_name_is_still_there(now) -> None:
    assert len(BEFORE) > 300
    assert sorted(BEFORE.keys() - now.keys()) == []


def test_signatures_only_grow(now) -> None:
    found = {
        name: breaks(before, signature_of(now[name]))
        for name, before in BEFORE.items()
        if name in now
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (lambda a, b=1, c=2: 0, ""),
        (lambda a, b=1, *, c=2: 0, ""),
        (lambda a, b=1, **more: 0, ""),
        (lambda a: 0, "no b=1"),
        (lambda a, b=2: 0, "no b=1"),
        (lambda a, *, b=1: 0, "positions"),
        (lambda a, b=1, *, c: 0, "c has no default"),
        (lambda c=2, a=0, b=1: 0, "positions"),
        (None, "cannot be called"),
    ],
)
def test_what_a_caller_would_miss_is_found(changed, wrong: str) -> None:
    found = "; ".join(breaks(signature_of(lambda a, b=1: 0), signature_of(changed)))
    assert (wrong in found) if wrong else not found


if __name__ == "__main__":
    lines = [f"{json.dumps(n)}: {json.dumps(signature_of(v))}" for n, v in public_names().items()]
    FILE.write_text("{\n" + ",\n".join(sorted(lines)) + "\n}\n")
