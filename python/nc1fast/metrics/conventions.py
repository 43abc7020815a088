"""Conventions: how classes are weighted in Sigma_W, in Sigma_B and in the global mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from nc1fast.support.arguments import check_choice
from nc1fast.support.warnings import Once, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Convention: TypeAlias = Literal["papyan", "probe", "class", "sample", "released"]

# Weights in Sigma_W, in Sigma_B and in the global mean: p = n_c/N, u = 1/C.
CONVENTIONS: dict[str, str] = {
    "papyan": "puu",
    "probe": "pup",
    "class": "uuu",
    "sample": "ppp",
    "released": "pup",  # with traces of its own: see trace_within and trace_between
}
DEFAULT_CONVENTION: Final = "papyan"  # where none is named
IMBALANCE = 1.1  # ratio of class sizes from which the convention matters enough to be named
_imbalance = Once()


class Weights(NamedTuple):
    """Weights of the classes in Sigma_W, in Sigma_B and in the global mean, each of shape (C,) and
    of sum 1.
    """

    within: Array
    between: Array
    mean: Array
    convention: str

    @property
    def within_is_uniform(self) -> bool:
        """Whether every class has the same weight in Sigma_W, whatever its size."""
        return CONVENTIONS[self.convention][0] == "u"


def weights(convention: str, sizes: NDArray[np.int64]) -> Weights:
    """Weights of a convention for classes of these sizes.

    Raises
    ------
    ValueError
        For an unknown convention.
    """
    check_choice("convention", convention, CONVENTIONS)
    kinds = {"p": sizes / sizes.sum(), "u": np.full(len(sizes), 1 / len(sizes))}
    within, between, mean = (kinds[letter] for letter in CONVENTIONS[convention])
    return Weights(within, between, mean, convention)


def chosen(convention: str | None, sizes: NDArray[np.int64]) -> str:
    """The convention, or the default with a warning, once, where class sizes differ so much that it
    matters.
    """
    if convention is not None:
        return convention
    if not _imbalance.said and sizes.max() > IMBALANCE * sizes.min():
        warn(
            f"class sizes range from {sizes.min()} to {sizes.max()}, where conventions for NC1 differ: {DEFAULT_CONVENTION!r} is used; "
            "name a convention to choose (this is said once)",
            once=_imbalance,
        )
    return DEFAULT_CONVENTION
