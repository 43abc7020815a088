"""The four claims and what stands beside them, on rows whose verdicts are known by construction."""

from __future__ import annotations

import pytest
from tests.claim_rows import data, matched, on, repeated
from tests.study_rows import row

from nc1fast.studies.findings.rules import DEPENDS, EQUAL, FAILS, HOLDS, SAME, TOO_FEW, UNDEFINED
from nc1fast.studies.library.paper import claims, findings
from nc1fast.studies.library.paper.comparisons import NEEDS_BOTH


def claim(rows, letter):
    [found] = [c for c in claims(rows) if c.letter == letter]
    return found


def finding(rows, key):
    found = [f for f in findings(rows) if f.key == key]
    return found[0] if found else None


def sentence(found, *words):
    """The one sentence of a finding, or of the details of a claim, that has these words."""
    told = getattr(found, "sentences", None) or found.details
    [only] = [s for s in told if all(w in s for w in words)]
    return only


def test_there_are_four_lines_whatever_the_rows():
    for rows in (data(NNGP=1.0), data(NNGP=1.0, NTK=2.0, Adaptive=0.5)):
        assert [c.letter for c in claims(rows)] == ["A1", "A2", "A3", "A4"]


# --- A1


def test_a1_networks_start_like_the_nngp():
    same = claim(data(NNGP=1.0, **{"network:start": 1.02}), "A1")
    assert same.finding.verdict == HOLDS
    assert same.counts == {SAME: 2}
    assert same.number == "1.02 in the mean, 1.02 in all cells"
    assert "all its definitions agree" in sentence(same, "Released code")
    off = data(NNGP=1.0, **{"network:start": {1: 1.2, 8: 1.0}})
    assert claim(off, "A1").finding.verdict == DEPENDS
    assert claim(data(NNGP=1.0, **{"network:start": 1.3}), "A1").finding.verdict == FAILS
    few = claim(data(NNGP=1.0, repeats=3, **{"network:start": 1.3}), "A1")
    assert (few.finding.verdict, few.counts) == (TOO_FEW, {TOO_FEW: 2})


def test_a1_the_released_code_has_two_definitions_of_unequal_classes():
    unequal = {"sizes": "32:96", "arm": "imbalanced"}
    rows = []
    for convention, factor in (("papyan", 1.0), ("probe", 0.7), ("released", 1.2)):
        columns = {**unequal, "convention": convention}
        rows += repeated("NNGP", [factor] * 6, **columns)
        rows += repeated("network", [factor] * 6, state="start", **columns)
    told = claim(rows, "A1")
    assert told.finding.verdict == HOLDS
    assert sentence(told, "Released code").endswith("is different in the one cell; ratio 1.71429.")


# --- A2


def test_a2_and_the_released_erf_ntk():
    stands = data(NNGP=1.0, NTK=2.0, released={1: 1.2, 8: 0.98})
    told = claim(stands, "A2")
    assert (told.finding.verdict, told.counts) == (HOLDS, {HOLDS: 2})
    assert told.number == "D1: 2 in all cells"
    assert (
        sentence(told, "Released code")
        == "Released code, erf: holds in 1 of 2 cells and fails in 1; ratio from 0.98 to 1.2 over "
        "the cells."
    )
    released = finding(stands, "released-ntk")
    assert released.verdict == DEPENDS
    assert released.title.endswith("by a factor from 1.67 to 2.04 over the cells")
    swapped = data(NNGP=1.0, NTK={1: 1.2, 8: 0.98}, released=2.0)  # the words follow the rows
    turned = claim(swapped, "A2")
    assert (turned.finding.verdict, turned.counts) == (DEPENDS, {HOLDS: 1, FAILS: 1})
    assert "ratio 1.2 at d₀ = 1, 0.98 at d₀ = 8. It fails at d₀ = 8." in sentence(
        turned.finding, "D1, erf"
    )
    assert finding(swapped, "released-ntk").verdict == HOLDS
    assert claim(data(NNGP=1.0, NTK=0.5), "A2").finding.verdict == FAILS


def test_a2_gives_a_verdict_on_exact_numbers_of_few_draws():
    assert claim(data(NNGP=1.0, NTK=2.0, repeats=1), "A2").finding.verdict == HOLDS


def test_a2_looks_at_the_ntk_parametrization_and_at_depth_two():
    rows = data(NNGP=1.0, NTK=2.0, own=0.5)
    assert claim(rows, "A2").finding.verdict == HOLDS
    deep = [row(m, "erf", arm="depth", d0=3, depth=d, nc1=v) for m, d, v in DEPTHS]
    assert claim(rows + deep, "A2").counts == {HOLDS: 2}
    assert claim(rows + on(deep, arm="deeper", depth=3), "A2").counts == {HOLDS: 2}


DEPTHS = [("NNGP", 2, 1.0), ("NNGP", 3, 2.0), ("NTK", 2, 0.5), ("NTK", 3, 0.4)]


def test_a_claim_that_depends_on_the_data_tells_them_apart():
    rows = data(NNGP=1.0, NTK=2.0) + on(data(NNGP=1.0, NTK={1: 3.0, 8: 0.5}), dataset="D2")
    told = claim(rows, "A2")
    assert told.finding.verdict == DEPENDS
    assert told.counts == {HOLDS: 3, FAILS: 1}
    assert "D1, erf: it holds in both cells" in sentence(told.finding, "D1")
    assert "D2, erf: it holds in 1 of 2 cells and fails in 1" in sentence(told.finding, "D2")


# --- A3


def test_a3_has_no_verdict_without_both_priors():
    rows = data(NNGP=1.0, Adaptive=0.6, released_adaptive=0.9, **{"Adaptive:shuffled": 12.0})
    alone = claim(rows, "A3")
    assert alone.finding.verdict == NEEDS_BOTH
    assert alone.counts == {HOLDS: 2}
    assert "Matched prior: not in this table." in alone.finding.sentences
    assert sentence(alone, "Released code").startswith(
        "Released code: holds in both cells; ratio 0.9"
    )
    assert (
        sentence(alone, "Shuffled") == "Shuffled labels: NC1(shuffled)/NC1(true) 20 in all cells."
    )
    assert claim(matched(rows), "A3").finding.verdict == NEEDS_BOTH
    assert claim(rows + matched(rows), "A3").finding.verdict == HOLDS
    assert claim(data(NNGP=1.0), "A3").finding.verdict == UNDEFINED


def test_a3_says_where_the_prior_decides():
    rows = data(NNGP=1.0, Adaptive={1: 0.6, 8: 5.0})
    told = claim(rows + matched(data(NNGP=1.0, Adaptive=0.95)), "A3")
    assert told.finding.verdict == DEPENDS
    assert told.counts == {HOLDS: 3, FAILS: 1}
    assert "in 1 of the 2 cells that have both (D1 at d₀ = 8)." in sentence(
        told.finding, "The prior decides"
    )
    assert "ratio 0.6 at d₀ = 1, 5 at d₀ = 8" in sentence(told.finding, "balanced, D1: it")
    assert "ratio 0.95 at d₀ = 1, 0.95 at d₀ = 8" in sentence(told.finding, "matched, D1: it")
    assert told.number == (
        "published prior, D1: from 0.6 to 5 over the cells; matched prior, D1: 0.95 in all cells"
    )
    agree = claim(rows + matched(rows), "A3")
    assert "in 0 of the 2 cells that have both." in sentence(agree.finding, "The prior decides")


def test_a3_trend_is_told_for_each_prior():
    network = {"network:start": 2.0, "network:end": {1: 2.0, 8: 1.2}}
    rows = data(NNGP=1.0, Adaptive=0.6, **network)
    told = sentence(claim(rows, "A3").finding, "NC1(T)/NC1(0)")
    assert "of the network is 1 at d₀ = 1, 0.6 at d₀ = 8." in told
    assert (
        "of the published prior, this change is the same in 1 of 2 cells and is different in 1."
        in told
    )
    assert "matched" not in told
    both = rows + matched(data(NNGP=1.0, Adaptive={1: 1.0, 8: 0.6}))
    told = sentence(claim(both, "A3").finding, "NC1(T)/NC1(0)")
    assert told.endswith(
        "; beside that of the matched prior, this change is the same in both cells."
    )


def test_a3_compares_langevin_networks_with_their_own_adaptive_kernel():
    balanced = data(d0=(8,), NNGP=1.0, Adaptive=0.6, **{"network:start": 1.0, "network:end": 1.0})
    rows = [*langevin(Adaptive=0.81), *balanced, *matched(balanced)]
    found = claim(rows, "A3").finding
    assert "of its own prior, this change is different in the one cell." in sentence(
        found, "langevin, D1, erf"
    )
    assert [c.cell["arm"] for c in found.cells] == [
        "balanced",
        "matched",
    ]  # the level is not theirs


def langevin(**models):
    """Networks whose NC1 falls to .9 of that of the NNGP, with models beside them."""
    rows = data(d0=(8,), NNGP=1.0, **{"network:start": 1.0, "network:end": 0.9}, **models)
    noisy = on(rows, arm="langevin")
    return [r if r["model"] == "NNGP" else {**r, "noise": 0.1} for r in noisy]


def test_branches_are_counted_where_the_table_has_them():
    rows = data(NNGP=1.0, Adaptive=0.6)
    untold = claim(on(rows, starts=0), "A3").finding.sentences
    assert not [s for s in untold if "starts" in s]
    one = on(rows, starts=5, branches=1, branch_nc1="")
    assert "From 5 starts each, 0 of 2 cells" in sentence(claim(one, "A3").finding, "starts")
    several = [
        {**r, "branches": 2, "branch_nc1": "0.6 2.4"}
        if (r["model"], r["d0"], r["repeat"]) == ("AdaptiveKernel", 8, 1)
        else r
        for r in one
    ]
    told = sentence(claim(several, "A3").finding, "starts")
    assert "1 of 2 cells of the adaptive kernel have more than one solution" in told
    assert "These are balanced, D1 at d₀ = 8. In the 1 rows" in told
    assert told.endswith("the largest NC1 of a solution is 4 times the smallest.")


# --- A4


def test_a4_depends_on_the_data():
    erf, relu = {1: 0.5, 8: 2.0}, {"relu NNGP": 1.0, "relu NTK": 1.0}
    told = claim(data(NNGP=erf, NTK=erf, released={1: 0.4, 8: 0.9}, **relu), "A4")
    assert told.finding.verdict == DEPENDS
    assert told.counts == {HOLDS: 2, FAILS: 2}
    assert "It fails at d₀ = 8." in told.finding.sentences[1]
    assert "holds in 3 of 4 cells and fails in 1" in sentence(told, "Released code")
    assert claim(data(NNGP=0.5, **relu), "A4").finding.verdict == HOLDS
    assert claim(data(NNGP=2.0, **relu), "A4").finding.verdict == FAILS


def test_a_claim_without_rows_is_not_comparable():
    for told in claims(data(NNGP=1.0)):
        assert told.finding.verdict == UNDEFINED
        assert told.counts == {}
        assert told.number == "not in this table"
    assert [f.key for f in findings(data(NNGP=1.0))] == ["unusual"]


# --- mean field, depth three, widths


def test_mean_field_stands_beside_langevin_networks():
    found = finding(langevin(mean_field=0.9, Adaptive=0.95), "mean-field")
    assert found.verdict == HOLDS
    assert "mean field gives 100 %, the adaptive kernel 49 % of their change" in found.title
    assert found.sentences[:2] == (
        "The change of mean field is the same in the one cell.",
        "The change of the adaptive kernel is different in the one cell.",
    )
    assert finding(langevin(mean_field=0.5), "mean-field").verdict == FAILS
    assert finding(langevin(Adaptive=0.95), "mean-field") is None
    assert (
        finding(data(NNGP=1.0, mean_field=0.9), "mean-field") is None
    )  # no networks at equilibrium


def test_networks_of_depth_three_have_a_finding_of_their_own():
    network = {"network:start": {1: 1.0, 8: 1.01}, "network:end": 0.7}
    rows = on(data(NNGP=1.0, NTK=1.5, own=1.2, **network), arm="deeper", depth=3)
    found = finding(rows, "deeper")
    assert found.verdict == HOLDS
    assert found.title.startswith(
        "Training networks of depth 3 changes their NC1 by a factor from 0.69"
    )
    assert "1.5 at d₀ = 1" in sentence(found, "NC1(NTK)/NC1(NNGP)")
    assert "1.2 at d₀ = 8" in sentence(found, "NC1(NTK of the network)/NC1(NNGP)")
    assert claim(rows, "A1").finding.verdict == UNDEFINED
    assert finding(data(NNGP=1.0, **network), "deeper") is None
    shallow = data(**{"network:start": 1.0, "network:end": 0.9}) + on(
        data(**{"network:start": 1.0, "network:end": 0.1}), arm="langevin", noise=0.1
    )
    told = sentence(finding(rows + shallow, "deeper"), "on the same data")
    assert told.startswith("D1, erf, depth 2: NC1(T)/NC1(0) on the same data, ratio 0.9 at d₀ = 1")


def test_networks_of_several_widths_have_a_finding_of_their_own():
    rows = data(NNGP=1.0)
    for width, start, end in ((64, 1.25, 0.5), (500, 1.0, 0.9)):
        rows += on(data(**{"network:start": start, "network:end": end}), width=width)
    found = finding(rows, "widths")
    assert found.title == (
        "NC1(T)/NC1(0) is 0.4 in all cells at width 64, 0.9 in all cells at width 500"
    )
    assert [s.partition(":")[0] for s in found.sentences] == ["Width 64", "Width 500"]
    assert "NNGP) is different in both cells, ratio 1.25 at d₀ = 1" in found.sentences[0]
    assert found.verdict == DEPENDS
    assert {c.cell["width"] for c in found.cells} == {64, 500}
    assert claim(rows, "A1").finding.verdict == UNDEFINED


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_a_table_of_few_repeats_has_words_where_numbers_are_exact(repeats):
    network = {"network:start": 1.0, "network:end": 0.7}
    rows = data(NNGP=1.0, NTK=1.0, Adaptive=0.6, repeats=repeats, **network)
    told = {c.letter: c for c in claims(rows + matched(rows))}
    assert told["A1"].counts == {TOO_FEW: 2}
    assert told["A2"].counts == {EQUAL: 2}
    assert told["A3"].counts == {HOLDS: 4}
    assert told["A4"].finding.verdict == UNDEFINED
