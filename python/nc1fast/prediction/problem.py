"""A call of this room, checked: rows, targets, new rows, and how the equations are solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.core.products import KernelMap, ProductSettings, as_columns
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.files import as_source
from nc1fast.inputs.targets import as_numbers
from nc1fast.kernels.classes import check_kernel
from nc1fast.prediction.conjugate import Stopping
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        K(Z, X); None where the outputs at X itself are wanted.
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
        limits: tuple[Any, Any],
        rank: Any = None,
        start: Any = None,
        seed: Any = 0,
    ) -> Solving:
        """The same, checked; `limits` are the tolerance and the most iterations.

        Raises
        ------
        TypeError, ValueError
            For a value that is not among those allowed.
        """
        check_choice("solver", solver, SOLVERS)
        stopping = Stopping(
            as_number("tolerance", limits[0], above=0, below=1),
            as_count("max_iterations", limits[1]),
        )
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
