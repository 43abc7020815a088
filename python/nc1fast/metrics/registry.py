"""The registry of the metrics: a metric is one pure function and one line of `METRICS`.

Results, tables and, where `traced`, the traces of trainings have what is registered.
docs/metrics.md has the formulas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nc1fast.core.machine import thread_count
from nc1fast.metrics import classifiers, definitions, pairs, spectra
from nc1fast.metrics.frames import WHOLE, Vectors
from nc1fast.support.arithmetic import ieee
from nc1fast.support.lazy import lazy
from nc1fast.support.plugins import PluginGroup, PluginWarning
from nc1fast.support.warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.metrics.classifiers import Classifier
    from nc1fast.metrics.definitions import Weights
    from nc1fast.metrics.frames import MeanFrame
    from nc1fast.metrics.rows import RowStatistics

    Array = NDArray[np.float64]

Need = Literal["sums", "rows", "nearest", "classifier", "decisions"]

# Why a metric is None, by its input.
REASONS: dict[Need, str] = {
    "sums": "not defined for these sums",
    "rows": 'the row-class sums were not computed: statistics="sums", '
    "or features that came in batches without their scatter",
    "nearest": 'the row-class sums were not computed: statistics="sums", '
    "or features that came in batches, once",
    "classifier": "no classifier was given: result.with_classifier(W, b), for explicit features",
    "decisions": "no classifier was given with its rows: result.with_classifier(W, b, H=H)",
}


@lazy("rows")
@dataclass(frozen=True, eq=False)
class ClassGeometry:
    """The arguments of the metrics.

    Attributes
    ----------
    V : ndarray of shape (n_classes,)
    means : MeanFrame
    rows : RowStatistics or None
        What the row-class sums add, where they are kept.
    classifier : Classifier or None
    n_threads : int, optional
        Of sweeps over pairs of classes. None: the default of the machine that computes, see
        `thread_count`.
    """

    V: Array
    means: MeanFrame
    rows: RowStatistics | None
    classifier: Classifier | None = None
    n_threads: int | None = 1

    @property
    def w(self) -> Weights:
        """The weights of the convention."""
        return self.means.w

    @cached_property
    def over_pairs(self) -> dict[pairs.Reduction, float]:
        """Values of the registered reductions over pairs of class means, from one sweep."""
        reductions = [m.of for m in METRICS.values() if isinstance(m.of, pairs.Reduction)]
        return pairs.sweep(self.means, self.V, reductions, thread_count(self.n_threads))

    @cached_property
    def of_weights(self) -> dict[pairs.Reduction, float]:
        """The same of the rows of the classifier."""
        reductions: list[pairs.Reduction] = [_SPREAD_OF_ANGLES, _OFFSET_OF_ANGLES, _SIMPLEX]
        return pairs.sweep(self.weights, None, reductions, thread_count(self.n_threads))

    @cached_property
    def weights(self) -> Vectors:
        """The rows of the classifier."""
        assert self.classifier is not None
        return Vectors(self.classifier.W)

    @cached_property
    def spectrum(self) -> spectra.BetweenSpectrum:
        """Eigenvalues and eigenvectors of Sigma_B, computed once."""
        return spectra.between_spectrum(self.means, vectors=self.has("rows"))

    @cached_property
    def within(self) -> spectra.WithinSpan:
        """Sigma_W on the span of the class means, computed once."""
        assert self.rows is not None
        return spectra.WithinSpan.of(self.rows, self.spectrum, self.means)

    @property
    def centred_means(self) -> Array:
        """Z, the centred class means of explicit features, shape (n_classes, n_features)."""
        return self.means.Z

    @cached_property
    def angles(self) -> Array:
        """Principal angles of the classifier and the class means, computed once."""
        assert self.classifier is not None
        return classifiers.classifier_angles(self.classifier.W, self.centred_means)

    def has(self, need: Need) -> bool:
        """Whether the input that a metric needs is available."""
        if need == "rows":
            if self.rows is None:
                return False
            uniform = self.w.within_is_uniform
            return (self.rows.scatter_class if uniform else self.rows.scatter_sample) is not None
        if need == "nearest":
            return self.rows is not None and self.rows.nearest_center is not None
        if need == "decisions":
            return self.classifier is not None and self.classifier.agreement is not None
        return need == "sums" or self.classifier is not None


class Metric(NamedTuple):
    """A metric of the registry.

    Attributes
    ----------
    of : callable or Reduction
        Its value, a function of `ClassGeometry`, or a reduction over pairs of class means.
    column : type or None
        float or int: it is a column of tables. None: an array, in results alone.
    needs : {"sums", "rows", "nearest", "classifier", "decisions"}
        It is None, with the reason in `Collapse.missing`, where this was not given.
    traced : bool
        Whether it is a column of the traces of trainings, and among the first of `to_table`; others
        are its last.
    large : bool
        Whether it is a table of all pairs of classes, computed on first access.
    late : {"", "spectra", "angles"}
        Its expensive intermediate result: all metrics of it are computed when one is accessed.
    """

    of: Callable[[Any], Any] | pairs.Reduction
    column: type | None = float
    needs: Need = "sums"
    traced: bool = True
    large: bool = False
    late: str = ""

    def value(self, geometry: ClassGeometry) -> Any:
        """Its value, or None where its input is missing."""
        if not geometry.has(self.needs):
            return None
        if isinstance(self.of, pairs.Reduction):
            return geometry.over_pairs[self.of]
        return self.of(geometry)


def _nc1_total(g: ClassGeometry) -> float:
    within = definitions.within_trace(g.V, g.means.origin.squares, g.w)
    return definitions.nc1_total(within, g.means.trace_between())


def _of_classifier(function: Callable[..., Any]) -> Callable[[ClassGeometry], Any]:
    """A function of W and Z as one of `ClassGeometry`."""
    return lambda g: function(g.classifier.W, g.centred_means)  # type: ignore[union-attr]


_more = partial(Metric, traced=False)
_SPREAD_OF_ANGLES = pairs.SpreadOverPairs(pairs.cosine)
_OFFSET_OF_ANGLES = pairs.MeanOverPairs(pairs.cosine_offset)
_SIMPLEX = pairs.FrameDistance("simplex")

# What a result has beside nc1 and its traces, by name and in the order of tables.
METRICS: dict[str, Metric] = {
    "nc1_pinv": Metric(lambda g: g.within.nc1_pinv(), needs="rows", late="spectra"),
    "between_rank": Metric(lambda g: len(g.spectrum.values), int, late="spectra"),
    "nc2_equinorm": Metric(lambda g: definitions.nc2_equinorm(g.means.squares)),
    "nc2_equiangle": Metric(_SPREAD_OF_ANGLES),
    "nc2_etf": Metric(_SIMPLEX),
    "cdnv": Metric(pairs.MeanOverPairs(pairs.dispersion)),
    "ncc_accuracy": Metric(lambda g: g.rows.ncc_accuracy, needs="nearest"),
    "within_by_class": Metric(lambda g: g.V, None),
    "nc1_by_class": Metric(lambda g: definitions.nc1_by_class(g.V, g.means.squares), None),
    "class_gram": Metric(lambda g: g.means.origin.products(WHOLE, WHOLE), None, large=True),
    "nearest_center": Metric(lambda g: g.rows.nearest_center, None, "nearest"),
    "nc1_total": _more(_nc1_total),
    "nc1_truncated": _more(lambda g: g.within.nc1_truncated(), needs="rows", late="spectra"),
    "nc2_cosine_offset": _more(_OFFSET_OF_ANGLES),
    "nc2_orthogonal": _more(pairs.FrameDistance("orthogonal")),
    "gnc2_log": _more(pairs.MeanOverPairs(pairs.log_energy)),
    "gnc2_riesz": _more(pairs.MeanOverPairs(pairs.riesz_energy)),
    "between_effective_rank": _more(
        lambda g: spectra.effective_rank(g.spectrum.values), late="spectra"
    ),
    "between_stable_rank": _more(lambda g: spectra.stable_rank(g.spectrum.values), late="spectra"),
    "within_effective_rank": _more(
        lambda g: spectra.effective_rank(g.within.values), needs="rows", late="spectra"
    ),
    "within_stable_rank": _more(
        lambda g: spectra.stable_rank(g.within.values), needs="rows", late="spectra"
    ),
    "within_rank": _more(
        lambda g: spectra.numerical_rank(g.within.values, spectra.RANK_TOLERANCE),
        needs="rows",
        late="spectra",
    ),
    "nc3_self_duality": _more(_of_classifier(classifiers.nc3_self_duality), needs="classifier"),
    "nc3_etf": _more(_of_classifier(classifiers.nc3_etf), needs="classifier"),
    "nc3_uniform": _more(_of_classifier(classifiers.nc3_uniform), needs="classifier"),
    "nc4_agreement": _more(lambda g: g.classifier.agreement, needs="decisions"),
    "weights_equinorm": _more(
        lambda g: definitions.nc2_equinorm(g.weights.squares), needs="classifier"
    ),
    "weights_equiangle": _more(lambda g: g.of_weights[_SPREAD_OF_ANGLES], needs="classifier"),
    "weights_cosine_offset": _more(lambda g: g.of_weights[_OFFSET_OF_ANGLES], needs="classifier"),
    "weights_etf": _more(lambda g: g.of_weights[_SIMPLEX], needs="classifier"),
    "classifier_angle": _more(
        lambda g: float(g.angles.max(initial=0.0)), needs="classifier", late="angles"
    ),
    "bias_collapse": _more(
        lambda g: classifiers.bias_collapse(g.classifier.W, g.classifier.b, g.means.center),
        needs="classifier",
    ),
    "nc2_norms": _more(lambda g: definitions.norms(g.means.squares), None),
    "nc2_cosines": _more(lambda g: pairs.cosine_table(g.means), None, large=True),
    "cdnv_by_pair": _more(lambda g: pairs.dispersion_table(g.means, g.V), None, large=True),
    "nc3_cosines": _more(_of_classifier(classifiers.nc3_cosines), None, "classifier"),
    "classifier_angles": _more(lambda g: g.angles, None, "classifier", late="angles"),
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
    """A metric of an entry point; None, with a warning, where it raises an error."""
    if given.column not in (float, None) or given.needs not in REASONS:
        raise ValueError(f"column must be float or None, and needs one of {', '.join(REASONS)}")
    value = given.of
    if isinstance(value, pairs.Reduction):
        raise TypeError("of must be a function of the geometry of classes")

    def of(geometry: ClassGeometry) -> Any:
        _FAILED.pop(name, None)
        try:
            return value(geometry)
        except Exception as error:  # noqa: BLE001  (of a plug-in)
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


class Values(Mapping[str, Any]):
    """The metrics of a geometry by name, evaluated on first access: those of one `late` together,
    each table of pairs of classes by itself.
    """

    def __init__(self, geometry: ClassGeometry) -> None:
        self._geometry = geometry
        self._found: dict[str, Any] = {}

    @ieee
    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            known = all_metrics()
            late = known[name].late
            group = [n for n, m in known.items() if not m.large and m.late == late]
            requested = [name] if known[name].large else group
            geometry = dataclasses.replace(self._geometry)  # its intermediate results are not kept
            self._found |= {n: known[n].value(geometry) for n in requested}
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in all_metrics()

    def __iter__(self) -> Iterator[str]:
        return iter(all_metrics())

    def __len__(self) -> int:
        return len(all_metrics())

    def small(self) -> dict[str, Any]:
        """The metrics without those tables."""
        return {name: self[name] for name, one in all_metrics().items() if not one.large}


def columns(*types: type, traced: bool = True) -> list[str]:
    """Names of the metrics that are columns of tables, of these types, in order: the traced ones,
    or the others.
    """
    return [
        name
        for name, metric in all_metrics().items()
        if metric.column in types and metric.traced == traced
    ]
