"""The registry of the metrics: a metric is one pure function and one line of `METRICS`.

Results, tables and, where `traced`, the traces of trainings have what is registered. docs/metrics.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from nc1fast.metrics import classifiers, definitions, ranks
from nc1fast.metrics.definitions import (
    RANK_TOLERANCE,
    BetweenSpectrum,
    between_spectrum,
    between_spectrum_of_means,
)
from nc1fast.support.plugins import PluginGroup, PluginWarning
from nc1fast.support.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.metrics.conventions import Weights
    from nc1fast.metrics.rows import RowStatistics

    Array = NDArray[np.float64]

Need = Literal["sums", "rows", "nearest", "classifier", "decisions"]

# Why a result lacks what needs more than class sums.
REASONS: dict[Need, str] = {
    "sums": "not defined for these sums",
    "rows": 'the row-class sums were not computed: statistics="sums", or features that came in batches without their scatter',
    "nearest": 'the row-class sums were not computed: statistics="sums", or features that came in batches, once',
    "classifier": "no classifier was given: result.with_classifier(W, b), for explicit features",
    "decisions": "no classifier was given with its rows: result.with_classifier(W, b, H=H)",
}


@dataclass(frozen=True, eq=False)
class ClassGeometry:
    """The arguments of the metrics.

    Attributes
    ----------
    V : ndarray of shape (n_classes,)
    M, Mc : ndarray of shape (n_classes, n_classes)
    w : Weights
    rows : RowStatistics or None
        What the row-class sums add, where they are kept.
    means : ndarray of shape (n_classes, n_features) or None
        Class means of explicit features.
    classifier : Classifier or None
    """

    V: Array
    M: Array
    Mc: Array
    w: Weights
    rows: RowStatistics | None
    means: Array | None = None
    classifier: Classifier | None = None

    @cached_property
    def spectrum(self) -> BetweenSpectrum:
        """Eigenvalues and eigenvectors of Sigma_B, computed once: O(C^3), or O(C d^2) of fewer features than classes."""
        if self.means is not None and self.means.shape[1] < len(self.means):
            return between_spectrum_of_means(self.centred_means, self.w)
        return between_spectrum(self.Mc, self.w)

    @cached_property
    def within_values(self) -> Array:
        """Eigenvalues of Sigma_W on the span of the class means, computed once: O(C^3)."""
        assert self.rows is not None
        return definitions.within_spectrum(self.rows, self.spectrum, self.w)

    @cached_property
    def center(self) -> Array:
        """Global mean of explicit features, shape (n_features,)."""
        assert self.means is not None
        return np.asarray((self.means * self.w.mean[:, None]).sum(axis=0))

    @cached_property
    def centred_means(self) -> Array:
        """Z, the centred class means of explicit features, shape (n_classes, n_features)."""
        assert self.means is not None
        return self.means - self.center

    @cached_property
    def angles(self) -> Array:
        """Principal angles of the classifier and the class means, computed once."""
        assert self.classifier is not None
        return classifiers.classifier_angles(self.classifier.W, self.centred_means)

    def has(self, need: Need) -> bool:
        """Whether what a metric needs is there."""
        if need == "rows":
            return self.rows is not None and (
                self.rows.scatter_class is not None or not self.w.within_is_uniform
            )
        if need == "nearest":
            return self.rows is not None and self.rows.nearest_center is not None
        if need == "decisions":
            return self.classifier is not None and self.classifier.agreement is not None
        return need == "sums" or self.classifier is not None


class Metric(NamedTuple):
    """A metric of the registry.

    Attributes
    ----------
    of : callable
        Its value, a function of `ClassGeometry`.
    column : type or None
        float or int: it is a column of tables. None: an array, in results alone.
    needs : {"sums", "rows", "nearest", "classifier", "decisions"}
        It is None, with the reason in `Collapse.missing`, where this was not given.
    traced : bool
        Whether it is a column of the traces of trainings, and among the first of `to_table`; others are its last.
    """

    of: Callable[[Any], Any]
    column: type | None = float
    needs: Need = "sums"
    traced: bool = True

    def value(self, geometry: ClassGeometry) -> Any:
        """Its value, or None where it lacks what it needs."""
        return self.of(geometry) if geometry.has(self.needs) else None


def _nc1_total(g: ClassGeometry) -> float:
    within, between = definitions.trace_within(g.V, g.M, g.w), definitions.trace_between(g.M, g.w)
    return definitions.nc1_total(within, between)


def _of_classifier(function: Callable[..., Any]) -> Callable[[ClassGeometry], Any]:
    """A function of W and Z as one of `ClassGeometry`."""
    return lambda g: function(g.classifier.W, g.centred_means)  # type: ignore[union-attr]


def _of_weights(function: Callable[[Array], float]) -> Callable[[ClassGeometry], Any]:
    """A function of a Gram matrix, that of the weights W W^T, as one of `ClassGeometry`."""
    return lambda g: function(np.asarray(g.classifier.W @ g.classifier.W.T))  # type: ignore[union-attr]


def _more(of: Callable[[Any], Any], column: type | None = float, needs: Need = "sums") -> Metric:
    """A metric that is no column of traces."""
    return Metric(of, column, needs, traced=False)


# What a result has beside nc1 and its traces, by name and in the order of tables.
METRICS: dict[str, Metric] = {
    "nc1_pinv": Metric(lambda g: definitions.nc1_pinv(g.rows, g.spectrum, g.w), needs="rows"),
    "between_rank": Metric(lambda g: len(g.spectrum.values), int),
    "nc2_equinorm": Metric(lambda g: definitions.nc2_equinorm(g.Mc)),
    "nc2_equiangle": Metric(lambda g: definitions.nc2_equiangle(g.Mc)),
    "nc2_etf": Metric(lambda g: definitions.nc2_etf(g.Mc)),
    "cdnv": Metric(lambda g: definitions.cdnv(g.V, g.M)),
    "ncc_accuracy": Metric(lambda g: g.rows.ncc_accuracy, needs="nearest"),
    "within_by_class": Metric(lambda g: g.V, None),
    "nc1_by_class": Metric(lambda g: definitions.nc1_by_class(g.V, g.Mc), None),
    "class_gram": Metric(lambda g: g.M, None),
    "nearest_center": Metric(lambda g: g.rows.nearest_center, None, "nearest"),
    "nc1_total": _more(_nc1_total),
    "nc1_truncated": _more(
        lambda g: definitions.nc1_truncated(g.rows, g.spectrum, g.w), needs="rows"
    ),
    "nc2_cosine_offset": _more(lambda g: definitions.nc2_cosine_offset(g.Mc)),
    "nc2_orthogonal": _more(lambda g: definitions.nc2_orthogonal(g.M)),
    "gnc2_log": _more(lambda g: definitions.gnc2_log(g.Mc)),
    "gnc2_riesz": _more(lambda g: definitions.gnc2_riesz(g.Mc)),
    "between_effective_rank": _more(lambda g: ranks.effective_rank(g.spectrum.values)),
    "between_stable_rank": _more(lambda g: ranks.stable_rank(g.spectrum.values)),
    "within_effective_rank": _more(lambda g: ranks.effective_rank(g.within_values), needs="rows"),
    "within_stable_rank": _more(lambda g: ranks.stable_rank(g.within_values), needs="rows"),
    "within_rank": _more(
        lambda g: ranks.numerical_rank(g.within_values, RANK_TOLERANCE), needs="rows"
    ),
    "nc3_self_duality": _more(_of_classifier(classifiers.nc3_self_duality), needs="classifier"),
    "nc3_etf": _more(_of_classifier(classifiers.nc3_etf), needs="classifier"),
    "nc3_uniform": _more(_of_classifier(classifiers.nc3_uniform), needs="classifier"),
    "nc4_agreement": _more(lambda g: g.classifier.agreement, needs="decisions"),
    "weights_equinorm": _more(_of_weights(definitions.nc2_equinorm), needs="classifier"),
    "weights_equiangle": _more(_of_weights(definitions.nc2_equiangle), needs="classifier"),
    "weights_etf": _more(_of_weights(definitions.nc2_etf), needs="classifier"),
    "classifier_angle": _more(lambda g: float(g.angles.max(initial=0.0)), needs="classifier"),
    "bias_collapse": _more(
        lambda g: classifiers.bias_collapse(g.classifier.W, g.classifier.b, g.center),
        needs="classifier",
    ),
    "nc2_norms": _more(lambda g: definitions.centred_norms(g.Mc), None),
    "nc2_cosines": _more(lambda g: definitions.cosines(g.Mc), None),
    "cdnv_by_pair": _more(lambda g: definitions.cdnv_by_pair(g.V, g.M), None),
    "nc3_cosines": _more(_of_classifier(classifiers.nc3_cosines), None, "classifier"),
    "classifier_angles": _more(lambda g: g.angles, None, "classifier"),
}


# Why a metric of a plug-in had no value when it was computed the last time.
_FAILED: dict[str, str] = {}


def all_metrics() -> dict[str, Metric]:
    """All metrics by name, those of plug-ins last; these are loaded."""
    return {**METRICS, **PLUGINS.usable()}


def why_missing(name: str) -> str:
    """Why a metric is None."""
    return _FAILED.get(name) or REASONS[all_metrics()[name].needs]


def _plugged_in(name: str, given: Metric) -> Metric:
    """A metric of an entry point; it gives None, with a warning, where it raises an error."""
    if given.column not in (float, None) or given.needs not in REASONS:
        raise ValueError(f"column must be float or None, and needs one of {', '.join(REASONS)}")

    def of(geometry: ClassGeometry) -> Any:
        _FAILED.pop(name, None)
        try:
            return given.of(geometry)
        except Exception as error:  # noqa: BLE001  (of code that is not ours)
            _FAILED[name] = f"the plug-in failed: {type(error).__name__}: {error}"
            warn(f"the metric {name} is left out: {_FAILED[name]}", PluginWarning)
            return None

    return given._replace(of=of)


# Names that results and tables have beside those of metrics.
OF_RESULTS = (
    *("nc1", "trace_within", "trace_between", "error_bound", "convention", "sizes", "labels"),
    *("method", "reason", "standard_error", "interval", "interval_low", "interval_high"),
    *("kernel", "activation", "depth", "weight_variance", "bias_variance", "parametrization"),
    *("description", "n_samples", "n_classes", "smallest_class", "largest_class"),
)
PLUGINS = PluginGroup("metrics", Metric, taken=lambda: {*METRICS, *OF_RESULTS}, accept=_plugged_in)


def columns(*types: type, traced: bool = True) -> list[str]:
    """Names of the metrics that are columns of tables, of these types, in order: the traced ones, or the others."""
    return [
        name
        for name, metric in all_metrics().items()
        if metric.column in types and metric.traced == traced
    ]
