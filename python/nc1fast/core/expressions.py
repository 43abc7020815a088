"""Kernels made of kernels, as the compiled core takes them: sums, products and positive multiples
of the kernels of chains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nc1fast.core.chains import HIDDEN, Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEAF, SCALE, SUM, PRODUCT = range(4)  # operations, by the numbers of the core
MOST_TERMS = 64  # that the core has room for

_LEAF_ROUNDINGS, _LAYER_ROUNDINGS = 24, 16  # of a D2 that does not cancel, as in sums/rounding.py
_SUM_ROUNDINGS, _PRODUCT_ROUNDINGS = 2, 8  # of what a term adds to those of its parts


class SupportsExpression(Protocol):
    """A kernel, as far as the core knows one."""

    def expression(self, n_features: int) -> Expression:
        """The leaves and terms that the core computes, for rows of `n_features`."""
        ...


class Term(NamedTuple):
    """A leaf by its number, or an operation on earlier terms; `factor` is that of SCALE."""

    operation: int
    first: int
    second: int = 0
    factor: float = 1.0


@dataclass(frozen=True)
class Expression:
    """A kernel as a short program, whose last term is its value.

    Attributes
    ----------
    leaves : tuple of Chain
        One kernel each.
    terms : tuple of Term
    """

    leaves: tuple[Chain, ...]
    terms: tuple[Term, ...]

    @classmethod
    def of_chain(cls, chain: Chain) -> Expression:
        """The kernel of a chain alone."""
        return cls((chain,), (Term(LEAF, 0),))

    @property
    def alone(self) -> Chain | None:
        """The chain, of a kernel that is no more than that."""
        return self.leaves[0] if len(self.terms) == 1 else None

    @cached_property
    def by_itself(self) -> Group:
        """The group of this kernel without others."""
        group = Group()
        group.add(0, self.on_common_rows())
        return group

    def on_common_rows(self) -> Expression:
        """The same with leaves that share their rows: where input biases differ, the rows are those
        without bias.

        Raises
        ------
        ValueError
            For kernels of different rows, as adaptive kernels of two Sigma have.
        """
        first = self.leaves[0]
        if not all(leaf.shares_factor(first) for leaf in self.leaves):
            raise ValueError(
                "an AdaptiveKernel has rows of its own (X times a factor of sigma): only kernels "
                "of the same sigma can be added or multiplied"
            )
        if len({leaf.input_layer for leaf in self.leaves}) == 1:
            return self
        lifted = (replace(leaf, lift=leaf.input_layer != (1.0, 0.0)) for leaf in self.leaves)
        return replace(self, leaves=tuple(lifted))

    def value(
        self,
        leaf: Callable[[int], Any],
        scaled: Callable[[Any, float], Any],
        added: Callable[[Any, Any], Any],
        multiplied: Callable[[Any, Any], Any],
    ) -> Any:
        """The last term, where leaf(n) is the value of leaf n and the others combine values."""
        found: list[Any] = []
        for operation, first, second, factor in self.terms:
            if operation == LEAF:
                found.append(leaf(first))
            elif operation == SCALE:
                found.append(scaled(found[first], factor))
            else:
                join = added if operation == SUM else multiplied
                found.append(join(found[first], found[second]))
        return found[-1]

    @cached_property
    def degree(self) -> int:
        """Factors of its longest product."""
        return int(self.value(lambda _: 1, lambda x, _: x, max, lambda x, y: x + y))

    @cached_property
    def cancels(self) -> bool:
        """Whether Theta^0 of a leaf is a difference."""
        return any(leaf.cancels for leaf in self.leaves)

    @cached_property
    def lifted(self) -> bool:
        """Whether biases are added to the angles of rows without them."""
        return any(leaf.lift for leaf in self.leaves)

    @cached_property
    def stable(self) -> bool:
        """Whether the core evaluates D2 within classes without cancellation."""
        safe = self.degree == 1 or all(leaf.grows for leaf in self.leaves)
        return safe and all(leaf.stable for leaf in self.leaves)

    @cached_property
    def layers(self) -> int:
        """Hidden layers of a kernel whose D2 is rounded as often as that of this one."""

        def of_leaf(number: int) -> int:
            leaf = self.leaves[number]
            layers = max(level for level, *_ in leaf.outputs) + leaf.lift
            return _LEAF_ROUNDINGS + _LAYER_ROUNDINGS * layers

        roundings = self.value(
            of_leaf,
            lambda x, _: x + 1,
            lambda x, y: max(x, y) + _SUM_ROUNDINGS,
            lambda x, y: x + y + _PRODUCT_ROUNDINGS,
        )
        return math.ceil((int(roundings) - _LEAF_ROUNDINGS) / _LAYER_ROUNDINGS)


class Placed(NamedTuple):
    """An expression among the kernels of a group.

    Attributes
    ----------
    kernel : int
        Position in the caller's list of kernels.
    expression : Expression
    leaves : list of (Chain, int)
        The chain of the group and the number of its output that each leaf is.
    """

    kernel: int
    expression: Expression
    leaves: list[tuple[Chain, int]]


class Group:
    """Kernels that share one pass: chains on the same rows, and expressions of their outputs."""

    def __init__(self) -> None:
        self.chains: list[Chain] = []
        self.placed: list[Placed] = []
        self.expressions: dict[int, Expression] = {}  # of all kernels, by position

    def add(self, kernel: int, expression: Expression) -> None:
        """Take a kernel of the caller's list, on the rows of the group."""
        self.expressions[kernel] = expression
        alone = expression.alone
        if alone is not None:
            self._host(alone).join(alone, kernel)
            return
        leaves = []
        for leaf in expression.leaves:
            host = self._host(leaf)
            leaves.append((host, host.join(leaf, HIDDEN)))
        self.placed.append(Placed(kernel, expression, leaves))

    def _host(self, chain: Chain) -> Chain:
        """The chain of the group that admits another, which may be new and without outputs."""
        host = next((c for c in self.chains if c.admits(chain)), None)
        if host is None:
            host = replace(chain, outputs=[], kernels=[])
            self.chains.append(host)
        return host

    @cached_property
    def kernels(self) -> list[int]:
        """Position of each kernel of the core in the caller's list, or `HIDDEN`; all of them are
        there.
        """
        outputs = [kernel for chain in self.chains for kernel in chain.kernels]
        return [*outputs, *(placed.kernel for placed in self.placed)]

    @cached_property
    def words(self) -> dict[str, Any]:
        """The kernels, all of which are there, in the words of the core (`as_kernels` in
        cpp/border_kernels.cpp).
        """
        starts, n_outputs = [], 0
        for chain in self.chains:
            starts.append(n_outputs)
            n_outputs += len(chain.outputs)

        def number(host: Chain, output: int) -> int:
            at = next(k for k, chain in enumerate(self.chains) if chain is host)
            return starts[at] + output

        expressions = [
            ([number(*leaf) for leaf in placed.leaves], list(placed.expression.terms))
            for placed in self.placed
        ]
        return {"chains": [chain.as_dict() for chain in self.chains], "expressions": expressions}


def groups_of(kernels: Sequence[SupportsExpression], n_features: int) -> list[Group]:
    """Kernels of a list, grouped by pass: those of one group share their rows.

    Groups are shared with other calls.
    """
    if len(kernels) == 1:
        return [kernels[0].expression(n_features).by_itself]
    groups: list[Group] = []
    for position, kernel in enumerate(kernels):
        expression = kernel.expression(n_features).on_common_rows()
        rows = expression.leaves[0]
        group = next((g for g in groups if g.chains[0].shares_rows(rows)), None)
        if group is None:
            groups.append(group := Group())
        group.add(position, expression)
    return groups


def kernel_dict(expression: Expression) -> dict[str, Any]:
    """One kernel in the words of the core (`as_kernel` in cpp/border_kernels.cpp); its rows are
    those of `on_common_rows`.
    """
    return expression.by_itself.words
