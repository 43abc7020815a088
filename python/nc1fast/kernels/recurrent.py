"""Kernels of infinitely wide recurrent networks, on sequences."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from nc1fast.core.backend import in_range
from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.core.products import ProductSettings, as_columns
from nc1fast.core.recurrent import Recurrence, block, diagonal
from nc1fast.inputs.sequences import Sequences
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.fully_connected import variance
from nc1fast.support.arguments import check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.support.progress import Progress

    Data: TypeAlias = ArrayLike | Sequences

_BLOCK_BYTES = 1 << 26  # of the rows of a Gram matrix that a product has at a time


@dataclass(frozen=True, repr=False)
class RecurrentKernel(Kernel):
    """Base of the kernels of simple recurrent ReLU networks of which the last state is read out."""

    weight_variance: float = 1.0
    input_variance: float = 1.0
    bias_variance: float = 0.0
    readout_variance: float = 1.0
    depth: ClassVar[int] = 2  # type: ignore[misc]
    of_sequences = True

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, variance(field.name, getattr(self, field.name)))

    @property
    def recurrence(self) -> Recurrence:
        """The recursion over steps, as the core takes it."""
        return Recurrence(
            self.weight_variance,
            self.input_variance,
            self.bias_variance,
            self.readout_variance,
            self.is_tangent,
        )

    def chain(self, n_features: int) -> NoReturn:
        """Recurrent kernels have no chain of layers.

        Raises
        ------
        ValueError
            Always; what needs a chain takes rows of features.
        """
        raise ValueError(
            f"{self!r} takes sequences, which only nc1fast.collapse, class_sums, kernel(X), diag "
            "and matvec do"
        )

    @ieee
    def __call__(
        self,
        X: Data,
        Z: Data | None = None,
        *,
        lengths: ArrayLike | None = None,
        dtype: str = "float64",
        n_threads: int | None = None,
        device: str | None = None,
    ) -> NDArray[Any]:
        """Gram matrix k(x_i, z_j) of sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features), list of arrays (n_steps_i,
        n_features), or Sequences
        Z : the same, optional
            Default: X itself; the result is then exactly symmetric with an exact diagonal.
        lengths : array-like of int of shape (n_samples,), optional
            Sequence i of an array X is X[i, :lengths[i]]; those of Z: `nc1fast.Sequences(Z,
            lengths)`.
        dtype : {"float64", "float32"}, default "float64"
            Precision of the recursion over pairs and of the result.
        n_threads : int, optional
            Default: as `collapse`. The bits do not depend on it.
        device : {"cpu"}, optional

        Returns
        -------
        ndarray of shape (n_samples, m_samples)

        Raises
        ------
        TypeError, ValueError
            As `Sequences`; for a device, and values on the diagonal beyond 1e+-100 (float32:
            1e+-20).

        Notes
        -----
        Cost: N M T (2 m + 50) flops of T common steps of m features; memory N M plus packed steps.
        Accuracy: T (5 m + 36 T + 80) u of sqrt(k_ii k_jj), T times that for the NTK, whose angles
        lose half the digits where sequences are nearly equal or opposite at a step
        (docs/accuracy.md).
        """
        check_choice("dtype", dtype, ("float64", "float32"))
        if device not in (None, "cpu"):
            raise ValueError(f"{self.name} runs on the CPU alone, got device={device!r}")
        rows, others = _sides(X, Z, lengths)
        single = dtype == "float32"
        with in_range(self):
            return block(self.recurrence, rows, others, single=single, n_threads=n_threads)[0]

    @ieee
    def matvec(
        self,
        X: Data,
        V: ArrayLike,
        Z: Data | None = None,
        *,
        dtype: str = "float64",
        n_threads: int | None = None,
        memory_limit: float | None = None,
        progress: Progress = False,
    ) -> NDArray[np.float64]:
        """K(Z, X) V, or K(X, X) V, without the Gram matrix: some rows of it at a time.

        Parameters
        ----------
        X, Z : as for the Gram matrix
        V : array-like of shape (n_samples,) or (n_samples, k)
        dtype : {"float64", "float32"}, default "float64"
            Precision of the kernel values; the sums are float64.
        n_threads : int, optional
        memory_limit : float, optional
            Bytes of the rows of the Gram matrix that are held at a time; default 64 MiB.
        progress : bool or callable(done, total), default False

        Returns
        -------
        ndarray of shape (m_samples,) or (m_samples, k)
            The same bits for any number of threads and any memory limit.

        Raises
        ------
        TypeError, ValueError
            As the Gram matrix; for V that is not finite or has another number of rows.
        """
        settings = ProductSettings(dtype, n_threads, memory_limit)
        rows, others = _sides(X, Z, None)
        columns = as_columns(V, len(rows))
        results = rows if others is None else others
        limit = _BLOCK_BYTES if settings.memory_limit is None else settings.memory_limit
        step = max(1, int(min(limit, _BLOCK_BYTES) // (8 * len(rows))))
        out = np.empty((len(results), columns.shape[1]))
        with reporting(progress) as report, in_range(self):
            for begin in range(0, len(results), step):
                part = slice(begin, begin + step)
                K, _ = block(
                    self.recurrence,
                    results.at(part),
                    rows,
                    single=settings.single,
                    n_threads=n_threads,
                )
                out[part] = matmul(
                    K.astype(np.float64, copy=False), columns, thread_count(n_threads)
                )
                if report is not None:
                    report(min(begin + step, len(results)), len(results))
        return out[:, 0] if np.ndim(V) == 1 else out

    @ieee
    def diag(self, X: Data) -> NDArray[np.float64]:
        """k(x_i, x_i), shape (n_samples,), float64, from the norms of the steps alone."""
        with in_range(self):
            return diagonal(self.recurrence, Sequences.of(X))[0]


def _sides(X: Any, Z: Any, lengths: Any) -> tuple[Sequences, Sequences | None]:
    """The sequences of X, and of Z where they are others."""
    rows = Sequences.of(X, "X", lengths)
    if Z is None:
        return rows, None
    others = Sequences.of(Z, "Z")
    if others.shape[1] != rows.shape[1]:
        raise ValueError(f"Z must have {rows.shape[1]} features as X has, got {others.shape[1]}")
    return rows, others


@dataclass(frozen=True, repr=False)
class RecurrentNNGP(RecurrentKernel):
    """Covariance of the outputs of an infinitely wide recurrent ReLU network, on sequences.

    Parameters
    ----------
    weight_variance, input_variance, bias_variance, readout_variance : float, default 1.0, 1.0, 0.0
    and 1.0
        Of the recurrent weights sw2, the input weights sx2, the biases sb2 and the readout sv2.

    Notes
    -----
    h_t = relu(W h_{t-1} + U x_t + b), h_0 = 0, output v h_T; entries of W and v of variance sw2/n
    and sv2/n, of U sx2/m. Then S_1 = sx2 <x_1, y_1>/m + sb2;  S_t = sw2 V(S_{t-1}) + sx2 <x_t,
    y_t>/m + sb2;  K = sv2 V(S_T),  V = E relu relu. Sequences are aligned at their ends: the states
    of the shorter are 0 before it begins.
    Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), theorem 1 and appendix on lengths that
    differ.
    """


@dataclass(frozen=True, repr=False)
class RecurrentNTK(RecurrentKernel):
    """Tangent kernel of an infinitely wide recurrent ReLU network, on sequences.

    Parameters
    ----------
    weight_variance, input_variance, bias_variance, readout_variance : float, default 1.0, 1.0, 0.0
    and 1.0
        Of the recurrent weights sw2, the input weights sx2, the biases sb2 and the readout sv2; all
        of them train.

    Notes
    -----
    With S_t and V of `RecurrentNNGP`, V' = E step step:
    Th_1 = S_1;  Th_t = S_t + sw2 Th_{t-1} V'(S_{t-1});  Theta = sv2 V(S_T) + sv2 Th_T V'(S_T).
    Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), theorem 2.

    Examples
    --------
    >>> import numpy as np
    >>> import nc1fast as nc
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 3))
    >>> y = (X[:, -1, 0] > 0).astype(int)
    >>> bool(nc.collapse(X, y, nc.RecurrentNTK(weight_variance=2.0), convention="sample").nc1 > 0)
    True
    """

    is_tangent = True
