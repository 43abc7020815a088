"""Figures of the series: trainings, the annealing, spectra and matrices are those of the rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests import study_rows as made
from tests.study_rows import panel

SERIES = made.all_series()


@pytest.fixture(scope="module")
def drawings():
    return made.drawings()


def test_training_shows_each_layer_and_repeat_from_epoch_zero(drawings):
    figure = drawings["training-balanced-D1-relu"].figure
    above = panel(drawings["training-balanced-D1-relu"], "N = 256, d₀ = 8")
    lines = [line for line in above.lines if len(line.get_xdata())]
    assert len(lines) == 3 * 2
    for line, (layer, repeat) in zip(
        lines, itertools.product(("pre1", "post1", "output"), (0, 1)), strict=True
    ):
        told = sorted(
            (row["x"], row["value"])
            for row in SERIES
            if (row["quantity"], row["activation"], row["d0"], row["layer"], row["repeat"])
            == ("nc1", "relu", 8, layer, repeat)
        )
        assert list(zip(*line.get_data(), strict=True)) == told
    places = above.transData.transform([(0, 0.1), (1, 0.1), (10, 0.1), (100, 0.1)])[:, 0]
    assert np.diff(places)[1] == pytest.approx(np.diff(places)[2])  # decades
    assert 0.2 * np.diff(places)[1] < np.diff(places)[0] < np.diff(places)[1]
    below = figure.axes[2]
    assert [text.get_text() for text in below.get_xticklabels()] == ["0", "1", "10", "100", "1000"]
    assert below.get_yscale() == above.get_yscale() == "log"


def test_annealing_goes_from_wide_to_narrow_with_the_released_equations_dashed(drawings):
    axes = drawings["annealing"].figure.axes
    quantities = ("nc1", "nc1 of predictions", "trace sigma", "training error")
    for ax, quantity in zip(axes, quantities, strict=True):
        left, right = ax.get_xlim()
        assert left > right
        assert ax.get_xscale() == "log"
        assert [text.get_text() for text in ax.get_xticklabels()] == [
            "500",
            "1000",
            "10000",
            "100000",
        ]
        expected = itertools.product((2, 8, 32), ("", "released"))
        for line, (d0, state) in zip(ax.lines, expected, strict=True):
            told = sorted(
                (row["x"], row["value"])
                for row in SERIES
                if (row["quantity"], row["d0"], row["state"]) == (quantity, d0, state)
                and row["model"] == "AdaptiveKernel"
            )
            assert list(zip(*line.get_data(), strict=True)) == told
            assert line.get_linestyle() == ("--" if state else "-")


def entries(quantity, d0, model, state=""):
    told = {
        (int(row["x"]), int(row["y"])): row["value"]
        for row in SERIES
        if (row["quantity"], row["d0"], row["model"], row["state"]) == (quantity, d0, model, state)
    }
    n = 1 + max(i for i, _ in told)
    return np.array([[told[i, j] for j in range(n)] for i in range(n)])


def test_sigma_is_shown_beside_the_weights_on_one_scale_around_zero(drawings):
    figure = drawings["sigma-balanced-D1-erf"].figure
    images = {ax.get_title(loc="left"): ax.images[0] for ax in figure.axes if ax.images}
    assert list(images) == ["adaptive kernel", "network, start", "network, end"]
    for title, model, state in (
        ("adaptive kernel", "AdaptiveKernel", ""),
        ("network, start", "network", "start"),
        ("network, end", "network", "end"),
    ):
        np.testing.assert_array_equal(images[title].get_array(), entries("sigma", 8, model, state))
    scales = {image.get_clim() for image in images.values()}
    assert len(scales) == 1
    off_diagonal = [
        np.abs(image.get_array())[~np.eye(8, dtype=bool)].max() for image in images.values()
    ]
    assert scales.pop() == (-max(off_diagonal), max(off_diagonal))
    wide = panel(
        drawings["sigma-balanced-D1-erf"], "N = 256, d₀ = 128"
    )  # its matrices are too large
    told = [
        r["value"]
        for r in SERIES
        if (r["quantity"], r["d0"], r["state"]) == ("sigma spectrum", 128, "end")
    ]
    [line] = [line for line in wide.lines if line.get_marker() == "D"]
    assert line.get_ydata().tolist() == told
    assert line.get_xdata().tolist() == list(range(1, 129))


def test_gram_matrices_are_in_class_order_with_lines_between_the_classes(drawings):
    figure = drawings["gram-balanced-D1-erf"].figure
    images = [ax for ax in figure.axes if ax.images]
    kinds = list(itertools.product((8, 128), ("NNGP", "NTK", "AdaptiveKernel")))
    for ax, (d0, model) in zip(images, kinds, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), entries("gram", d0, model))
        assert {
            tuple(np.unique(line.get_data()[axis])) for line in ax.lines for axis in (0, 1)
        } == {(0, 1), (23.5,)}
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]
