"""Findings beside the claims: the released code, other data, expectations, depth, unusual rows; and
a small study.
"""

from __future__ import annotations

import math

import pytest
from tests.claim_rows import data, on, repeated
from tests.study_rows import over_depth, row, study

from nc1fast import studies
from nc1fast.studies.findings.rules import DEPENDS, DIFFERENT, EQUAL, FAILS, HOLDS, SAME, TOO_FEW
from nc1fast.studies.library.paper import claims, findings, sections
from nc1fast.studies.library.paper.comparisons import NEEDS_BOTH

SMALL = """
name: small
title: A small study
repeats: 3
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [64],
            n_features: [1, 8]}
      - {source: gaussian_mixture, name: D2, means: [-6, -2, 2, 6], stds: 0.5, n_samples: [64],
            n_features: [1, 8]}
    theory: true
    kernels: &kernels
      - {kernel: NNGP, activation: [erf, relu]}
      - {kernel: NTK, activation: [erf, relu]}
      - {kernel: compat.released.erf_ntk}
    networks: &networks
      - {activation: [erf, relu], width: 200, weight_variance: [1, 3.8809], weight_decay: 1.0e-6,
            epochs: 20}
    adaptive: &adaptive
      - {noise: 1.0e-3}
      - {noise: 1.0e-3, labels: shuffled}
      - {noise: 1.0e-3, equations: released}
  - name: imbalanced
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, sizes: [[128, 128], [64,
          192]], n_features: [8]}]
    kernels: *kernels
    networks: *networks
    conventions: [papyan, probe, released]
  - name: langevin
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [16],
          n_features: [2]}]
    kernels: *kernels
    networks:
      - {activation: erf, width: 50, optimizer: langevin, temperature: 0.1, train_bias: false,
            lr: 1.0e-3, epochs: 50}
    adaptive: [{noise: 0.1, width: 50, readout_variance: 1}]
  - name: counter
    theory: true
    data:
      - {source: gaussian_mixture, name: narrow, means: [-2.4, -0.93], stds: 0.056,
            n_samples: [64], n_features: [8]}
      - {source: gaussian_mixture, name: far, means: [-8, 8], stds: 0.5, n_samples: [64],
            n_features: [8]}
    kernels: *kernels
  - name: depth
    data: [{source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [64],
          n_features: [3]}]
    kernels: [{kernel: NNGP, activation: erf, depth: [2, 4]}]
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A small study, computed: all arms of the whole one but digits."""
    return studies.run(studies.parse(SMALL), tmp_path_factory.mktemp("findings")).rows


def finding(rows, key):
    [found] = [f for f in findings(rows) if f.key == key]
    return found


# --- the released code


def test_the_ntk_beside_a_network_and_its_own():
    rows = data(NTK=2.0, own={1: 0.5, 8: 2.02}, **{"empirical:start": {1: 0.51, 8: 2.5}})
    found = finding(rows, "own-ntk")
    assert found.verdict == DEPENDS
    assert [c.verdict for c in found.cells] == [DIFFERENT, SAME]
    assert found.title.endswith("goes from 0.99 to 4 over the cells")
    assert (
        "over that of the NTK of that network is the same in 1 of 2 cells and is different in 1; "
        "the ratio is" in (found.sentences[1])
    )
    assert finding(data(NTK=2.0, own=2.0), "own-ntk").verdict == HOLDS
    assert finding(data(NTK=2.0, own=1.0), "own-ntk").verdict == FAILS


def test_conventions_differ_where_classes_are_unequal():
    equal = [
        *repeated("NNGP", [1.0] * 3, arm="i", convention="probe"),
        *repeated("NNGP", [1.0] * 3, arm="i", convention="released"),
    ]
    assert finding(equal, "conventions").verdict == HOLDS
    unequal = [{**r, "sizes": "32:96"} for r in equal]
    unequal = [{**r, "nc1": 1.7} if r["convention"] == "released" else r for r in unequal]
    both = finding([*equal, *unequal], "conventions")
    assert both.verdict == DEPENDS
    assert both.title == "The definition alone changes NC1 by up to 1.7 times"
    assert "over that by the probe's definition is 1.7; (n1²" in both.sentences[1]
    assert "(n1² + n2²)/(2 n1 n2) is 1.67" in both.sentences[1]
    assert both.sentences[2].endswith(
        "1 to 1 under 'probe', 1.7 to 1.7 under 'released', over the cells."
    )
    assert finding(unequal, "conventions").verdict == FAILS


def test_label_blind_equations_are_told_where_the_rows_show_it():
    rows = data(
        NNGP=1.0,
        Adaptive=0.6,
        released_adaptive=0.9,
        **{"Adaptive:shuffled": 12.0, "released_adaptive:shuffled": 0.9},
    )
    told = finding(rows, "labels").sentences
    assert any("ratio of shuffled to true labels is 1 in all cells." in s for s in told)
    assert any("NC1(adaptive)/NC1(NNGP) is 0.9 in all cells." in s for s in told)


# --- other data


def test_counter_examples_and_other_data_stay_out_of_the_claims():
    good = data(NNGP=1.0, NTK=2.0)
    bad = data(NNGP=1.0, NTK=0.5)
    rows = [*good, *on(bad, arm="counter", dataset="chosen"), *on(bad, dataset="mine")]
    rows += on(bad, arm="counter")  # even under the name of published data
    [a2] = [c for c in claims(rows) if c.letter == "A2"]
    assert a2.finding.verdict == HOLDS
    assert a2.counts == {HOLDS: 2}
    assert finding(rows, "counter-a2").verdict == FAILS
    assert len(finding(rows, "counter-a2").cells) == 4
    assert finding(rows, "other-a2").verdict == FAILS
    headings = dict(sections(rows))
    assert [f.key for f in headings["Outside the published data"]] == ["counter-a2", "other-a2"]


def test_other_data_may_have_networks_and_adaptive_kernels():
    digits = on(
        data(
            NNGP=1.0,
            NTK=2.0,
            Adaptive=0.6,
            **{"relu NNGP": 0.5, "network:start": 1.0, "network:end": 0.6},
        ),
        dataset="digits",
        arm="digits",
    )
    verdicts = {f.key: f.verdict for f in findings(digits)}
    assert verdicts == {
        "other-a2": HOLDS,
        "other-a4": FAILS,
        "other-a3": HOLDS,
        "other-a3-trend": HOLDS,
        "unusual": HOLDS,
    }


# --- checks


def test_theory_is_met_or_not():
    curve = [row("NNGP", "erf", "theory", nc1=1.0, error_bound=math.nan, seed=0)]
    assert finding([*data(d0=(8,), NNGP=1.0), *curve], "theory").verdict == HOLDS
    missed = finding([*data(d0=(8,), NNGP=2.0), *curve], "theory")
    assert missed.verdict == FAILS
    assert missed.sentences[0].startswith("Over all cells the ratio is 2.001 (")
    once = [*repeated("NNGP", [1.0]), *curve]
    assert finding(once, "theory").verdict == TOO_FEW


def test_depth_needs_every_step():
    rows = over_depth()
    assert finding(rows, "depth").verdict == HOLDS
    dip = [{**r, "nc1": 0.01} if (r["model"], r["depth"]) == ("NTK", 5) else r for r in rows]
    found = finding(dip, "depth")
    assert found.verdict == DEPENDS
    assert {c.verdict for c in found.cells if c.cell["model"] == "NTK"} == {FAILS}
    assert found.title == (
        "With depth, NC1 of fixed kernels rises in 3 of 6 curves and is not monotone in 3"
    )


@pytest.mark.parametrize(
    ("values", "word", "course"),
    [
        ((1.0, 2.0, 3.0), HOLDS, "rises"),
        ((1.0, 1.0, 3.0), HOLDS, "rises"),
        ((0.0089, 0.008, 0.0075), FAILS, "falls"),
        ((1.0, 2.0, 1.5), FAILS, "is not monotone"),
        ((1.0, 1.0, 1.0), EQUAL, "stays level"),
    ],
)
def test_depth_says_whether_a_curve_rises_or_falls(values, word, course):
    rows = [
        row("NNGP", "erf", arm="depth", d0=1, depth=depth, nc1=nc1, repeat=repeat)
        for depth, nc1 in enumerate(values, 2)
        for repeat in range(3)
    ]
    found = finding(rows, "depth")
    [only] = found.cells
    assert (only.verdict, only.n_agree, only.ratio) == (
        word,
        3,
        pytest.approx(values[-1] / values[0]),
    )
    assert found.title == f"With depth, NC1 of fixed kernels {course} in all 3 curves"
    ends = f"{values[0]:.3g} to {values[-1]:.3g} at d₀ = 1."
    assert found.sentences[1].endswith(f"from depth 2 to 4 its mean goes from {ends}")


def test_depth_tells_data_and_d0_apart():
    rows = [
        row("NTK", "erf", arm="depth", dataset=name, d0=d0, depth=depth, nc1=nc1)
        for name, d0, ends in (
            ("D1", 1, (0.0318, 0.0164)),
            ("D1", 8, (0.1, 0.2)),
            ("D2", 8, (2, 1)),
        )
        for depth, nc1 in zip((2, 10), ends, strict=True)
    ]
    found = finding(rows, "depth")
    assert found.verdict == DEPENDS
    assert found.title.endswith("rises in 1 of 3 curves and falls in 2")
    assert found.sentences[1].startswith(
        "D1, NTK, erf (weight variance 1): NC1 rises in 1 of 2 curves"
    )
    assert "0.0318 to 0.0164 at d₀ = 1, 0.1 to 0.2 at d₀ = 8" in found.sentences[1]
    assert "D2, NTK, erf" in found.sentences[2]


def test_unusual_rows_are_counted_and_explained():
    rows = data(NNGP=1.0)
    assert finding(rows, "unusual").verdict == HOLDS
    assert finding(rows, "unusual").title == "No row is unusual"
    negative = row("NNGP", "relu", nc1=-0.8, convention="released", status="nc1 negative")
    diverged = [
        row("network", "erf", "end", nc1=math.nan, status=f"failed: diverged at epoch {told}")
        for told in ("7: loss 1.2e+56", "12: loss 3e+70")
    ]
    found = finding([*rows, negative, *diverged], "unusual")
    assert found.verdict == DEPENDS
    assert found.sentences[:2] == (
        "1 row (NNGP relu on D1): nc1 negative.",
        "2 rows (network erf on D1): failed: diverged at epoch …: loss ….",
    )
    assert "Negative values under 'released' (1 row) are right" in found.sentences[2]


# --- words


def test_words_put_what_stands_first_and_are_courteous():
    told = sections(study())
    assert [heading for heading, _ in told] == [
        "The four claims",
        "What differs from the released code",
        "Outside the published data",
        "Beside the claims",
    ]
    lines = [s for _, found in told for f in found for s in (f.title, f.claim, *f.sentences)]
    lines += [s for c in claims(study()) for s in (c.number, *c.details)]
    text = " ".join(lines).lower()
    assert not [w for w in ("theorem", "paper's figure", "wrong", "bug", "mistake") if w in text]
    assert "nan" not in text.split()


# --- a small study


@pytest.mark.slow
def test_the_verdicts_of_a_small_study(rows):
    verdicts = {f.key: f.verdict for f in findings(rows)}
    assert verdicts["a2"] == HOLDS
    assert verdicts["a3"] == NEEDS_BOTH
    assert verdicts["a4"] == DEPENDS  # D1 yes, D2 at d0 = 1 alone
    assert verdicts["released-ntk"] == DEPENDS
    assert verdicts["own-ntk"] in (FAILS, DEPENDS)
    assert verdicts["conventions"] == DEPENDS
    assert verdicts["counter-a2"] == DEPENDS
    assert verdicts["counter-a4"] == DEPENDS
    assert verdicts["depth"] == HOLDS
    assert verdicts["theory"] == TOO_FEW
    assert verdicts["a1"] == TOO_FEW
    assert verdicts["unusual"] == HOLDS


def test_ntk_is_not_below_nngp_and_relu_is_equal_in_one_dimension(rows):
    verdicts: dict[tuple[str, bool], set[str]] = {}
    for c in finding(rows, "a2").cells:
        verdicts.setdefault((c.cell["activation"], c.cell["d0"] == 1), set()).add(c.verdict)
    assert verdicts == {
        ("erf", True): {HOLDS},
        ("erf", False): {HOLDS},
        ("relu", True): {EQUAL},  # NTK = 2 NNGP there
        ("relu", False): {HOLDS},
    }


def test_released_erf_ntk_falls_below_nngp_at_eight_features(rows):
    cells = finding(rows, "released-ntk").cells
    d1 = [c for c in cells if c.cell["dataset"] == "D1" and c.cell["N"] == 64]
    assert {(c.cell["d0"], c.verdict) for c in d1} == {(1, HOLDS), (8, FAILS)}


def test_imbalance_ratio_is_the_closed_form(rows):
    for c in finding(rows, "conventions").cells:
        n1, n2 = map(int, c.cell["sizes"].split(":"))
        assert c.ratio == pytest.approx((n1 * n1 + n2 * n2) / (2 * n1 * n2), rel=0.15)


def test_counter_examples_turn(rows):
    by_name = {
        (key, c.cell["dataset"], c.cell[side]): c.verdict
        for key, side in (("counter-a2", "activation"), ("counter-a4", "model"))
        for c in finding(rows, key).cells
    }
    assert by_name["counter-a2", "narrow", "erf"] == FAILS
    assert by_name["counter-a2", "far", "erf"] == HOLDS
    assert by_name["counter-a4", "far", "NNGP"] == FAILS
