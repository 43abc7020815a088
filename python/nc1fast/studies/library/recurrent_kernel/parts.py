"""The kernels of recurrent ReLU networks after one step, beside tied-weight networks, and along the
length of sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.studies.experiment import Part
from nc1fast.studies.fields import Count, Variance  # noqa: TC001  (pydantic reads them)
from nc1fast.studies.library import on_d1
from nc1fast.studies.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nc1fast.studies.measures import Setting

NNGP, NTK = "recurrent NNGP", "recurrent NTK"
KERNELS: Final = {NNGP: nc.RecurrentNNGP, NTK: nc.RecurrentNTK}
ENTRY = "entry over its limit"
FROM_RELU = "largest relative difference from the ReLU kernel"
FROM_STORED = "relative difference of NC1 from the stored Gram matrix"
_FEATURES = 3  # of a step


def nc1_of(K: NDArray[np.float64], y: NDArray[Any]) -> float:
    """NC1 of a Gram matrix of equal classes, as it is defined: by means of its blocks."""
    classes = np.unique(y)
    means = np.array([[K[np.ix_(y == a, y == b)].mean() for b in classes] for a in classes])
    between = np.trace(means) / len(classes) - means.mean()
    return float((K.trace() / len(K) - np.trace(means) / len(classes)) / between)


class OneStep(Part):
    """Sequences of one step: the NNGP and the NTK of the shallow ReLU network with biases."""

    grid: ClassVar[tuple[str, ...]] = ("bias_variance",)

    part: Literal["one step"]
    bias_variance: Annotated[tuple[Variance, ...], Field(min_length=1)] = (0.0, 0.5)
    n_samples: Count = 64

    def seconds(self, setting: Setting) -> float:
        """Roughly a constant: Gram matrices of a few rows."""
        del setting
        return 0.01

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """Both kernels, entry by entry, relative to the largest entry of its row."""
        X, sb2 = random.normal(size=(self.n_samples, _FEATURES)), float(setting["bias_variance"])
        for name, kind in KERNELS.items():
            shallow = (nc.NTK if name == NTK else nc.NNGP)(
                "relu", weight_variance=(0.7, 1.3), bias_variance=(sb2, 0.0)
            )
            kernel = kind(input_variance=0.7, bias_variance=sb2, readout_variance=1.3)
            K, expected = kernel(X[:, None, :]), shallow(X)
            yield Measure(name, FROM_RELU, float((np.abs(K - expected) / expected.max(1)).max()))


class Tied(Part):
    """One finite network with tied weights on two sequences of given lengths."""

    grid: ClassVar[tuple[str, ...]] = ("lengths",)
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    part: Literal["tied networks"]
    lengths: Annotated[tuple[str, ...], Field(min_length=1)] = ("4:4", "3:5")
    width: Count = 1000

    def seconds(self, setting: Setting) -> float:
        """Most of it for the gradients by n^2 weights."""
        del setting
        return 0.02 + 1.0e-7 * self.width**2

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """The two entries of the network over those of its limit; the sequences are the same for
        all repeats.
        """
        import torch

        steps = [int(n) for n in str(setting["lengths"]).split(":")]
        fixed = np.random.default_rng(0)
        base = fixed.normal(size=(max(steps), _FEATURES))  # alike, so that entries are of order 1
        x, z = (base[-n:] + 0.5 * fixed.normal(size=(n, _FEATURES)) for n in steps)
        network = nc.networks.RecurrentNetwork(
            _FEATURES,
            width=self.width,
            weight_variance=1.5,
            bias_variance=0.1,
            seed=int(random.integers(1 << 32)),
        )
        with torch.no_grad():
            h, k = (network.features(torch.from_numpy(s[None])).numpy()[0] for s in (x, z))
        entries = {
            NNGP: h @ k / self.width,
            NTK: nc.networks.empirical_ntk(network, x[None], z[None])[0, 0],
        }
        for name, entry in entries.items():
            limit = KERNELS[name](weight_variance=1.5, bias_variance=0.1)([x], [z])[0, 0]
            yield Measure(name, ENTRY, float(entry / limit))


class Lengths(Part):
    """NC1 of two classes of sequences of several lengths, whose steps are rows of D1, against the
    longest length T.
    """

    grid: ClassVar[tuple[str, ...]] = ("weight_variance", "T")

    part: Literal["lengths"]
    weight_variance: Annotated[tuple[Variance, ...], Field(min_length=1)] = (0.5, 2.0)
    T: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8, 16)
    n_samples: Count = 200
    shift: ClassVar[float] = (
        0.25  # of the means of steps, +-shift, beside a standard deviation of 1
    )

    def seconds(self, setting: Setting) -> float:
        """Passes over all pairs, and stored matrices."""
        return 0.02 + 1e-7 * self.n_samples**2 * int(setting["T"])

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterator[Measure]:
        """NC1 streamed, and from the stored Gram matrix."""
        longest = int(setting["T"])
        y = np.repeat([-1, 1], self.n_samples // 2)
        lengths = random.integers((longest + 1) // 2, longest + 1, size=len(y))
        X = [
            random.normal(self.shift * label, 1, size=(n, _FEATURES))
            for label, n in zip(y, lengths, strict=True)
        ]
        for name, kind in KERNELS.items():
            kernel = kind(weight_variance=float(setting["weight_variance"]), bias_variance=0.1)
            result = nc.collapse(X, y, kernel, convention="papyan")
            yield Measure(name, "nc1", result.nc1, result.error_bound)
            yield Measure(name, FROM_STORED, abs(result.nc1 / nc1_of(kernel(X), y) - 1))


class RecurrentOnD1(on_d1.OnD1):
    """Each row of D1 as one step of d0 features, and as d0 steps of one feature."""

    seconds_each: ClassVar[float] = 0.5

    def constructions(
        self, X: NDArray[np.float64], y: NDArray[Any], random: np.random.Generator
    ) -> Iterable[tuple[str, Any]]:
        """Both kernels of both readings; sw^2 = 2 keeps the length of states."""
        del random
        readings = {"one step": X[:, None, :], "a step for each feature": X[:, :, None]}
        for reading, sequences in readings.items():
            kernels = [kind(weight_variance=2.0) for kind in KERNELS.values()]
            results = nc.collapse(sequences, y, kernels, convention="papyan")
            for name, result in zip(KERNELS, results, strict=True):
                yield f"{name}, {reading}", result
