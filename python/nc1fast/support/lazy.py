"""Fields of dataclasses that are made when they are first used: `lazy` and `later`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class _Later:
    """A value that a function without arguments makes; several fields may hold the same."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make
        self._value: Any = None

    def value(self) -> Any:
        """The value, for which the function is called once; by threads at the same time more than
        once.
        """
        if (make := self._make) is not None:
            self._value = make()
            self._make = None  # and what it holds
        return self._value


class _Field:
    """A field whose value may be a `_Later`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError(self._name)
        value = instance.__dict__[self._name]
        if isinstance(value, _Later):
            value = instance.__dict__[self._name] = value.value()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = value


def lazy(*names: str) -> Callable[[Class], Class]:
    """Decorate a dataclass whose fields of these names may be given as `later(...)`.

    `dataclasses.replace` asks for every field. A function that can be pickled is one of a module,
    or a `partial` of one.
    """

    def with_fields(cls: Class) -> Class:
        for name in names:
            setattr(cls, name, _Field(name))
        return cls

    return with_fields


def later(make: Callable[[], T]) -> T:
    """The value that `make` gives, for a field that is `lazy`."""
    return cast("T", _Later(make))
