"""Results for other tools hold the numbers of the result: JSON of each kind, xarray and pandas by
their axes.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import METRICS

Y = np.arange(40) % 4
H = np.random.default_rng(0).normal(size=(40, 5)) + 2.0 * np.eye(5)[Y]
WORDS = np.array(list("cadb"))[Y]
DAYS = np.array(["2024-01-01", "2024-03-01", "2024-02-01", "2025-01-01"], "datetime64[D]")[Y]
PAIRS = np.array([(c, c + 1) for c in range(4)] + [None], dtype=object)[:4][Y]


def _classified():
    return nc.collapse(H, Y).with_classifier(np.eye(4, 5), H=H)


def _coincident():
    with pytest.warns(nc.AccuracyWarning):
        return nc.collapse(np.vstack([H[:4], -H[:4]]), [0, 1, 0, 1, 0, 1, 0, 1])


def _sums():
    sums = nc.FeatureSums()
    sums.update(H, Y)
    return sums


RESULTS = {
    "features": lambda: nc.collapse(H, Y),
    "classifier": _classified,
    "kernel": lambda: nc.collapse(H, Y, nc.NTK("relu")),
    "sums alone": lambda: nc.collapse(H, Y, nc.NNGP("erf"), statistics="sums"),
    "estimate": lambda: nc.collapse(H, Y, nc.NNGP("relu"), method="pairs", seed=0, tolerance=0.5),
    "batches": lambda: _sums().collapse(),
    "words": lambda: nc.collapse(H, WORDS),
    "days": lambda: nc.collapse(H, DAYS),
    "objects": lambda: nc.collapse(H, PAIRS),
    "means that coincide": _coincident,
    "booleans": lambda: nc.collapse(H, Y > 1),
    "other convention": lambda: nc.collapse(H, Y).under("class"),
    "as many rows as classes": lambda: nc.collapse(H[:4], np.arange(4)),
}


def _same(parsed, value):
    """Whether JSON holds a value of a result."""
    if isinstance(value, dict):
        return list(parsed) == list(value) and all(_same(parsed[k], v) for k, v in value.items())
    if isinstance(value, tuple | list | np.ndarray):
        return len(parsed) == len(value) and all(map(_same, parsed, list(value)))
    if isinstance(value, np.generic) and value.dtype.kind in "USM":
        return parsed == str(value)
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return parsed == (None if math.isnan(value) else str(float(value)))
    return parsed == value


def _refused(constant):
    raise AssertionError(f"{constant} is no JSON")


OTHERS = {
    "test rows": lambda: nc.collapse(H, Y).evaluate(H[:12], Y[:12]),
    "two classes of test rows": lambda: nc.collapse(H, Y).evaluate(H[Y < 2], Y[Y < 2]),  # NaN
    "scores": lambda: nc.collapse(H, Y).ood(H[::-1], training=H),
    "scores of a classifier": lambda: _classified().ood(H, training=H),
    "regression": lambda: nc.regression_collapse(H, H[:, :2]),
    "regression with weights": lambda: nc.regression_collapse(H, H[:, :2], np.eye(2, 5)),
    "feature sums": _sums,
}


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("kind", [*RESULTS, *OTHERS])
def test_json_is_strict_and_has_every_number(kind):
    result = (RESULTS | OTHERS)[kind]()
    text, expected = result.to_json(), result.to_dict()
    parsed = json.loads(text, parse_constant=_refused)
    assert list(parsed) == list(expected)
    assert [name for name, value in expected.items() if not _same(parsed[name], value)] == []
    assert "\n" not in text
    if kind in RESULTS:
        small = json.loads(result.to_json(pairs=False))
        tables = {name for name, metric in METRICS.items() if metric.large}
        assert set(parsed) - set(small) == tables


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("kind", RESULTS)
def test_xarray_has_the_classes_as_coordinates(kind):
    xarray = pytest.importorskip("xarray", reason="xarray (extra: tables)")
    result = RESULTS[kind]()
    made = result.to_xarray()
    assert isinstance(made, xarray.Dataset)
    assert made["class"].values.astype(result.labels.dtype).tolist() == result.labels.tolist()
    for name, value in result.to_dict().items():
        if isinstance(value, np.ndarray) and name != "labels":
            np.testing.assert_array_equal(made[name].values, value, err_msg=name)
        elif isinstance(value, int | float):
            np.testing.assert_array_equal(made[name].item(), value, err_msg=name)
        else:
            assert name not in made
    assert made["within_by_class"].dims == ("class",)
    assert made["cdnv_by_pair"].dims == ("class", "other_class")
    if result.nearest_center is not None:
        assert made["nearest_center"].dims == ("sample",)
    if result.interval is not None:
        assert (made["interval_low"], made["interval_high"]) == result.interval
    assert made.attrs["convention"] == result.convention
    assert made["cdnv_by_pair"][1, 0] == result.cdnv_by_pair[1, 0]
    assert "cdnv_by_pair" not in result.to_xarray(pairs=False)
    assert made.sizes["class"] == len(result.sizes)


def test_pandas_has_a_row_for_each_class():
    pytest.importorskip("pandas", reason="pandas (extra: tables)")
    result = nc.collapse(H, WORDS).with_classifier(np.eye(4, 5))
    frame = result.to_pandas()
    assert frame.index.name == "class"
    assert list(frame.index) == ["a", "b", "c", "d"]
    names = ["sizes", "within_by_class", "nc1_by_class", "nc2_norms", "nc3_cosines"]
    assert list(frame.columns) == names
    for name in names:
        assert frame[name].tolist() == getattr(result, name).tolist()


def test_layers_as_xarray_pandas_and_json():
    pytest.importorskip("xarray", reason="xarray (extra: tables)")
    torch = pytest.importorskip("torch", reason="torch (extra: torch)")
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)).double()
    probed = nc.networks.probe(module, H, Y, classifier="2")
    made = probed.to_xarray()
    assert made["layer"].values.tolist() == list(probed)
    for layer, result in probed.items():
        of_layer = made.sel(layer=layer)
        for name, value in result.to_dict().items():
            if value is None:
                assert name not in made or bool(np.isnan(of_layer[name]).all())
            elif isinstance(value, np.ndarray) and name != "labels":
                found = of_layer[name].values
                np.testing.assert_array_equal(found[tuple(map(slice, value.shape))], value)
            elif isinstance(value, int | float):
                assert of_layer[name].item() == value
    assert made["nc1_by_class"].dims == ("layer", "class")
    frame = probed.to_pandas()
    assert frame["nc1"].to_dict() == {layer: r.nc1 for layer, r in probed.items()}
    parsed = json.loads(probed.to_json(pairs=False))
    assert {layer: row["nc1"] for layer, row in parsed.items()} == frame["nc1"].to_dict()
