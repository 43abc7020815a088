"""A call of this room, checked: rows, targets, new rows, and how the equations are solved; and the
results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.core.products import KernelMap, ProductSettings, as_columns
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.files import as_source
from nc1fast.inputs.targets import as_numbers
from nc1fast.kernels.classes import check_kernel
from nc1fast.support.arguments import as_count, as_seed, check_choice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.prediction.conjugate import Stopping

    Array = NDArray[np.float64]

SOLVERS = ("auto", "cholesky", "cg")
MOST_DENSE = 5000  # rows up to which "auto" stores the matrix


@dataclass(frozen=True, eq=False)
class Regression:
    """Rows with targets, and rows to predict.

    Attributes
    ----------
    train : KernelMap
        K(X, X).
    test : KernelMap or None
        K(Z, X); None where the outputs at X itself are requested.
    Y : ndarray of shape (n_samples, n_outputs)
    one_axis : bool
        Whether the targets came as a vector.
    """

    train: KernelMap
    test: KernelMap | None
    Y: Array
    one_axis: bool

    @classmethod
    def of(cls, kernel: Any, data: tuple[Any, Any, Any], settings: ProductSettings) -> Regression:
        """The problem of (X, targets, Z), which may be arrays or paths.

        Raises
        ------
        TypeError, ValueError, OSError
            As `Kernel.matvec`; for targets that are no finite numbers, or too few.
        """
        check_kernel(kernel, *data)
        X, targets, Z = data
        train = KernelMap.of(kernel, X, None, settings)
        values = host_array(as_source(targets), "targets")
        Y = as_numbers(values, train.shape[1], None)
        test = None if Z is None else KernelMap.of(kernel, train.X, Z, settings)
        return cls(train, test, Y, values.ndim == 1)

    @property
    def n(self) -> int:
        """How many rows have targets."""
        return self.train.shape[1]

    @property
    def at(self) -> KernelMap:
        """The map from dual coefficients to outputs at the rows to predict."""
        return self.test or self.train

    def shaped(self, outputs: Array) -> Array:
        """Outputs (m, n_outputs) with as many axes as the targets came with."""
        return outputs[:, 0] if self.one_axis else outputs


@dataclass(frozen=True, eq=False)
class Solving:
    """How the equations are solved.

    Attributes
    ----------
    solver : {"auto", "cholesky", "cg"}
    stopping : Stopping
    rank : int, optional
        Columns of the preconditioner; None lets the kernel decide.
    start : ndarray of shape (n_samples, n_outputs) or None
    seed : int
    """

    solver: str
    stopping: Stopping
    rank: int | None
    start: Any
    seed: int

    @classmethod
    def of(
        cls,
        solver: Any,
        stopping: Stopping,
        rank: Any = None,
        start: Any = None,
        seed: Any = 0,
    ) -> Solving:
        """The same, checked.

        Raises
        ------
        TypeError, ValueError
            For a value that is not among those allowed.
        """
        check_choice("solver", solver, SOLVERS)
        columns = None if rank is None else as_count("rank", rank, 0)
        return cls(solver, stopping, columns, start, as_seed(seed))

    def choice(self, n: int, ridge: float) -> str:
        """The solver for n rows."""
        if self.solver == "cg" and ridge == 0:
            raise ValueError("solver='cg' needs a ridge or noise > 0")
        if self.solver != "auto":
            return self.solver
        return "cholesky" if n <= MOST_DENSE or ridge == 0 else "cg"

    def first(self, Y: Array) -> Array | None:
        """Coefficients to begin with, checked."""
        if self.start is None:
            return None
        start = as_columns(self.start, len(Y), "start")
        if start.shape != Y.shape:
            raise ValueError(f"start must have shape {Y.shape}, got {start.shape}")
        return start


@dataclass(frozen=True, eq=False)
class Prediction:
    """Outputs of a kernel method on new rows, with what certifies them.

    Attributes
    ----------
    mean : ndarray of shape (m_samples,) or (m_samples, n_outputs)
        As the targets have one axis or two.
    dual : ndarray of shape (n_samples, n_outputs)
        Coefficients: mean = K(Z, X) dual. A later call goes on from them (`start`).
    variance : ndarray of shape (m_samples,) or None
        Of the function at each new row, the same for all outputs, without the noise.
    covariance : ndarray of shape (m_samples, m_samples) or None
    log_marginal_likelihood : float or None
        Of all outputs together; None where it was not computed.
    log_marginal_likelihood_interval : (float, float) or None
        Covers it with the requested probability, where random vectors estimate the determinant;
        else both ends are the value.
    leave_one_out : ndarray of the shape of the targets, or None
        Prediction for every row from all others.
    error_bound : ndarray of the shape of the mean
        On the error of the mean that the solver leaves, from the true residual; rounding of kernel
        values comes on top.
    residual : float
        |Y - A dual|/|Y| of the worst output, computed anew at the end; for gradient flow, the error
        of the polynomial relative to the targets.
    iterations : int
        Of conjugate gradients, or the degree of the polynomial; 0 for a factorisation.
    converged : bool
        Whether the residual is within the tolerance.
    solver : {"cholesky", "cg"}
    rank : int
        Columns of the preconditioner.
    kernel : Kernel
    """

    mean: Array
    dual: Array
    variance: Array | None
    covariance: Array | None
    log_marginal_likelihood: float | None
    log_marginal_likelihood_interval: tuple[float, float] | None
    leave_one_out: Array | None
    error_bound: Array
    residual: float
    iterations: int
    converged: bool
    solver: str
    rank: int
    kernel: Any


@dataclass(frozen=True, eq=False)
class Selection:
    """Scores of kernels and ridges, and the best of them.

    Attributes
    ----------
    kernel : Kernel
        The best one.
    ridge : float
        The best one for it.
    scores : ndarray of shape (n_kernels, n_ridges)
        Log marginal likelihood, or minus the mean squared error of leaving one out: the larger, the
        better.
    kernels : tuple of Kernel
    ridges : tuple of float
    criterion : {"marginal_likelihood", "leave_one_out"}
    """

    kernel: Any
    ridge: float
    scores: Array
    kernels: tuple[Any, ...]
    ridges: tuple[float, ...]
    criterion: str


@dataclass(frozen=True)
class EffectiveDimension:
    """Tr K (K + ridge I)^-1, estimated.

    Attributes
    ----------
    value : float
    interval : (float, float)
        Covers it with the requested probability, including the error of the solver.
    probes : int
        Random vectors; 0 where the value is exact.
    """

    value: float
    interval: tuple[float, float]
    probes: int
