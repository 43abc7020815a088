"""Descriptions of studies that cannot be used: one line with the file, the line, the key, what was
found and what is allowed.
"""

from __future__ import annotations

import pytest

from nc1fast import studies

ARM = "name: s\ntitle: t\narms:\n  - name: a\n    data: [{data}]\n    kernels: [{kernels}]\n"
DATA = (
    "{source: gaussian_mixture, name: D, means: [0, 1], stds: 1, n_samples: [4], n_features: [2]}"
)
KERNELS = "{kernel: NNGP, activation: relu}"
WHOLE = ARM.format(data=DATA, kernels=KERNELS)

# Words of the message by the text that stands in each place
TEXTS = {
    "": "study",
    "- 1\n- 2\n": "study",
    "name: [unclosed": "not valid YAML",
    "name: !!python/object/apply:os.getcwd []": "not valid YAML",
    "name: s\ntitle: t\n": "arms",
    f"name: s\ntitle: t\narms: [{{name: a, data: [{DATA}]}}]\n": "give kernels",
    f"{WHOLE}repeats: 0\n": "repeats",
    WHOLE.replace("name: s", "name: a/b"): "name",
}
IN_KERNELS = {
    "{kernel: NTK}": "needs an activation",
    "{kernel: NTK, activation: erf, depth: 1}": "depth",
    "{kernel: NTK, activation: step}": "step",
    "{kernel: NNGP, activation: relu, slope: 0.1}": "slope",
    "{kernel: NNGP, activation: relu, width: 5}": "width",
    "{kernel: compat.released.erf_ntk, activation: relu}": "activation",
    "{kernel: NNGP, activation: relu, weight_variance: -1}": "weight_variance",
    f"{KERNELS}, {KERNELS}": "twice",
}
IN_DATA = {
    f"{DATA}, {DATA}": "twice",
    DATA.replace("[4]", "[5]"): "5",
    DATA.replace("[4]", "[0]"): "n_samples",
    DATA.replace("stds: 1", "stds: 1, sizes: [[2, 2]]"): "either n_samples",
    DATA.replace("n_samples: [4]", "sizes: [[2, 2, 2]]"): "2 numbers",
    DATA.replace("stds: 1", "stds: .nan"): "stds",
}
LANGEVIN = "optimizer: langevin, temperature: 1, parametrization: ntk, train_bias: false"
IN_NETWORKS = {
    "width: 5": "activation",
    "activation: wavelet": "unknown activation",
    "activation: relu, depth: 1": "depth",
    "activation: relu, weight_variance: [1, 1, 1]": "weight_variance",
    "activation: [relu, relu]": "models of D must differ",
    "activation: relu, lr: 0": "lr",
    "activation: relu, optimizer: langevin": "temperature",
    "activation: relu, temperature: 1": "temperature",
    f"activation: relu, {LANGEVIN}, weight_decay: 0.1": "weight_decay",
    "activation: relu, optimizer: adam, momentum: 0.9": "momentum",
    "activation: relu, loss: cross-entropy": "one-hot",
    "activation: relu, until: [patience, 3]": "until",
    "activation: relu, epochs: 10, probe: [20]": "probe",
    "activation: relu, datasets: [E]": "no data named E",
}
IN_THE_ARM = {
    "adaptive: [{noise: 1, activation: gelu}]": "activation",
    "adaptive: [{noise: 1, equations: released, activation: relu}]": "released",
    "mean_field: [{activation: erf}]": "noise",
    "mean_field: [{noise: 0}]": "noise",
    "mean_field: [{noise: 0.1, activation: tanh}]": "activation",
    "mean_field: [{noise: 0.1, draws: 5}]": "draws",
    "mean_field: [{noise: 0.1, n_samples: 0}]": "n_samples",
    "illustrate: [{dataset: D, show: []}]": "show",
    "illustrate: [{dataset: D, show: [film]}]": "show",
    "conventions: [fair]": "conventions",
}
BAD = {
    **TEXTS,
    **{ARM.format(data=DATA, kernels=text): words for text, words in IN_KERNELS.items()},
    **{ARM.format(data=text, kernels=KERNELS): words for text, words in IN_DATA.items()},
    **{f"{WHOLE}    networks: [{{{keys}}}]\n": words for keys, words in IN_NETWORKS.items()},
    **{f"{WHOLE}    {line}\n": words for line, words in IN_THE_ARM.items()},
    WHOLE.replace("relu", "erf, depth: 3") + "    theory: true\n": "theory covers none",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_bad_description_gives_one_line_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        studies.load(path)
    told = str(error.value)
    assert told.startswith(str(path))
    assert "\n" not in told
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_names_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="built in: paper"):
        studies.load("papers")
    with pytest.raises(ValueError, match="paper, quick"):
        studies.load("paper", "full")
    with pytest.raises(FileNotFoundError):
        studies.load(tmp_path / "none.yml")
    with pytest.raises(ValueError, match="preset"):
        studies.load(tmp_path / "none.yml", "quick")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file"):
        studies.load(tmp_path / "binary.yml")


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
SECOND = "epochs: 10\n      - {activation: erf, width: 0}"
# what stands there, what stands there by mistake, the line and the key, words of the message
MISTAKES = [
    ("epochs: 10", "epoch: 10", "19: arms.0.networks.0.epoch: ",
     "there is no such key (did you mean 'epochs'?)", "allowed are datasets, "),
    ("networks:", "network:", "16: arms.0.network: ", "did you mean 'networks'?"),
    ("repeats: 2", "epochs: 2", "3: epochs: ", "allowed are name, title, preset"),
    ("arms:", "arm:", "4: arm: ", "did you mean 'arms'?"),
    ("kernel: NNGP", "kernel: NNPG", "14: arms.0.kernels.0.kernel: ",
     ("must be 'ConjugateKernel', 'NNGP', 'NTK', 'Linear' or 'compat.released.erf_ntk', got 'NNPG' "
     "(did you mean 'NNGP'?)")),
    ("[erf, relu]", "[erf, rellu]", "15: arms.0.kernels.0.activation: ",
     "unknown activation 'rellu' (did you mean 'relu'?); choose from abs, "),
    ("source: gaussian_mixture", "source: gaussian", "7: arms.0.data.0: ",
     "'source' must be one of 'gaussian_mixture', 'digits', 'file', got 'gaussian'",
     "did you mean 'gaussian_mixture'?"),
    ("epochs: 10", "epochs: ten", "19: arms.0.networks.0.epochs: ",
     "must be a whole number, got 'ten'"),
    ("repeats: 2", "repeats: 2.5", "3: repeats: ", "must be a whole number, got 2.5"),
    ("noise: 0.01", "noise: -1", "21: arms.0.adaptive.0.noise: ", "must be greater than 0, got -1"),
    ("epochs: 10", SECOND, "20: arms.0.networks.1.width: ", "must be 1 or more, got 0"),
    ("activation: [erf, relu]", "activation: relu\n        weight_variance: [1, x]",
     "16: arms.0.kernels.0.weight_variance.1: ", "must be a number, got 'x'"),
    ("n_samples: [64]", "n_samples: 64", "11: arms.0.data.0.n_samples: ", "must be a list, got 64"),
    ("n_features: [2, 8]", "n_features: [many]", "12: arms.0.data.0.n_features.0: ", "'many'"),
    ("title: A study", "title: [A, study]", "2: title: ", "must be text, got a list"),
    ("means: [-2, 2]", "means: [-2]", "9: arms.0.data.0.means: ",
     "must have 2 or more entries, has 1"),
    ("- kernel: NNGP\n        activation: [erf, relu]", "- NNGP", "14: arms.0.kernels.0: ",
     "must be a mapping of keys, got 'NNGP'"),
    ("title: A study\n", "", "1: title: ", "this key is missing"),
    ("- noise: 0.01", "- width: 5", "21: arms.0.adaptive.0.noise: ", "this key is missing"),
    ("stds: 0.5", "stds:", "10: arms.0.data.0.stds: ", "got nothing"),
    ("title: A study", "title: A study\nname: other", "3: name", "is there twice"),
    ("name: D", "name: '?'", "8: arms.0.data.0.name: ", "must be at most 41 letters, digits",
     "got '?'"),
    ("stds: 0.5", "stds: [1, 2, 3]", "7: arms.0.data.0: ",
     "stds must be one number or 2, one per mean"),
    (GOOD[GOOD.index("arms:") :], "arms: []\n", "4: arms: ", "must have 1 or more entries, has 0"),
    ("title: A study", "title: A: study", "2: not valid YAML",
     "mapping values are not allowed here"),
    ("repeats: 2", "\trepeats: 2", "3: not valid YAML", "found character"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("there", "mistake", "place", "words"), [(*m[:3], m[3:]) for m in MISTAKES]
)
def test_a_mistake_is_one_line_with_its_place(there, mistake, place, words):
    assert GOOD.count(there) == 1
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        studies.parse(GOOD.replace(there, mistake), "mine.yml")
    message = str(caught.value)
    assert message.startswith(f"mine.yml, line {place}")
    for word in words:
        assert word in message
    for follows in ("tuple should have", "at least 1 item"):  # from the mistake, no mistake itself
        assert follows not in message
    assert ";" not in message.replace("; allowed are", "").replace("; choose from", "")


def test_several_mistakes_are_told_each_with_its_own_line():
    text = GOOD.replace("epochs: 10", "epochs: ten").replace("noise: 0.01", "noise: -1")
    with pytest.raises(ValueError, match="line 19") as caught:
        studies.parse(text.replace("repeats: 2", "repeats: two"), "mine.yml")
    places = [part.split(":")[0] for part in str(caught.value).split("; ")]
    assert places == ["mine.yml, line 3", "line 19", "line 21"]
    assert "line 3: repeats: must be a whole number, got 'two'" in str(caught.value)


def test_the_description_without_mistakes_is_read():
    assert studies.parse(GOOD).arms[0].name == "pair"


@pytest.mark.parametrize("text", ["[" * 2000, "{a: " * 2000, "name: \x00"])
def test_text_that_no_parser_takes_is_one_line(text):
    with pytest.raises(ValueError, match=r"^bad\.yml: not valid YAML: ") as error:
        studies.parse(text, "bad.yml")
    assert "\n" not in str(error.value)


def test_an_alias_of_itself_is_no_description():
    with pytest.raises(ValueError, match="aliases make more than 100000 entries"):
        studies.parse("&a [*a]")


def test_data_files_and_their_labels_are_taken_from_the_folder_of_the_description(tmp_path):
    source = "{source: file, name: d, path: d.npy, labels: y.npy}"
    table = "{source: file, name: t, path: t.csv, labels: kind}"
    (tmp_path / "s.yml").write_text(ARM.format(data=f"{source}, {table}", kernels=KERNELS))
    study = studies.load(tmp_path / "s.yml")
    assert study.files == [tmp_path / "d.npy", tmp_path / "t.csv", tmp_path / "y.npy"]
    assert study.arms[0].data[1].labels == "kind"
