"""The study of unrolled optimisation: its least objectives by their optimality conditions, a tiny
run, claims on rows that hold and fail.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests import measure_rows as made

import nc1fast as nc
from nc1fast import studies
from nc1fast.estimators.proximal_map import draw_proximal
from nc1fast.studies import library, measures
from nc1fast.studies.findings import rules
from nc1fast.studies.library import optimization_kernel as parts
from nc1fast.studies.quantities import measured

parts.STUDY = library.STUDIES["optimization-kernel"]
TINY = """
name: optimization-kernel
title: Tiny
repeats: 2
parts:
  - {part: descents, d0: [4], m: [6, 20], n_samples: 5, steps: 30, shown: [1, 5, 30, 99]}
  - {part: limits, d0: [4], m: [16, 2048], n_samples: 16, steps: [1, 3]}
  - {part: nc1, d0: [2], n_samples: 24}
"""
LETTERS = [f"OP{k}" for k in range(1, 8)]
WIDE = 20_000


@pytest.fixture(scope="module")
def rows():
    pytest.importorskip("scipy")
    return [row for cell in studies.parse(TINY).cells() for row in cell.compute().rows]


def _verdicts(rows):
    return {one.letter: one.finding.verdict for one in parts.STUDY.claims(rows)}


# --- the least objective


@pytest.mark.parametrize("width", [6, 9, 60])
@pytest.mark.parametrize("prox", ["relu", "soft"])
def test_least_objectives_meet_the_conditions_of_optimality(prox, width):
    """With r = x - D y: D^T r in the subdifferential of R at y; and no step of the map moves y."""
    pytest.importorskip("scipy")
    net = draw_proximal(6, width, prox=prox, threshold=0.8, seed=width)
    X = np.random.default_rng(3).normal(size=(20, 6))
    best = np.array([parts.minimiser(x, net) for x in net.signals(X)])
    slopes = (net.signals(X) - best @ net.dictionary.T) @ net.dictionary
    used = best != 0
    assert used.any(axis=1).sum() >= 19
    if prox == "relu":
        assert (best >= 0).all()
        assert slopes.max() < 1e-12
        assert np.abs(slopes[used]).max() < 1e-12
    else:
        assert np.abs(slopes).max() < net.cut + 1e-12
        np.testing.assert_allclose(slopes[used], net.cut * np.sign(best[used]), atol=1e-12)


def test_descent_ends_at_the_least_objective():
    pytest.importorskip("scipy")
    X = np.random.default_rng(4).normal(size=(8, 6))
    for prox in ("relu", "soft"):
        net = draw_proximal(6, 9, prox=prox, seed=1)
        best = np.array([parts.minimiser(x, net) for x in net.signals(X)])
        (last,) = itertools.islice(net.iterates(X), 4000, 4001)
        np.testing.assert_allclose(net.objective(X, last), net.objective(X, best), atol=1e-9)


def test_limits_are_those_of_the_library():
    X = np.random.default_rng(5).normal(size=(9, 4))
    for prox, steps in (("relu", 4), ("soft", 1), ("soft", 3), ("hard", 2)):
        K = parts.limit(X, prox, 0.7, steps)
        H = nc.estimators.proximal_features(
            X, 40_000, steps=steps, prox=prox, threshold=0.7, seed=1
        )
        assert np.linalg.norm(H @ H.T - K) < 0.03 * np.linalg.norm(K)


# --- the study


def _draws(quantity, cells):
    return [value for cell in quantity(cells) for value in cell.draws.values()]


def test_a_tiny_run_has_every_row_and_its_exact_claims(rows):
    assert {row["status"] for row in rows} == {"ok"}
    found = _verdicts(rows)
    assert list(found) == LETTERS
    assert found["OP1"] == found["OP2"] == rules.HOLDS
    assert found["OP6"] == rules.TOO_FEW  # from infinite width
    assert {found[name] for name in LETTERS[2:] if name != "OP6"} == {rules.UNDEFINED}
    cells = measures.cells_of(rows)
    shown = measured(parts.GAP, prox="soft")(cells)
    assert {cell.setting["T"] for cell in shown} <= {1, 5, 30}
    still = _draws(measured(parts.MOVED, parts.WIDE, prox="relu"), cells)
    np.testing.assert_allclose(still, 1, rtol=1e-12)  # a factor of a kernel
    narrow, wide = (_draws(measured(parts.GRAM, m=m), cells) for m in (16, 2048))
    assert max(wide) < np.median(narrow)
    things = {row["thing"] for row in rows if row["part"] == "nc1"}
    assert things == {"ReLU NNGP"} | {
        f"{name} codes, T = {T}" for name in ("ReLU", "sparse") for T in (1, 20)
    }


def test_figures_of_a_tiny_run(rows):
    pytest.importorskip("matplotlib")
    drawn = parts.STUDY.draw(rows, [])
    assert [one.name for one in drawn] == ["descent", "nc1"]
    assert parts.STUDY.draw([], []) == []


def test_without_rows_nothing_is_claimed():
    assert set(_verdicts([]).values()) == {rules.UNDEFINED}


def test_the_full_preset_has_repeats_enough_for_words():
    study = studies.parse(parts.STUDY.description("full"))
    assert all((part.repeats or study.repeats) >= rules.FEWEST for part in study.parts)
    assert {int(m) for part in study.parts for m in getattr(part, "m", ())} >= {WIDE}


def _row(quantity, value, repeat=0, thing=parts.CODES, part="limits", **setting):
    return made.row(value, quantity, thing, part=part, repeat=repeat, **setting)


def _rows(
    n_repeats=6,
    rise=1e-16,
    share=0.2,
    below=1e-15,
    one=0.01,
    more=0.02,
    moved=1.001,
    sparse=1.3,
    wide=1.3,
    distance=0.04,
):
    """Rows in which these are the numbers that claims are about, with a little chance."""
    random, found = np.random.default_rng(0), []
    for k in range(n_repeats):
        by = 1 + 1e-4 * random.standard_normal()
        for prox in ("relu", "soft"):
            at = {"prox": prox, "d0": 16, "m": 24}
            found += [
                _row(parts.RISE, rise, k, part="descents", **at),
                _row(parts.SHARE, share, k, part="descents", **at),
                _row(parts.BELOW, below, k, part="descents", **at),
                _row(parts.GAP, 0.1, k, part="descents", **at, T=1),
            ]
            at = {"prox": prox, "d0": 16, "m": WIDE}
            several, ratio = (more, moved) if prox == "relu" else (distance, sparse)
            found += [
                _row(parts.GRAM, one * by, k, **at, T=1),
                _row(parts.GRAM, several * by, k, **at, T=5),
                _row(parts.MOVED, 1.0, k, **at, T=1),
                _row(parts.MOVED, ratio * by, k, **at, T=5),
                _row("nc1", 1.0, k, **at, T=1),
                _row("nc1", ratio, k, **at, T=5),
            ]
        at = {"prox": "soft", "d0": 16}
        found.append(_row(parts.MOVED, wide * by, k, parts.WIDE, **at, T=5))
    return found


@pytest.mark.parametrize(
    ("changed", "letter", "word"),
    [
        ({"rise": 1e-11}, "OP1", rules.FAILS),
        ({"share": 1.1}, "OP2", rules.DEPENDS),  # of the bound alone
        ({"below": 1e-11}, "OP2", rules.DEPENDS),
        ({"share": 1.1, "below": 1e-11}, "OP2", rules.FAILS),
        ({"one": 0.03}, "OP3", rules.FAILS),
        ({"more": 0.04}, "OP4", rules.FAILS),
        ({"moved": 1.02}, "OP5", rules.FAILS),
        ({"moved": 0.98}, "OP5", rules.FAILS),
        ({"sparse": 0.9, "wide": 0.9}, "OP6", rules.FAILS),
        ({"sparse": 0.9}, "OP6", rules.DEPENDS),
        ({"distance": 0.08}, "OP7", rules.FAILS),
    ],
)
def test_claims_hold_and_fail(changed, letter, word):
    good, bad = _verdicts(_rows()), _verdicts(_rows(**changed))
    assert set(good.values()) == {rules.HOLDS}
    assert bad[letter] == word
    assert {name: bad[name] for name in LETTERS if name != letter} == {
        name: rules.HOLDS for name in LETTERS if name != letter
    }


def test_few_repeats_give_no_word_where_there_is_chance():
    few = _verdicts(_rows(3))
    assert {few[name] for name in ("OP1", "OP2")} == {rules.HOLDS}
    assert {few[name] for name in LETTERS[2:]} == {rules.TOO_FEW}
