"""The rules on drawn tables: the right word in 95 % of 200 draws, and properties that no table may
break.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.claim_rows import repeated

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import compare, together
from nc1fast.studies.findings.rules import (
    DEPENDS,
    DIFFERENT,
    EQUAL,
    FAILS,
    HOLDS,
    SAME,
    TOO_FEW,
    UNDECIDED,
)

DRAWS, CLAIMS, CELLS = 200, 80, 12
ORDERS = {rules.at_least: 1, rules.at_most: -1}
EDGE = math.log(1 + rules.TOLERANCE)


def cells_of(logs, rule):
    """A cell for each row of log ratios."""
    upper = [
        r for d0, ratios in enumerate(logs) for r in repeated("network", np.exp(ratios), d0=d0)
    ]
    lower = [{**r, "model": "NNGP", "nc1": 1.0} for r in upper]
    return compare(upper, lower, ("model",), rule)


def words(middle, scatter, repeats, rule):
    """The words of cells with normal log ratios, and these."""
    logs = middle + scatter * np.random.default_rng(0).standard_normal((DRAWS, repeats))
    return [cell.verdict for cell in cells_of(logs, rule)], logs


def share(found, right):
    return sum(a == b for a, b in zip(found, right, strict=True)) / len(found)


# --- the right word


@pytest.mark.parametrize("repeats", [3, 6, 10])
@pytest.mark.parametrize("rule", ORDERS)
def test_order_of_a_fair_coin_is_undecided_or_a_statement_about_these_data(rule, repeats):
    found, logs = words(0.0, 0.1, repeats, rule)
    open_word = TOO_FEW if repeats < rules.FEWEST else UNDECIDED
    holds = ORDERS[rule] * logs > 0
    right = [HOLDS if h.all() else FAILS if not h.any() else open_word for h in holds]
    assert share(found, right) >= 0.95
    if (
        repeats > rules.FEWEST
    ):  # at six, one in 32 draws agrees by chance: a statement about these data
        assert share(found, [open_word] * DRAWS) >= 0.95


@pytest.mark.parametrize("repeats", [3, 6, 10])
@pytest.mark.parametrize(
    ("middle", "scatter", "rule", "word"),
    [
        (0.3, 0.05, rules.at_least, HOLDS),
        (-0.3, 0.05, rules.at_least, FAILS),
        (-0.3, 0.05, rules.at_most, HOLDS),
        (0.3, 0.05, rules.at_most, FAILS),
        (0.0, 0.012, rules.alike, SAME),
        (0.3, 0.012, rules.alike, DIFFERENT),
        (-0.3, 0.012, rules.alike, DIFFERENT),
    ],
)
def test_exact_numbers_are_judged_at_any_number_of_repeats(middle, scatter, rule, word, repeats):
    found, _ = words(middle, scatter, repeats, rule)
    assert share(found, [word] * DRAWS) >= 0.95


@pytest.mark.parametrize("repeats", [3, 6, 10])
def test_exact_draws_on_both_sides_of_the_edge_are_undecided(repeats):
    found, logs = words(EDGE, 0.1, repeats, rules.alike)
    open_word = TOO_FEW if repeats < rules.FEWEST else UNDECIDED
    near = abs(logs) <= EDGE
    right = [SAME if n.all() else DIFFERENT if not n.any() else open_word for n in near]
    assert share(found, right) >= 0.95


@pytest.mark.parametrize("repeats", [3, 6, 10])
@pytest.mark.parametrize(
    ("middle", "scatter", "word"),
    [
        (0.0, 0.012, SAME),
        (0.2, 0.05, DIFFERENT),
        (-0.2, 0.05, DIFFERENT),
        (EDGE, 0.1, UNDECIDED),  # on the edge
        (0.0, 0.3, UNDECIDED),  # imprecise
        (0.03, 1.0, UNDECIDED),
    ],
)
def test_equality_of_random_numbers_needs_six_repeats(middle, scatter, word, repeats):
    found, _ = words(middle, scatter, repeats, rules.agree)
    assert share(found, [TOO_FEW if repeats < rules.FEWEST else word] * DRAWS) >= 0.95


@pytest.mark.parametrize("repeats", [3, 6, 10])
@pytest.mark.parametrize(
    ("first", "second", "scatter", "rule", "verdict"),
    [
        (0.0, 0.0, 0.06, rules.agree, HOLDS),  # although no cell alone is precise enough
        (0.3, 0.3, 0.06, rules.agree, FAILS),
        (0.3, -0.3, 0.03, rules.agree, FAILS),  # although the mean is near one
        (0.0, 0.4, 0.004, rules.agree, DEPENDS),
        (0.0, 0.0, 1.0, rules.agree, UNDECIDED),
        (0.3, 0.3, 0.05, rules.at_least, HOLDS),
        (-0.3, -0.3, 0.05, rules.at_least, FAILS),
        (0.3, -0.3, 0.05, rules.at_least, DEPENDS),
    ],
)
def test_claim_has_the_right_verdict(first, second, scatter, rule, verdict, repeats):
    """Half of the cells have the first log ratio, half the second."""
    rng = np.random.default_rng(0)
    middle = np.repeat([first, second], CELLS // 2)[:, None]
    chance = rule is rules.agree
    found = []
    for _ in range(CLAIMS):
        cells = cells_of(middle + scatter * rng.standard_normal((CELLS, repeats)), rule)
        found.append(together(cells) if chance else rules.overall(c.verdict for c in cells))
    expected = TOO_FEW if chance and repeats < rules.FEWEST else verdict
    assert share(found, [expected] * CLAIMS) >= 0.95


# --- attempts to break the rules

LOGS = st.lists(st.floats(-1, 1), min_size=1, max_size=12)
ANY_RULE = st.sampled_from([rules.at_least, rules.at_most, rules.alike, rules.agree])


def word(logs, rule, *, scale=1.0, bound=0.0, swapped=False):
    """Word and share of one cell, from its log ratios."""
    upper = repeated("NTK", scale * np.exp(logs), error_bound=bound * scale)
    lower = [{**r, "model": "NNGP", "nc1": scale} for r in upper]
    pairs = list(zip(upper, lower, strict=True))
    return rule([(b, a) for a, b in pairs] if swapped else pairs)


@given(LOGS, ANY_RULE, st.randoms(use_true_random=False))
def test_the_order_of_repeats_does_not_matter(logs, rule, random):
    turned = random.sample(logs, len(logs))
    assume(not borderline(logs))
    assert word(turned, rule) == word(logs, rule)


@given(LOGS, ANY_RULE, st.integers(-40, 40))
def test_the_unit_of_nc1_does_not_matter(logs, rule, exponent):
    assert word(logs, rule, scale=2.0**exponent, bound=0.1) == word(logs, rule, bound=0.1)


@given(LOGS, st.floats(0, 0.5))
def test_swapped_sides_turn_an_order_round(logs, bound):
    turned = {HOLDS: FAILS, FAILS: HOLDS}
    found, n = word(logs, rules.at_least, bound=bound)
    assert word(logs, rules.at_least, bound=bound, swapped=True) == (turned.get(found, found), n)
    assert word(logs, rules.at_most, bound=bound, swapped=True) == (found, n)


@given(LOGS, st.sampled_from([rules.alike, rules.agree]))
def test_swapped_sides_leave_an_equality(logs, rule):
    assume(not borderline(logs))
    assert word(logs, rule, swapped=True) == word(logs, rule)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=12), st.floats(1, 20))
def test_noise_never_makes_numbers_the_same_or_different(logs, factor):
    """Deviations from the mean grow, the mean stays."""
    assume(not borderline(logs))
    noisy = np.mean(logs) + factor * (np.array(logs) - np.mean(logs))
    assume(not borderline(noisy))
    before, after = word(logs, rules.agree)[0], word(noisy, rules.agree)[0]
    assert after in (before, UNDECIDED)


@given(LOGS, st.sampled_from(list(ORDERS)), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_error_bound_never_turns_an_order_round(logs, rule, bound, more):
    tight, loose = (word(logs, rule, bound=b)[0] for b in (bound, bound + more))
    assert {tight, loose} != {HOLDS, FAILS} or len(set(np.sign(logs))) > 1
    assert word(logs, rule, bound=10.0)[0] == EQUAL
    if tight == EQUAL:
        assert loose == EQUAL


@given(st.lists(st.booleans(), min_size=1, max_size=14), st.integers(0, 13))
def test_a_draw_that_turns_round_never_moves_the_word_the_other_way(draws, index):
    rank = {FAILS: 0, TOO_FEW: 1, UNDECIDED: 1, HOLDS: 2}
    assume(index < len(draws))
    lower, higher = ([*draws[:index], v, *draws[index + 1 :]] for v in (False, True))
    found = [rules.of_draws([HOLDS if d else FAILS for d in some])[0] for some in (lower, higher)]
    assert rank[found[0]] <= rank[found[1]]


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=5))
def test_no_random_word_without_six_repeats(logs):
    assert word(logs, rules.agree) == (TOO_FEW, 0)


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([-0.4, 0.0, 0.04, 0.4]), min_size=1, max_size=6), st.integers(0, 99)
)
def test_order_and_company_of_cells_do_not_matter(middles, seed):
    rng = np.random.default_rng(seed)
    logs = np.array(middles)[:, None] + 0.02 * rng.standard_normal((len(middles), 8))
    cells = cells_of(logs, rules.agree)
    few = cells_of(logs[:, :3], rules.agree)
    undefined = cells_of(np.full((2, 8), np.nan), rules.agree)
    whole = together(cells)
    assert together(cells[::-1]) == whole
    assert together([*few, *cells, *undefined]) == whole
    assert together(few) == TOO_FEW
    if any(abs(middle) > 0.2 for middle in middles):
        assert whole in (FAILS, DEPENDS)


@given(st.lists(st.sampled_from(rules.WORDS), max_size=6))
def test_an_exact_claim_holds_only_if_every_cell_does(some):
    verdict = rules.overall(some)
    number = Counter(some)
    decided = {w: n for w, n in number.items() if w != rules.UNDEFINED}
    if verdict == HOLDS:
        assert set(decided) <= set(rules.IN_FAVOUR)
    if verdict == FAILS:
        assert set(decided) <= set(rules.AGAINST)
    assert (verdict == rules.UNDEFINED) == (not decided)
    assert rules.overall([*some, rules.UNDEFINED]) == verdict
    assert rules.overall([*some, FAILS]) not in (HOLDS, UNDECIDED, TOO_FEW)


def borderline(logs):
    """Whether rounding can decide: an end of the interval, or a ratio, within 1e-9 of an end of the
    tolerance.
    """
    ends = rules.mean_interval(logs)
    values = [*logs, ends.low, ends.high]
    return any(abs(abs(value) - EDGE) < 1e-9 for value in values)
