"""What is tested of every experiment of the library: `StudyChecks`, which the class `TestStudy` of
each study's file gives its data.
"""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import numpy as np
import pytest
from tests import measure_rows as made

from nc1fast import studies
from nc1fast.studies import library
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import ABSENT


def verdicts(name, rows):
    """The verdict of each claim of a study, by its letter."""
    return {one.letter: one.finding.verdict for one in library.STUDIES[name].claims(rows)}


@functools.cache
def tiny_rows(name, parts, repeats=2):
    """The table of a study with these parts (YAML)."""
    text = f"name: {name}\ntitle: Tiny\nrepeats: {repeats}\nparts:{parts}"
    return [row for cell in studies.parse(text).cells() for row in cell.compute().rows]


class StudyChecks:
    """A tiny run of a study, and each of its claims on made rows.

    Attributes
    ----------
    name : str
    tiny : str
        The parts of a run of seconds (YAML).
    tiny_words : mapping from verdicts to letters
        Of that run; the other claims have too few repeats.
    things : int or set of str
        Which constructions have NC1 on D1 there, or how many.
    figures : list of str
        What is drawn of it.
    good : mapping
        Numbers from which `fill` makes rows on which every claim holds.
    changes : list of (letter, changed, verdict)
        The verdict of a claim once these numbers are others.
    exact : set of str
        Claims that hold whatever the number of repeats.
    alone : bool
        Whether the other claims still hold.
    noise : float
        Relative, of every made number.
    enough, few : int
        Repeats with which every claim has a verdict, and with which only the exact ones have.
    """

    name: ClassVar[str]
    tiny: ClassVar[str]
    tiny_repeats: ClassVar[int] = 2
    tiny_words: ClassVar[dict[str, set[str]]] = {}
    things: ClassVar[int | set[str]]
    figures: ClassVar[list[str]]
    good: ClassVar[dict[str, Any]]
    changes: ClassVar[list[tuple[str, dict[str, Any], str]]]
    exact: ClassVar[set[str]] = set()
    alone: ClassVar[bool] = False
    noise: ClassVar[float] = 1e-3
    enough: ClassVar[int] = rules.FEWEST
    few: ClassVar[int] = rules.FEWEST - 1

    def fill(self, add, told, repeat):
        """One repeat of the table, by add(thing, quantity, value, **setting)."""
        raise NotImplementedError

    def rows(self, n_repeats=None, **changed):
        """Rows on which every claim holds, but for what is changed."""
        random, rows = np.random.default_rng(0), []
        for repeat in range(n_repeats or self.enough):

            def add(thing, quantity, value, **setting):
                noisy = value * (1 + self.noise * random.standard_normal())
                rows.append(made.row(noisy, quantity, thing, repeat=repeat, **setting))  # noqa: B023

            self.fill(add, self.good | changed, repeat)
        return rows

    def verdicts(self, rows):
        return verdicts(self.name, rows)

    @pytest.fixture
    def run(self):
        return tiny_rows(self.name, self.tiny, self.tiny_repeats)

    def pytest_generate_tests(self, metafunc):
        if "changed" in metafunc.fixturenames:
            metafunc.parametrize(("letter", "changed", "word"), self.changes)

    def test_a_tiny_run_has_every_number_and_its_words(self, run):
        assert {row["status"] for row in run} == {"ok"}
        assert all(math.isfinite(row["value"]) for row in run)
        words = {letter: word for word, some in self.tiny_words.items() for letter in some}
        found = self.verdicts(run)
        assert found == {letter: words.get(letter, rules.TOO_FEW) for letter in found}
        things = {row["thing"] for row in run if row["part"] == "nc1"}
        assert self.things in (things, len(things))

    def test_figures_of_a_tiny_run(self, run):
        pytest.importorskip("matplotlib")
        draw = library.STUDIES[self.name].draw
        assert [one.name for one in draw(run, [])] == self.figures
        assert draw([], []) == []

    def test_claims_hold_on_good_rows_alone(self):
        good = self.verdicts(self.rows())
        assert set(good.values()) == {rules.HOLDS}
        assert set(good) == {letter for letter, _, word in self.changes if word != rules.HOLDS}
        few = self.verdicts(self.rows(self.few))
        assert few == {k: rules.HOLDS if k in self.exact else rules.TOO_FEW for k in good}
        claims = library.STUDIES[self.name].claims([])
        assert {(c.finding.verdict, c.number) for c in claims} == {(rules.UNDEFINED, ABSENT)}

    def test_a_claim_on_changed_rows(self, letter, changed, word):
        found = self.verdicts(self.rows(**changed))
        assert found.pop(letter) == word
        if self.alone:
            assert set(found.values()) == {rules.HOLDS}
