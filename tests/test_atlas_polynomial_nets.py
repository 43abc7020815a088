"""The study of networks of products: a tiny run of it, and each claim on rows that make it hold,
fail and stay open.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests import measure_rows as made

from nc1fast import studies
from nc1fast.studies import runner
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import ABSENT
from nc1fast.studies.findings.measured import verdict
from nc1fast.studies.library import polynomial_nets as parts

TINY = """
name: polynomial-nets
title: Tiny
repeats: 2
parts:
  - {part: limits, degree: [1, 2], width: 200}
  - {part: circle, degree: [1, 2, 3], width: 200}
  - {part: degrees, d0: [1, 3], n_samples: 24, degrees: [1, 2, 3]}
  - {part: nc1, d0: [2], n_samples: 24}
"""


@pytest.fixture(scope="module")
def rows():
    pytest.importorskip("torch")
    return [row for cell in studies.parse(TINY).cells() for row in runner.compute(cell).rows]


def _claims(rows):
    return {one.letter: one for one in parts.STUDY.claims(rows)}


def _row(part, thing, quantity, value, repeat=0, setting="", error=0.0):
    return made.row(value, quantity, thing, part=part, repeat=repeat, error=error, at=setting)


def test_a_tiny_run_has_every_row_and_its_exact_claims(rows):
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["part"] for row in rows} == {"limits", "circle", "degrees", "nc1"}
    verdicts = {letter: one.finding.verdict for letter, one in _claims(rows).items()}
    assert verdicts == {
        "PN1": rules.HOLDS,
        "PN2": rules.TOO_FEW,
        "PN3": rules.HOLDS,
        "PN4": rules.TOO_FEW,
        "PN5": rules.HOLDS,
        "PN6": rules.HOLDS,
    }
    things = {row["thing"] for row in rows if row["part"] == "nc1"}
    assert {
        "NNGP of products, P = 2",
        "NTK with skips, P = 2",
        "network of products, P = 2, end",
    } <= things


def test_figures_of_a_tiny_run(rows):
    pytest.importorskip("matplotlib")
    drawn = parts.STUDY.draw(rows, [])
    assert [one.name for one in drawn] == ["frequencies", "nc1"]


def test_without_rows_nothing_is_claimed():
    assert {one.finding.verdict for one in parts.STUDY.claims([])} == {rules.UNDEFINED}
    assert {one.number for one in parts.STUDY.claims([])} == {ABSENT}


def test_presets_have_six_repeats_where_words_need_them():
    for preset, least in (("quick", 1), ("full", rules.FEWEST)):
        study = studies.parse(parts.STUDY.description(preset))
        for part in study.parts:
            assert min(part.repeats or study.repeats, study.repeats) >= least


@pytest.mark.parametrize(("difference", "word"), [(1e-14, rules.HOLDS), (1e-11, rules.FAILS)])
def test_one_factor(difference, word):
    row = _row("limits", "NTK", parts.FROM_RELU, difference)
    assert _claims([row])["PN1"].finding.verdict == word


@pytest.mark.parametrize(
    ("shift", "spread", "word"),
    [(0.0, 0.01, rules.HOLDS), (0.1, 0.01, rules.FAILS), (0.0, 0.5, rules.UNDECIDED)],
)
def test_networks_against_limits(shift, spread, word):
    values = shift + spread * np.array([-1, 1, -0.5, 0.5, -0.2, 0.2, -0.8, 0.8])
    found = [_row("limits", "NTK", parts.DEVIATION, v, repeat=k) for k, v in enumerate(values)]
    assert _claims(found)["PN2"].finding.verdict == word
    assert _claims(found[:5])["PN2"].finding.verdict == rules.TOO_FEW


def _coefficients(of_degree, thing="NTK", repeat=0):
    return [
        _row("circle", thing, parts.FREQUENCY, c / k**2, repeat, f"degree={degree}, k={k}")
        for degree, c in of_degree.items()
        for k in parts.ODD
    ]


@pytest.mark.parametrize(
    ("of_degree", "word"),
    [
        ({1: 1e-17, 2: 0.1, 3: 0.2}, rules.HOLDS),
        ({1: 0.3, 2: 0.2, 3: 0.1}, rules.FAILS),
        ({1: 1e-17, 2: 0.2, 3: 0.1}, rules.DEPENDS),
    ],
)
def test_frequencies(of_degree, word):
    assert _claims(_coefficients(of_degree))["PN3"].finding.verdict == word


@pytest.mark.parametrize(("factor", "word"), [(1.01, rules.HOLDS), (1.2, rules.FAILS)])
def test_the_known_frequencies(factor, word):
    known = {3: 0.152, 5: 0.018, 7: 0.0071, 9: 0.0039}
    found = [
        _row("circle", "NTK", parts.FREQUENCY, c * factor, 0, f"degree=2, k={k}")
        for k, c in known.items()
    ]
    assert _claims(found)["PN6"].finding.verdict == word


@pytest.mark.parametrize(("factor", "word"), [(1.01, rules.HOLDS), (1.2, rules.FAILS)])
def test_frequencies_of_networks(factor, word):
    found = _coefficients({2: 0.1}, parts.SAMPLED)
    for repeat, jitter in enumerate(np.linspace(0.99, 1.01, 7)):
        found += _coefficients({2: 0.1 * factor * jitter}, parts.NETWORK, repeat)
    assert _claims(found)["PN4"].finding.verdict == word


@pytest.mark.parametrize(
    ("curve", "error", "word"),
    [
        ([0.1, 0.2, 0.3], 1e-9, rules.HOLDS),
        ([0.3, 0.2, 0.1], 1e-9, rules.FAILS),
        ([0.1, 0.3, 0.2], 1e-9, rules.DEPENDS),
        ([0.1, 0.2, 0.3], 0.2, rules.HOLDS),  # equal within the bounds, which is no contradiction
    ],
)
def test_nc1_against_degree(curve, error, word):
    found = [
        _row("degrees", "NTK", "nc1", value, 0, f"d0=1, degree={P}", error)
        for P, value in enumerate(curve, start=1)
    ]
    assert _claims(found)["PN5"].finding.verdict == word


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([rules.HOLDS, rules.UNDECIDED], rules.UNDECIDED),
        ([rules.HOLDS, rules.TOO_FEW], rules.TOO_FEW),
        ([rules.HOLDS, rules.UNDEFINED], rules.HOLDS),
        ([rules.HOLDS, rules.UNDECIDED, rules.FAILS], rules.DEPENDS),
        ([rules.FAILS, rules.UNDECIDED], rules.DEPENDS),
        ([], rules.UNDEFINED),
    ],
)
def test_open_cells_are_no_contradiction(words, expected):
    assert verdict(words) == expected
