"""Descriptions of studies that cannot be used: one line that names the file and the place."""

from __future__ import annotations

import pytest

from nc1fast import studies

ARM = "name: s\ntitle: t\narms:\n  - name: a\n    data: [{data}]\n    kernels: [{kernels}]\n"
DATA = (
    "{source: gaussian_mixture, name: D, means: [0, 1], stds: 1, n_samples: [4], n_features: [2]}"
)
KERNELS = "{kernel: NNGP, activation: relu}"


def more(line):
    """An arm with one line more."""
    return ARM.format(data=DATA, kernels=KERNELS) + f"    {line}\n"


LANGEVIN = "optimizer: langevin, temperature: 1, parametrization: ntk, train_bias: false"
BAD = {
    "empty": ("", "study"),
    "not a mapping": ("- 1\n- 2\n", "study"),
    "not YAML": ("name: [unclosed", "not valid YAML"),
    "a tab": ("name:\n\t- x", "not valid YAML"),
    "a Python object": ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    "no arms": ("name: s\ntitle: t\n", "arms"),
    "empty arms": ("name: s\ntitle: t\narms: []\n", "arms"),
    "unknown field": (ARM.format(data=DATA, kernels=KERNELS) + "colour: red\n", "colour"),
    "unknown source": (ARM.format(data="{source: web, name: D}", kernels=KERNELS), "source"),
    "unknown kernel": (ARM.format(data=DATA, kernels="{kernel: RBF}"), "kernel"),
    "unknown activation": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: wavelet}"),
        "unknown activation",
    ),
    "no activation": (ARM.format(data=DATA, kernels="{kernel: NTK}"), "needs an activation"),
    "depth one": (
        ARM.format(data=DATA, kernels="{kernel: NTK, activation: erf, depth: 1}"),
        "depth",
    ),
    "step has no NTK": (ARM.format(data=DATA, kernels="{kernel: NTK, activation: step}"), "step"),
    "slope of relu": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: relu, slope: 0.1}"),
        "slope",
    ),
    "width of an NNGP": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: relu, width: 5}"),
        "width",
    ),
    "activation of the released NTK": (
        ARM.format(data=DATA, kernels="{kernel: compat.released.erf_ntk, activation: relu}"),
        "activation",
    ),
    "negative variance": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: relu, weight_variance: -1}"),
        "weight_variance",
    ),
    "the same kernel twice": (ARM.format(data=DATA, kernels=f"{KERNELS}, {KERNELS}"), "twice"),
    "the same data twice": (ARM.format(data=f"{DATA}, {DATA}", kernels=KERNELS), "twice"),
    "one class": (ARM.format(data=DATA.replace("[0, 1]", "[0]"), kernels=KERNELS), "means"),
    "unequal division": (ARM.format(data=DATA.replace("[4]", "[5]"), kernels=KERNELS), "5"),
    "no samples": (ARM.format(data=DATA.replace("[4]", "[0]"), kernels=KERNELS), "n_samples"),
    "samples and sizes": (
        ARM.format(data=DATA.replace("stds: 1", "stds: 1, sizes: [[2, 2]]"), kernels=KERNELS),
        "either n_samples",
    ),
    "three sizes of two": (
        ARM.format(data=DATA.replace("n_samples: [4]", "sizes: [[2, 2, 2]]"), kernels=KERNELS),
        "2 numbers",
    ),
    "three stds of two": (
        ARM.format(data=DATA.replace("stds: 1", "stds: [1, 1, 1]"), kernels=KERNELS),
        "stds",
    ),
    "text for a number": (
        ARM.format(data=DATA.replace("[2]", "[many]"), kernels=KERNELS),
        "n_features",
    ),
    "NaN": (ARM.format(data=DATA.replace("stds: 1", "stds: .nan"), kernels=KERNELS), "stds"),
    "no repeats": (ARM.format(data=DATA, kernels=KERNELS) + "repeats: 0\n", "repeats"),
    "a name with a slash": (
        ARM.format(data=DATA, kernels=KERNELS).replace("name: s", "name: a/b"),
        "name",
    ),
    "nothing to compute": (
        f"name: s\ntitle: t\narms: [{{name: a, data: [{DATA}]}}]\n",
        "give kernels",
    ),
    "a network without an activation": (more("networks: [{width: 5}]"), "activation"),
    "an unknown activation": (more("networks: [{activation: wavelet}]"), "unknown activation"),
    "no hidden layer": (more("networks: [{activation: relu, depth: 1}]"), "depth"),
    "variances of another depth": (
        more("networks: [{activation: relu, weight_variance: [1, 1, 1]}]"),
        "weight_variance",
    ),
    "the same network twice": (
        more("networks: [{activation: [relu, relu]}]"),
        "models of D must differ",
    ),
    "a width of zero": (more("networks: [{activation: relu, width: 0}]"), "width"),
    "a rate of zero": (more("networks: [{activation: relu, lr: 0}]"), "lr"),
    "Langevin without a temperature": (
        more("networks: [{activation: relu, optimizer: langevin}]"),
        "temperature",
    ),
    "a temperature of SGD": (more("networks: [{activation: relu, temperature: 1}]"), "temperature"),
    "decay of Langevin": (
        more(f"networks: [{{activation: relu, {LANGEVIN}, weight_decay: 0.1}}]"),
        "weight_decay",
    ),
    "momentum of Adam": (
        more("networks: [{activation: relu, optimizer: adam, momentum: 0.9}]"),
        "momentum",
    ),
    "cross-entropy of one output": (
        more("networks: [{activation: relu, loss: cross-entropy}]"),
        "one-hot",
    ),
    "an unknown rule": (more("networks: [{activation: relu, until: [patience, 3]}]"), "until"),
    "a probe after the end": (
        more("networks: [{activation: relu, epochs: 10, probe: [20]}]"),
        "probe",
    ),
    "no noise": (more("adaptive: [{width: 500}]"), "noise"),
    "a noise of zero": (more("adaptive: [{noise: 0}]"), "noise"),
    "an adaptive kernel of gelu": (more("adaptive: [{noise: 1, activation: gelu}]"), "activation"),
    "the released equations with relu": (
        more("adaptive: [{noise: 1, equations: released, activation: relu}]"),
        "released",
    ),
    "data that are not there": (
        more("networks: [{activation: relu, datasets: [E]}]"),
        "no data named E",
    ),
    "an illustration of nothing": (more("illustrate: [{dataset: D, show: []}]"), "show"),
    "an unknown illustration": (more("illustrate: [{dataset: D, show: [film]}]"), "show"),
    "theory of a deep kernel alone": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: erf, depth: 3}")
        + "    theory: true\n",
        "theory covers none",
    ),
    "unknown convention": (
        ARM.format(data=DATA, kernels=KERNELS) + "    conventions: [fair]\n",
        "conventions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_description_gives_one_line_that_names_the_file(tmp_path, name):
    text, message = BAD[name]
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


def line_of(text, part):
    """Number, from 1, of the line of a text that has a part."""
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


TOLD = {
    "an unknown key of a kernel": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, actvation: relu}"),
        "actvation",
        "arms.0.kernels.0.actvation: there is no such key (did you mean 'activation'?)",
    ),
    "an unknown key of an arm": (
        more("network: [{activation: relu}]"),
        "network:",
        "arms.0.network: there is no such key (did you mean 'networks'?)",
    ),
    "an unknown key of the study": (
        ARM.format(data=DATA, kernels=KERNELS) + "repeat: 3\n",
        "repeat:",
        "repeat: there is no such key (did you mean 'repeats'?)",
    ),
    "an unknown kernel": (
        ARM.format(data=DATA, kernels="{kernel: NNPG, activation: relu}"),
        "NNPG",
        (
            "arms.0.kernels.0.kernel: must be 'ConjugateKernel', 'NNGP', 'NTK', 'Linear' or "
            "'compat.released.erf_ntk', got 'NNPG' (did you mean 'NNGP'?)"
        ),
    ),
    "an unknown source": (
        ARM.format(data=DATA.replace("gaussian_mixture", "gausian_mixture"), kernels=KERNELS),
        "gausian",
        (
            "arms.0.data.0: 'source' must be one of 'gaussian_mixture', 'digits', 'file', got "
            "'gausian_mixture' (did you mean 'gaussian_mixture'?)"
        ),
    ),
    "a value out of range, alone": (
        more("networks:\n      - {activation: relu}\n      - {activation: erf, width: 0}"),
        "width: 0",
        "arms.0.networks.1.width: must be 1 or more, got 0",
    ),
    "one of several numbers, without the noise of the alternatives": (
        ARM.format(data=DATA, kernels="{kernel: NNGP, activation: relu, weight_variance: [1, x]}"),
        "[1, x]",
        ("arms.0.kernels.0.weight_variance.1: must be a number, got 'x'"),
    ),
    "a key that is missing": (
        more("adaptive: [{width: 500}]"),
        "adaptive",
        "arms.0.adaptive.0.noise: this key is missing",
    ),
    "a key that is there twice": (
        ARM.format(data=DATA, kernels=KERNELS) + "title: again\n",
        "again",
        "title is there twice",
    ),
    "text that is not YAML": ("name: s\ntitle:\n\t- x\n", "\t", "not valid YAML: found character"),
}


@pytest.mark.parametrize("name", TOLD)
def test_an_error_names_line_key_and_remedy_and_nothing_else(name):
    text, part, message = TOLD[name]
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole text is compared)
        studies.parse(text, "bad.yml")
    told = str(error.value)
    start = f"bad.yml, line {line_of(text, part)}: {message}"
    assert told == start or told.startswith((f"{start};", start))
    assert "; line" not in told
    assert "at least 1 item" not in told


def test_several_errors_are_told_each_with_its_line():
    text = more(
        "networks:\n      - {activation: relu, width: 0}\n      - {activation: relu, lr: 0}"
    )
    with pytest.raises(ValueError, match="greater than") as error:
        studies.parse(text, "bad.yml")
    assert [part.split(":")[0] for part in str(error.value).split("; ")] == [
        f"bad.yml, line {line_of(text, 'width: 0')}",
        f"line {line_of(text, 'lr: 0')}",
    ]


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "name: \x00"])
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
