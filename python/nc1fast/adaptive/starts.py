"""Where descents start. The free energy has several minima: on four classes in 8 features,
whichever start one takes.

The prior is the natural start. From a large isotropic Sigma, where erf saturates, and from a small
one, where it is linear, descents enter other basins; so does the path of widths, which follows the
minimum from networks so wide that it is the prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count, islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PATH_OF_WIDTHS = "path of widths"
_WIDER = (64.0, 16.0, 4.0)  # widths of the path, in units of the width
_RANDOM_SCALES = (1 / 8, 64.0)  # range of the eigenvalues of a random S


@dataclass(frozen=True, eq=False)
class Start:
    """One start of a descent.

    Attributes
    ----------
    name : str
    L : ndarray of shape (r, r)
        Lower triangular factor of S.
    wider : tuple of float, default ()
        Widths to descend at first, in units of the width.
    """

    name: str
    L: Array
    wider: tuple[float, ...] = ()


def starting_points(
    n: int, rank: int, rng: np.random.Generator, *, given: Array | None, before: Array | None
) -> list[Start]:
    """The first n starts: the best known ones, then random ones.

    Parameters
    ----------
    n : int
        Number of starts.
    rank : int
        Dimension r of S.
    rng : Generator
        Draws the random starts.
    given : ndarray of shape (r, r) or None
        L of a start of the caller's, which goes before the prior.
    before : ndarray of shape (r, r) or None
        L of the solution at the width before, which then goes first.
    """
    prior, path = _multiple("prior", 1.0, rank), Start(PATH_OF_WIDTHS, np.eye(rank), _WIDER)
    first = [prior] if given is None else [Start("start", given), prior]
    if before is not None:
        first, path = [Start(PATH_OF_WIDTHS, before)], prior
    large, small = _multiple("8 x prior", 8.0, rank), _multiple("prior / 8", 1 / 8, rank)
    known = [*first, large, path, small, _multiple("64 x prior", 64.0, rank)]
    drawn = (Start(f"random {k}", _random(rank, rng)) for k in count(1))
    return list(islice(chain(known, drawn), n))


def _multiple(name: str, scale: float, rank: int) -> Start:
    """The start S = scale I."""
    return Start(name, np.sqrt(scale) * np.eye(rank))


def _random(rank: int, rng: np.random.Generator) -> Array:
    """The lower triangular factor (r, r) of a random S: log-uniform eigenvalues, in a random basis."""
    basis, _ = np.linalg.qr(rng.standard_normal((rank, rank)))
    low, high = np.log(_RANDOM_SCALES)
    eigenvalues = np.exp(rng.uniform(low, high, rank))
    factor: Array = np.linalg.cholesky((basis * eigenvalues) @ basis.T)
    return factor
