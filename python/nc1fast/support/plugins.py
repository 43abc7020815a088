"""Plug-ins: activations, kernels, metrics, readers and studies that other distributions offer as
entry points.

Nothing is looked for before a name needs it. A plug-in that cannot be used is an error where it was
named; among others it is left out, with one warning. Names of the package itself cannot be taken.
NC1FAST_PLUGINS=0 leaves all of them out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nc1fast.support.arguments import shown
from nc1fast.support.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from importlib.metadata import EntryPoint

Plugin = TypeVar("Plugin")
GROUPS: dict[str, PluginGroup[Any]] = {}  # by name: entry points of the group "nc1fast.NAME"


class PluginWarning(UserWarning):
    """A plug-in cannot be used, and is left out."""


class PluginError(ImportError):
    """A plug-in that was named cannot be used."""


def as_it_is(name: str, given: Any) -> Any:
    """Accept whatever is of the right class."""
    del name
    return given


def named_so(name: str, given: Any) -> Any:
    """Accept an object that has the name of its entry point."""
    if given.name != name:
        raise ValueError(f"its name is {given.name!r}")
    return given


class PluginGroup(Generic[Plugin]):
    """The plug-ins of one kind.

    Parameters
    ----------
    name : str
        Of the kind: entry points of the group "nc1fast.NAME".
    kind : type
        Of the objects.
    taken : callable() -> container of str
        Names of the package itself, which win.
    accept : callable(name, object) -> object
        The object as the registry holds it; raises TypeError or ValueError for one that does not
        fit.
    """

    def __init__(
        self,
        name: str,
        kind: type[Plugin],
        *,
        taken: Callable[[], Container[str]] = tuple,
        accept: Callable[[str, Plugin], Plugin] = as_it_is,
    ) -> None:
        self.name, self._kind, self._taken, self._accept = name, kind, taken, accept
        self.forget()
        GROUPS[name] = self

    def forget(self) -> None:
        """Look for plug-ins again when one is needed."""
        self._offered: dict[str, EntryPoint] | None = None
        self._loaded: dict[str, Plugin | PluginError] = {}

    def offered(self) -> dict[str, EntryPoint]:
        """Entry points by name, sorted, of which none is loaded."""
        if self._offered is None:
            self._offered = {}
            for entry in _entry_points(f"nc1fast.{self.name}"):
                if entry.name in self._taken():
                    _left_out(f"{described(entry)}: nc1fast has a name {entry.name!r} of its own")
                elif (first := self._offered.setdefault(entry.name, entry)) is not entry:
                    _left_out(f"{described(entry)}: {described(first)} has the same name")
        return self._offered

    def get(self, name: str) -> Plugin | None:
        """The plug-in of a name; None if there is none.

        Raises
        ------
        PluginError
            If it cannot be used.
        """
        if name not in self.offered():
            return None
        found = self._load(name)
        if isinstance(found, PluginError):
            raise found
        return found

    def usable(self) -> dict[str, Plugin]:
        """All that can be used, by name; each of the others is warned of, once."""
        found = {}
        for name in self.offered():
            known = name in self._loaded
            one = self._load(name)
            if not isinstance(one, PluginError):
                found[name] = one
            elif not known:
                _left_out(str(one))
        return found

    def _load(self, name: str) -> Plugin | PluginError:
        """The plug-in, or why there is none: loaded once."""
        if name not in self._loaded:
            entry = self.offered()[name]
            try:
                given = entry.load()
                if not isinstance(given, self._kind):
                    raise TypeError(f"must be a {self._kind.__name__}, got {shown(given)}")
                self._loaded[name] = self._accept(name, given)
            except (Exception, SystemExit) as error:  # noqa: BLE001  (of code that is not ours)
                problem = PluginError(f"{described(entry)}: {type(error).__name__}: {error}")
                problem.__cause__ = error
                self._loaded[name] = problem
        return self._loaded[name]


def described(entry: EntryPoint) -> str:
    """An entry point in words: group, name, value and distribution."""
    return f"plug-in {entry.name!r} ({entry.group}, {entry.value}){_origin(entry)}"


def listed() -> str:
    """All plug-ins of the registries that are imported, in words; these are loaded, and one that
    cannot be used says why.
    """
    found = []
    for kind, group in sorted(GROUPS.items()):
        for name, entry in group.offered().items():
            try:
                group.get(name)
            except PluginError as error:
                found.append(f"{kind} {name}: cannot be used: {error}")
            else:
                found.append(f"{kind} {name}{_origin(entry)}")
    return "; ".join(found) or "none"


def _origin(entry: EntryPoint) -> str:
    return "" if entry.dist is None else f" of {entry.dist.name} {entry.dist.version}"


def _entry_points(group: str) -> list[EntryPoint]:
    if os.environ.get("NC1FAST_PLUGINS") == "0":
        return []
    from importlib import metadata  # 20 ms that are not those of `import nc1fast`

    return sorted(metadata.entry_points(group=group), key=lambda entry: (entry.name, entry.value))


def _left_out(why: str) -> None:
    warn(f"{why}; it is left out", PluginWarning)
