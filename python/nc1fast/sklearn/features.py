"""Random features of kernels as transformers, for linear models on many rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nc1fast.estimators.deep_map import check_deep, projected_map, widest
from nc1fast.estimators.directions import check_sampling
from nc1fast.estimators.hidden_units import draw_units
from nc1fast.estimators.ntk_features import draw_map, mapped, probe_rows
from nc1fast.kernels.classes import check_kernel
from nc1fast.kernels.fully_connected import NNGP
from nc1fast.sklearn.matrices import dense
from nc1fast.sklearn.parameters import DEFAULT_KERNEL, KernelParameters
from nc1fast.support.arguments import as_count, as_seed
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.deep_map import DeepMap, ProjectedMap
    from nc1fast.estimators.hidden_units import UnitMap

_DTYPES = (np.float64, np.float32)
_DEFAULT_UNITS = NNGP("relu", weight_variance="he")


class _Drawn(
    KernelParameters,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Base of the transformers: a map drawn at the fit, and applied to chunks of rows."""

    def __init__(
        self,
        kernel: Any = DEFAULT_KERNEL,
        n_components: int = 1024,
        seed: int = 0,
        sampling: str = "stratified",
        n_threads: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.n_components = n_components
        self.seed = seed
        self.sampling = sampling
        self.n_threads = n_threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @abstractmethod
    def _draw(self, X: Any, dtype: str) -> DeepMap | ProjectedMap | UnitMap:
        """The map for data like X."""

    @ieee
    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the map for rows X (n_samples, n_features), dense or sparse; y is not used.

        Raises
        ------
        TypeError, ValueError
            For a kernel that has no such features, arguments out of range, and data that
            scikit-learn refuses.
        """
        rows = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES)
        check_kernel(self.kernel)
        self._n_features_out = as_count("n_components", self.n_components)
        self.map_ = self._draw(rows, rows.dtype.name)
        return self

    @ieee
    def transform(self, X: Any) -> NDArray[Any]:
        """Features of rows X (m_samples, n_features), shape (m_samples, n_components), in the type
        of the rows of the fit.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        shape = rows.shape[0], self._n_features_out
        return mapped(self.map_, lambda part: dense(rows[part]), shape, self.n_threads)


class NTKFeatures(_Drawn):
    """Random features H with H H^T about K, for an NTK or NNGP of the ReLU family, of any depth.

    Parameters
    ----------
    kernel : NTK, NNGP or ConjugateKernel, default NTK("relu", weight_variance="he")
    n_components : int, default 1024
        Features, those of the linear part included: one for each of X, and one if there are biases.
        The last ones are zero where this is not the number of a whole number of units. Where it
        leaves no unit for each layer, the features are a random projection of those of
        `n_components` units a layer.
    seed : int, default 0
        >= 0; the same seed gives the same bits.
    sampling : {"stratified", "orthogonal", "plain"}, default "stratified"
        How hidden weights are drawn; "stratified" looks at 128 rows of X.
    n_threads : int, optional
        Default: as `collapse`; the bits do not depend on it.

    Attributes
    ----------
    map_ : DeepMap or ProjectedMap
        From rows to features.
    n_features_in_, feature_names_in_
        As of every estimator.

    Notes
    -----
    Unless they are projected, `fit_transform(X)` is `nc1fast.estimators.ntk_features(X, kernel,
    n_components, seed)`, whose cost, accuracy and source it has.

    Examples
    --------
    >>> import nc1fast as nc
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = nc.datasets.paper_d1(1000, 8, seed=0)
    >>> features = nc.sklearn.NTKFeatures(nc.NTK("relu", depth=3), 256)
    >>> model = make_pipeline(features, RidgeClassifier())
    >>> model.fit(X, y).score(X, y) > 0.99
    True
    """

    def _draw(self, X: Any, dtype: str) -> DeepMap | ProjectedMap:
        check_deep(self.kernel)
        check_sampling(self.sampling)
        probe, seed = dense(X[probe_rows(X.shape[0])]), as_seed(self.seed)
        size = self._n_features_out
        draw = draw_map if widest(self.kernel, probe.shape[1], size) else projected_map
        return draw(self.kernel, probe, size, seed, sampling=self.sampling, dtype=dtype)


class RandomUnits(_Drawn):
    """Random hidden units phi(w . x), with H H^T about K: features of covariance kernels of one
    hidden layer, of any activation.

    Parameters
    ----------
    kernel : ConjugateKernel, NNGP or AdaptiveKernel, default NNGP("relu", weight_variance="he")
        Of depth 2.
    n_components : int, default 1024
        Units, and one constant feature where the last layer has a bias.
    seed : int, default 0
        >= 0; the same seed gives the same bits.
    sampling : {"orthogonal", "plain"}, default "orthogonal"
        Hidden weights in orthogonal blocks, or independent.
    n_threads : int, optional
        Default: as `collapse`; the bits do not depend on it.

    Attributes
    ----------
    map_ : UnitMap
        From rows to features.
    n_features_in_, feature_names_in_
        As of every estimator.

    Notes
    -----
    A network of one hidden layer at its initialisation, of which only the last layer is trained.
    The mean of H H^T over seeds is K.
    Cost: 2 N n_components d0 flops and as many activations as H has entries.
    Accuracy: O(1/sqrt(n_components)) of sqrt(k_ii k_jj).
    Source: Rahimi & Recht (2008); Yu et al. (2016) for orthogonal weights.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, _ = nc.datasets.paper_d1(100, 8, seed=0)
    >>> kernel = nc.NNGP("gelu")
    >>> H, K = nc.sklearn.RandomUnits(kernel, 4096).fit_transform(X), kernel(X)
    >>> bool(((H @ H.T - K) ** 2).sum() < 1e-3 * (K**2).sum())
    True
    """

    def __init__(
        self,
        kernel: Any = _DEFAULT_UNITS,
        n_components: int = 1024,
        seed: int = 0,
        sampling: str = "orthogonal",
        n_threads: int | None = None,
    ) -> None:
        super().__init__(kernel, n_components, seed, sampling, n_threads)

    def _draw(self, X: Any, dtype: str) -> UnitMap:
        size, width = self._n_features_out, X.shape[1]
        return draw_units(self.kernel, width, size, self.seed, sampling=self.sampling, dtype=dtype)
