"""Kernel ridge regression, and classification by it, as estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nc1fast.inputs.targets import encode
from nc1fast.prediction.dense import Cholesky
from nc1fast.prediction.problem import MOST_DENSE, SOLVERS
from nc1fast.prediction.regression import ridge
from nc1fast.sklearn.matrices import KernelMatrices
from nc1fast.sklearn.parameters import DEFAULT_KERNEL, KernelParameters
from nc1fast.support.arguments import as_number, check_choice

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_DTYPES = (np.float64, np.float32)


class _Ridge(KernelParameters, BaseEstimator):  # type: ignore[misc]
    """Base of regression and classification: rows, coefficients, and the map to outputs."""

    def __init__(
        self,
        kernel: Any = DEFAULT_KERNEL,
        alpha: float = 1e-3,
        normalize: bool = False,
        solver: str = "auto",
        tol: float = 1e-6,
        n_threads: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.alpha = alpha
        self.normalize = normalize
        self.solver = solver
        self.tol = tol
        self.n_threads = n_threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _solve(self, X: Any, Y: Array) -> None:
        """Set the attributes of the fit: coefficients (n, k) of targets Y (n, k)."""
        level = as_number("alpha", self.alpha, least=0)
        matrices = KernelMatrices(self.kernel, self.normalize, self.n_threads)
        self.matrices_, self.X_fit_ = matrices, X
        if self._streams(X, level):
            threads = self.n_threads
            found = ridge(
                self.kernel, X, Y, ridge=level, solver="cg", tolerance=self.tol, n_threads=threads
            )
            self.dual_coef_ = found.dual
        else:
            self.dual_coef_ = Cholesky(matrices.between(X), level).solve(Y)

    def _streams(self, X: Any, level: float) -> bool:
        """Whether K is not to be stored."""
        check_choice("solver", self.solver, SOLVERS)
        plain = not (self.normalize or issparse(X))
        if self.solver == "cg" and not plain:
            raise ValueError("solver='cg' needs dense rows and normalize=False")
        large = plain and level > 0 and X.shape[0] > MOST_DENSE
        return self.solver == "cg" or (self.solver == "auto" and large)

    def _outputs(self, X: Any) -> Array:
        """K(X, X_fit_) dual_coef_, shape (m, k)."""
        check_is_fitted(self)
        rows = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        return self.matrices_.product(rows, self.X_fit_, self.dual_coef_)


class KernelRidge(MultiOutputMixin, RegressorMixin, _Ridge):  # type: ignore[misc]
    """Kernel ridge regression, f(z) = k(z, X) (K + alpha I)^-1 y: the mean of a Gaussian process
    with noise alpha.

    Parameters
    ----------
    kernel : Kernel, default NTK("relu", weight_variance="he")
        Its fields are parameters too: `kernel__depth`, `kernel__weight_variance`, ...
    alpha : float, default 1e-3
        Added to the diagonal of K, >= 0. What it means depends on the scale of the kernel; see
        `normalize`.
    normalize : bool, default False
        k(x, z)/sqrt(k(x, x) k(z, z)) in place of k.
    solver : {"auto", "cholesky", "cg"}, default "auto"
        "cholesky" stores K; "cg" never does: preconditioned conjugate gradients on streamed
        products (`nc1fast.prediction.ridge`), of dense rows without `normalize`. "auto": "cholesky"
        up to 5,000 rows, and where "cg" does not apply.
    tol : float, default 1e-6
        Of "cg": |y - (K + alpha I) dual_coef_| <= tol |y| for every output.
    n_threads : int, optional
        Default: as `collapse`.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples, n_outputs)
    X_fit_ : ndarray or sparse matrix of shape (n_samples, n_features)
    matrices_ : KernelMatrices
        The kernel as it was at the fit.
    n_features_in_, feature_names_in_
        As of every estimator.

    Notes
    -----
    Cost: "cholesky" N^3/3 multiply-adds and 8 N^2 bytes; "cg" as `nc1fast.prediction.ridge`.
    Predictions are streamed, those of sparse rows and normalised kernels by panels of 32 MiB.
    Accuracy: that of Cholesky's factorisation, u cond(K + alpha I), or the residual that `tol`
    allows.
    Source: Saunders, Gammerman & Vovk (1998); Jacot, Gabriel & Hongler (2018): with an NTK and
    alpha -> 0, an infinitely wide network trained to the end.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, y = nc.datasets.paper_d1(200, 8, seed=0)
    >>> nc.sklearn.KernelRidge(nc.NTK("relu", depth=3)).fit(X, y).score(X, y) > 0.99
    True
    """

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Solve for the coefficients of rows X (n_samples, n_features) and targets y (n_samples,)
        or (n_samples, n_outputs).

        Raises
        ------
        TypeError, ValueError
            For arguments that are none, data that scikit-learn refuses, and a K that is singular
            without a larger alpha.

        Warns
        -----
        AccuracyWarning
            Where "cg" ends before it reaches `tol`.
        """
        rows, targets = validate_data(
            self, X, y, accept_sparse="csr", dtype=_DTYPES, multi_output=True, y_numeric=True
        )
        self._one_axis = targets.ndim == 1
        self._solve(rows, targets.reshape(len(targets), -1).astype(np.float64))
        return self

    def predict(self, X: Any) -> Array:
        """Outputs of rows X (m_samples, n_features), with the axes of y."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_axis else outputs


class KernelClassifier(ClassifierMixin, _Ridge):  # type: ignore[misc]
    """Classification by kernel ridge regression on one-hot codes, of which the frequencies of the
    classes are taken away.

    Parameters
    ----------
    kernel, alpha, normalize, solver, tol, n_threads
        As of `KernelRidge`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    frequencies_ : ndarray of shape (n_classes,)
        Fraction of each class among the rows of the fit; far from them all, outputs tend to these.
    dual_coef_ : ndarray of shape (n_samples, n_classes)
    X_fit_, matrices_, n_features_in_, feature_names_in_
        As of `KernelRidge`.

    Notes
    -----
    Cost: one factorisation for all classes, as `KernelRidge`. There is no predict_proba: the
    outputs of least squares are no probabilities. GaussianProcessClassifier with a `GPKernel` has
    some.
    Source: Lee et al. (2018), section 3.1.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, y = nc.datasets.paper_d1(200, 8, seed=0)
    >>> nc.sklearn.KernelClassifier(nc.NNGP("erf")).fit(X, y).score(X, y)
    1.0
    """

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Solve for the coefficients of rows X (n_samples, n_features) and labels y (n_samples,).

        Raises
        ------
        TypeError, ValueError
            As `KernelRidge`; for one class only, and labels that are none.
        """
        rows, labels = validate_data(self, X, y, accept_sparse="csr", dtype=_DTYPES)
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have at least two classes, got one class: {self.classes_[0]!r}"
            )
        codes = encode("one-hot", index.astype(np.int32), len(self.classes_)).values
        self.frequencies_ = codes.mean(axis=0)
        self._solve(rows, codes - self.frequencies_)
        return self

    def decision_function(self, X: Any) -> Array:
        """Outputs of rows X (m_samples, n_features): (m_samples, n_classes); of two classes the
        second less the first, (m_samples,).
        """
        outputs: Array = self._outputs(X) + self.frequencies_
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of the largest output, shape (m_samples,)."""
        outputs = self.decision_function(X)
        index = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        return np.asarray(self.classes_[index])
