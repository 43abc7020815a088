"""Fields of dataclasses that are made when they are first asked for: `lazy` and `later`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class _Later:
    """A function without arguments that makes a value."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


class _Field:
    """A field whose value may be a `_Later`, which is then made once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)
        values = instance.__dict__
        if isinstance(values[self._name], _Later):
            values[self._name] = values[self._name].make()
        return values[self._name]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


def lazy(*names: str) -> Callable[[Class], Class]:
    """Decorate a dataclass whose fields of these names, without defaults, may be given as `later(...)`.

    `dataclasses.replace` asks for every field. A function that can be pickled is one of a module, or a `partial` of one.
    """

    def with_fields(cls: Class) -> Class:
        for name in names:
            setattr(cls, name, _Field(name))
        return cls

    return with_fields


def later(make: Callable[[], T]) -> T:
    """The value that `make` gives, for a field that is `lazy`."""
    return cast("T", _Later(make))
