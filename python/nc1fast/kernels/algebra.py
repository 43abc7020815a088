"""Kernels made of kernels: a * k, k1 + k2, k1 * k2 and k ** p.

Sums and products of kernels are kernels (of features side by side, and of their tensor products).
Operators on kernel objects make these descriptions; they are evaluated pair by pair from one
product of rows, and D2 = k_ii + k_jj - 2 k_ij within classes by the product rule, without
cancellation where every factor has a form that does not cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nc1fast.core.expressions import LEAF, MOST_TERMS, PRODUCT, SCALE, SUM, Expression, Term
from nc1fast.kernels.classes import Kernel
from nc1fast.support.arguments import as_count, as_items, as_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.core.chains import Chain
    from nc1fast.kernels.classes import OneLayer

    Array = NDArray[np.float64]

_LARGEST_POWER = 64


class Composite(Kernel):
    """Base of the kernels that are made of others.

    Attributes
    ----------
    parts : tuple of Kernel
        The kernels that it is made of.
    """

    @property
    def parts(self) -> tuple[Kernel, ...]:
        """The kernels that it is made of, from the left to the right."""
        raise NotImplementedError

    @property
    def depth(self) -> int:  # type: ignore[override]
        """Weight layers of its deepest part."""
        return max(part.depth for part in self.parts)

    def expression(self, n_features: int) -> Expression:
        """Its leaves and the operations on them.

        Raises
        ------
        ValueError
            For more terms than the core has room for, and where a part does not fit rows of so many
            features.
        """
        builder = _Builder(n_features)
        builder.number(self)
        if len(builder.terms) > MOST_TERMS:
            raise ValueError(
                f"an expression of kernels may have {MOST_TERMS} terms at most, "
                f"got {len(builder.terms)}"
            )
        return Expression(tuple(builder.leaves), tuple(builder.terms))

    def chain(self, n_features: int) -> Chain:
        """A composite has no single chain.

        Raises
        ------
        ValueError
            Always: methods that need a chain do not support composites.
        """
        raise ValueError(f"{self!r} is made of several kernels: only exact passes take it")

    def one_layer(self, n_features: int) -> OneLayer | None:
        """None: a composite has no closed form of one hidden layer."""
        return None

    def combine(self, parts: list[int], builder: _Builder) -> int:
        """The number of its last term, from those of its parts."""
        raise NotImplementedError

    def slope(self, index: int, value: Callable[[Kernel], Array]) -> Array | float:
        """The derivative of its values with respect to those of part `index`, entry by entry;
        `value` gives those of a part.
        """
        raise NotImplementedError


class _Builder:
    """Terms of an expression; equal kernels are one of them."""

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features
        self.leaves: list[Chain] = []
        self.terms: list[Term] = []
        self._known: dict[Kernel, int] = {}

    def number(self, kernel: Kernel) -> int:
        """The term that is a kernel."""
        if kernel not in self._known:
            if isinstance(kernel, Composite):
                found = kernel.combine([self.number(part) for part in kernel.parts], self)
            else:
                self.leaves.append(kernel.chain(self.n_features))
                found = self.term(LEAF, len(self.leaves) - 1)
            self._known[kernel] = found
        return self._known[kernel]

    def term(self, operation: int, first: int, second: int = 0, factor: float = 1.0) -> int:
        """Another term, and its number."""
        self.terms.append(Term(operation, first, second, factor))
        return len(self.terms) - 1

    def power(self, base: int, exponent: int) -> int:
        """The term base^exponent, by squares."""
        if exponent == 1:
            return base
        half = self.power(base, exponent // 2)
        square = self.term(PRODUCT, half, half)
        return self.term(PRODUCT, square, base) if exponent % 2 else square


def _factor(kernel: Kernel, *loose: type[Kernel]) -> str:
    """The repr of a factor: in parentheses, if it is of one of these kinds."""
    return f"({kernel!r})" if isinstance(kernel, loose) else repr(kernel)


@dataclass(frozen=True, repr=False)
class _OfOne(Composite):
    """Base of the kernels made of one other."""

    kernel: Kernel

    def __post_init__(self) -> None:
        if not isinstance(self.kernel, Kernel):
            raise TypeError(f"kernel must be a kernel, got {self.kernel!r}")

    @property
    def parts(self) -> tuple[Kernel, ...]:
        """The kernel that is multiplied or raised."""
        return (self.kernel,)


@dataclass(frozen=True, repr=False)
class _OfSeveral(Composite):
    """Base of the kernels made of two others or more, by one operation that is associative."""

    kernels: tuple[Kernel, ...]
    operation: ClassVar[int]

    def __post_init__(self) -> None:
        kernels = as_items("kernels", self.kernels, "two kernels or more")
        if len(kernels) < 2 or not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise TypeError(f"kernels must be two kernels or more, got {self.kernels!r}")
        flat: list[Kernel] = []
        for kernel in kernels:
            flat += kernel.parts if isinstance(kernel, type(self)) else (kernel,)
        object.__setattr__(self, "kernels", tuple(flat))

    @property
    def parts(self) -> tuple[Kernel, ...]:
        """The kernels, from the left to the right."""
        return self.kernels

    def combine(self, parts: list[int], builder: _Builder) -> int:
        """Its terms, from the left to the right."""
        return reduce(lambda x, y: builder.term(self.operation, x, y), parts)


@dataclass(frozen=True, repr=False)
class Scaled(_OfOne):
    """A positive multiple of a kernel, a * k.

    Parameters
    ----------
    kernel : Kernel
    factor : float
        Above 0.
    """

    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factor", as_number("factor", self.factor, above=0))
        if isinstance(self.kernel, Scaled):
            object.__setattr__(self, "factor", self.factor * self.kernel.factor)
            object.__setattr__(self, "kernel", self.kernel.kernel)
        if not 0 < self.factor < math.inf:
            raise ValueError(f"factor must be a positive number, got {self.factor!r}")

    def combine(self, parts: list[int], builder: _Builder) -> int:
        """One term more than the kernel has."""
        return builder.term(SCALE, parts[0], factor=self.factor)

    def slope(self, index: int, value: Callable[[Kernel], Array]) -> float:
        """The factor, which is constant."""
        return self.factor

    def __repr__(self) -> str:
        return f"{self.factor!r} * {_factor(self.kernel, Sum)}"


@dataclass(frozen=True, repr=False)
class Sum(_OfSeveral):
    """A sum of kernels, k1 + k2 + ...: features side by side.

    Parameters
    ----------
    kernels : sequence of Kernel
        Two or more; a sum among them is replaced by its parts.
    """

    operation = SUM

    def slope(self, index: int, value: Callable[[Kernel], Array]) -> float:
        """One, since parts are added."""
        return 1.0

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.kernels))


@dataclass(frozen=True, repr=False)
class Product(_OfSeveral):
    """An elementwise product of kernels, k1 * k2 * ...: tensor products of features.

    Parameters
    ----------
    kernels : sequence of Kernel
        Two or more; a product among them is replaced by its parts.
    """

    operation = PRODUCT

    def slope(self, index: int, value: Callable[[Kernel], Array]) -> Array:
        """The product of the other parts."""
        others = self.kernels[:index] + self.kernels[index + 1 :]
        return reduce(np.multiply, map(value, others))

    def __repr__(self) -> str:
        return " * ".join(_factor(kernel, Sum, Scaled) for kernel in self.kernels)


@dataclass(frozen=True, repr=False)
class Power(_OfOne):
    """A power of a kernel, k ** p, elementwise.

    Parameters
    ----------
    kernel : Kernel
    exponent : int
        From 1 to 64: other powers of a kernel need not be kernels.
    """

    exponent: int

    def __post_init__(self) -> None:
        super().__post_init__()
        exponent = as_count("exponent", self.exponent, 1, _LARGEST_POWER)
        object.__setattr__(self, "exponent", exponent)

    def combine(self, parts: list[int], builder: _Builder) -> int:
        """By squares: as many products as the exponent has binary digits, or twice that."""
        return builder.power(parts[0], self.exponent)

    def slope(self, index: int, value: Callable[[Kernel], Array]) -> Array:
        """The derivative of a power, p k^(p - 1)."""
        return np.asarray(self.exponent * value(self.kernel) ** (self.exponent - 1))

    def __repr__(self) -> str:
        return f"{_factor(self.kernel, Composite)} ** {self.exponent}"
