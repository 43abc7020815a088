"""The problem of the benchmarks, a Gaussian mixture, and the answer that every contestant gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

# Kernels that all contestants have: two layers, no biases, unit weight variance.
KERNELS = ("nngp-relu", "ntk-relu", "nngp-erf")


@dataclass(frozen=True)
class Problem:
    """A balanced Gaussian mixture, rebuilt from these numbers in every process that needs it.

    Parameters
    ----------
    n_samples, n_features : int
    n_classes : int, default 10
    dtype : {"float32", "float64"}, default "float64"
        Of the rows. The draw is float32 in both, so that all contestants see the same numbers.
    spread : float, default 1.0
        Standard deviation within a class; the class means are standard normal.
    seed : int, default 0
    by_class : bool, default False
        Rows in the order of their classes, instead of a random one.
    """

    n_samples: int
    n_features: int
    n_classes: int = 10
    dtype: str = "float64"
    spread: float = 1.0
    seed: int = 0
    by_class: bool = False

    def data(self) -> tuple[Floats, NDArray[np.int64]]:
        """Rows (N, d) and labels (N,)."""
        rng = np.random.default_rng(self.seed)
        means = rng.standard_normal((self.n_classes, self.n_features), dtype=np.float32)
        labels = rng.permutation(np.arange(self.n_samples) % self.n_classes)
        if self.by_class:
            labels.sort()
        rows = rng.standard_normal((self.n_samples, self.n_features), dtype=np.float32)
        rows *= np.float32(self.spread)
        for c in range(self.n_classes):
            rows[labels == c] += means[c]
        return rows.astype(self.dtype, copy=False), labels

    @property
    def pairs(self) -> float:
        """Number of pairs of the upper triangle, N^2 / 2."""
        return 0.5 * self.n_samples**2

    @property
    def triangle_flops(self) -> float:
        """Multiplications and additions of the inner products of the upper triangle, N^2 d."""
        return float(self.n_samples) ** 2 * self.n_features

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Answer:
    """NC1 under the papyan convention and, where the contestant has them, the sums behind it."""

    nc1: float
    block_sums: Floats | None = None  # (C, C)  sum over i in c, j in c' of k_ij
    traces: Floats | None = None  # (C,)  sum over i in c of k_ii

    def as_dict(self) -> dict[str, Any]:
        """The fields as lists and numbers, for JSON."""
        return {
            "nc1": self.nc1,
            "block_sums": None if self.block_sums is None else self.block_sums.tolist(),
            "traces": None if self.traces is None else self.traces.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Answer:
        """The answer from its `as_dict`."""

        def array(value: Any) -> Floats | None:
            return None if value is None else np.asarray(value)

        return cls(fields["nc1"], array(fields["block_sums"]), array(fields["traces"]))


def answer_from_sums(block_sums: Floats, traces: Floats, sizes: Floats) -> Answer:
    """NC1 from the plain sums, as a user without the cancellation-free form computes it.

    M = S_cc'/(n_c n_c'), V_c = t_c/n_c - M_cc; NC1 = sum p_c V_c / mean_c |mu_c - mean mu|^2
    (papyan).
    """
    means = block_sums / np.outer(sizes, sizes)
    within = traces / sizes - np.diag(means)
    trace_within = float(np.sum(sizes / sizes.sum() * within))
    trace_between = float(np.mean(np.diag(means)) - means.mean())
    return Answer(trace_within / trace_between, block_sums, traces)


def disagreement(answer: Answer, other: Answer) -> float:
    """Largest difference: relative for NC1, in units of the largest block sum for block sums."""
    worst = abs(answer.nc1 - other.nc1) / abs(other.nc1)
    if answer.block_sums is not None and other.block_sums is not None:
        scale = np.abs(other.block_sums).max()
        worst = max(worst, float(np.abs(answer.block_sums - other.block_sums).max() / scale))
    return worst


def check_kernel(kernel: str, supported: tuple[str, ...]) -> None:
    """Raise ValueError unless `kernel` is one of `supported`."""
    if kernel not in supported:
        raise ValueError(f"kernel must be one of {', '.join(supported)}, got {kernel!r}")


class DisagreementError(AssertionError):
    """Raised where two contestants give different answers, before anything is timed."""


# Largest accepted `disagreement`. float64: programs with arccos of a clipped ratio lose half the
# digits on the diagonal.
TOLERANCE = {"float32": 2e-4, "float64": 1e-8}


def require_agreement(answers: dict[str, Answer], dtype: str) -> float:
    """The largest disagreement of answers with the first one, which must be small.

    Parameters
    ----------
    answers : dict of str to Answer
    dtype : {"float32", "float64"}
        The lowest precision among those that computed them.

    Raises
    ------
    DisagreementError
        If an answer differs by more than `TOLERANCE`.
    """
    (first, reference), *others = answers.items()
    worst = 0.0
    for name, answer in others:
        difference = disagreement(answer, reference)
        if not difference <= TOLERANCE[dtype]:
            raise DisagreementError(
                f"{name} and {first} differ by {difference:.2e}, {dtype} allows "
                f"{TOLERANCE[dtype]:.0e}: "
                f"nc1 {answer.nc1!r} and {reference.nc1!r}"
            )
        worst = max(worst, difference)
    return worst
