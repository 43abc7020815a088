"""Mistakes in the description of a study: one line with the line of the file, the key, what was
found, what is allowed.
"""

from __future__ import annotations

import pytest

from nc1fast import studies

GOOD = """name: mine
title: A study
repeats: 2
arms:
  - name: pair
    data:
      - source: gaussian_mixture
        name: D
        means: [-2, 2]
        stds: 0.5
        n_samples: [64]
        n_features: [2, 8]
    kernels:
      - kernel: NNGP
        activation: [erf, relu]
    networks:
      - activation: erf
        optimizer: sgd
        epochs: 10
    adaptive:
      - noise: 0.01
"""
# what stands there, what stands there by mistake, the line and the key, words of the message
MISTAKES = {
    "misspelt key": ("epochs: 10", "epoch: 10", "19: arms.0.networks.0.epoch: ", ["there is no such key (did you mean 'epochs'?)", "allowed are datasets, "]),
    "key of another place": ("repeats: 2", "epochs: 2", "3: epochs: ", ["allowed are name, title, preset"]),
    "misspelt arms": ("arms:", "arm:", "4: arm: ", ["did you mean 'arms'?"]),
    "misspelt kernel": ("kernel: NNGP", "kernel: NNPG", "14: arms.0.kernels.0.kernel: ", ["must be 'ConjugateKernel', 'NNGP', 'NTK'", "got 'NNPG' (did you mean 'NNGP'?)"]),
    "misspelt activation": ("[erf, relu]", "[erf, rellu]", "15: arms.0.kernels.0.activation: ", ["unknown activation 'rellu' (did you mean 'relu'?); choose from abs, "]),
    "misspelt source": ("source: gaussian_mixture", "source: gaussian", "7: arms.0.data.0: ", ["'source' must be one of 'gaussian_mixture', 'digits', 'file', got 'gaussian'", "did you mean 'gaussian_mixture'?"]),
    "text for a number": ("epochs: 10", "epochs: ten", "19: arms.0.networks.0.epochs: ", ["must be a whole number, got 'ten'"]),
    "a fraction": ("repeats: 2", "repeats: 2.5", "3: repeats: ", ["must be a whole number, got 2.5"]),
    "a number out of range": ("noise: 0.01", "noise: -1", "21: arms.0.adaptive.0.noise: ", ["must be greater than 0, got -1"]),
    "a number for a list": ("n_samples: [64]", "n_samples: 64", "11: arms.0.data.0.n_samples: ", ["must be a list, got 64"]),
    "a list for text": ("title: A study", "title: [A, study]", "2: title: ", ["must be text, got a list"]),
    "too few entries": ("means: [-2, 2]", "means: [-2]", "9: arms.0.data.0.means: ", ["must have 2 or more entries, has 1"]),
    "a word for a mapping": ("- kernel: NNGP\n        activation: [erf, relu]", "- NNGP", "14: arms.0.kernels.0: ", ["must be a mapping of keys, got 'NNGP'"]),
    "a missing key": ("title: A study\n", "", "1: title: ", ["this key is missing"]),
    "nothing": ("stds: 0.5", "stds:", "10: arms.0.data.0.stds: ", ["got nothing"]),
    "a key twice": ("title: A study", "title: A study\nname: other", "3: name", ["is there twice"]),
    "no name": ("name: D", "name: '?'", "8: arms.0.data.0.name: ", ["must be at most 41 letters, digits", "got '?'"]),
    "values that do not fit": ("stds: 0.5", "stds: [1, 2, 3]", "7: arms.0.data.0: ", ["stds must be one number or 2, one per mean"]),
    "no arms": (GOOD[GOOD.index("arms:") :], "arms: []\n", "4: arms: ", ["must have 1 or more entries, has 0"]),
    "no YAML": ("title: A study", "title: A: study", "2: not valid YAML", ["mapping values are not allowed here"]),
    "a tab": ("repeats: 2", "\trepeats: 2", "3: not valid YAML", ["found character"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(case):
    there, mistake, place, words = MISTAKES[case]
    assert GOOD.count(there) == 1
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        studies.parse(GOOD.replace(there, mistake), "mine.yml")
    message = str(caught.value)
    assert message.startswith(f"mine.yml, line {place}")
    for word in words:
        assert word in message
    assert "tuple should have" not in message  # what only follows from the mistake
    assert ";" not in message.replace("; allowed are", "").replace("; choose from", "")


def test_several_mistakes_are_told_each_with_its_own_line():
    text = GOOD.replace("epochs: 10", "epochs: ten").replace("noise: 0.01", "noise: none")
    with pytest.raises(ValueError, match="line 19") as caught:
        studies.parse(text.replace("repeats: 2", "repeats: two"), "mine.yml")
    assert "line 3: repeats: must be a whole number, got 'two'" in str(caught.value)


def test_the_description_without_mistakes_is_read():
    assert studies.parse(GOOD).arms[0].name == "pair"
