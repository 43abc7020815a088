"""Every number and flag of the public interface, by its signature: a call works, or one line names
the argument.
"""

from __future__ import annotations

import inspect
import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

import nc1fast as nc

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
y = np.repeat([0, 1, 2], 4)
RELU, DEEP = nc.NNGP("relu"), nc.NTK("relu", depth=3)
QUIET = {"convention": "papyan"}

# name: (function, positional arguments, keywords); every other parameter has its default.
CALLS = {
    "collapse": (nc.collapse, (X, y, RELU), QUIET),
    "collapse features": (nc.collapse, (X, y), QUIET),
    "collapse Gram": (nc.collapse, (X @ X.T, y, "precomputed"), QUIET),
    "collapse pairs": (nc.collapse, (X, y, RELU), {**QUIET, "method": "pairs"}),
    "collapse shortcut": (nc.collapse, (X[:, :1], y, RELU), {**QUIET, "method": "shortcut"}),
    "collapse_each": (nc.collapse_each, ([(X, y)] * 2, RELU), QUIET),
    "class_sums": (nc.class_sums, (X, y, RELU), {}),
    "Linear": (nc.Linear, (), {}),
    "ConjugateKernel": (nc.ConjugateKernel, ("erf",), {}),
    "NNGP": (nc.NNGP, ("relu",), {}),
    "NTK": (nc.NTK, ("relu",), {}),
    "NTK standard": (nc.NTK, ("relu",), {"parametrization": "standard", "width": 5}),
    "LeakyReLU": (nc.LeakyReLU, (), {}),
    "AdaptiveKernel": (nc.AdaptiveKernel, (np.eye(3),), {}),
    "Gram": (RELU, (X,), {}),
    "features": (nc.estimators.features, (X, y, RELU), {**QUIET, "n_units": 64}),
    "deep features": (nc.estimators.features, (X, y, DEEP), {**QUIET, "n_units": 64}),
    "pairs": (nc.estimators.pairs, (X, y, RELU), QUIET),
    "ntk_features": (nc.estimators.ntk_features, (X, DEEP, 64), {}),
    "proximal_features": (nc.estimators.proximal_features, (X, 8), {}),
    "plan": (nc.distributed.plan, (X, y, RELU), {}),
    "reduce": (nc.distributed.reduce, (nc.distributed.plan(X, y, RELU, bundles=2),), {}),
    "dask": (nc.distributed.dask, (None,), {}),
    "gaussian_mixture": (nc.datasets.gaussian_mixture, ((-1, 1), 0.5, (3, 4), 2), {}),
    "paper_d1": (nc.datasets.paper_d1, (4, 2), {}),
    "paper_d2": (nc.datasets.paper_d2, (8, 2), {}),
    "erf_ntk": (nc.compat.released.erf_ntk, (X,), {}),
    "solve": (nc.adaptive.solve, (X, y), {"noise": 1.0, "max_iter": 3}),
    "released_adaptive": (nc.compat.released_adaptive, (X, y), {"noise": 1.0, "max_iter": 3}),
    "shuffled_control": (nc.adaptive.shuffled_control, (X, y), {"noise": 1.0, "max_iter": 3}),
    "expected_collapse": (nc.theory.expected_collapse, (RELU, (-1, 1), 0.5), {"n_features": 2}),
}
ANYTHING = [
    *(math.nan, math.inf, -math.inf, -1, 0, 0.5, 2.5, True, np.True_, "3", b"3", 1j, None),
    *(10**30, -(10**30), 10**400, np.int64(3), np.float32(3), np.uint8(2), np.array(3)),
    *(np.array([1, 2]), np.array("3"), np.complex128(1), np.datetime64("2020")),
    *(object(), [], {}, ()),
]  # fmt: skip
NEVER = {  # whatever the range
    "int": [math.nan, math.inf, 0.5, 2.5, np.float32(3), True, np.True_, "3", b"3", 1j, {}],
    "float": [math.nan, -math.inf, True, np.True_, "3", b"3", np.array("3"), 1j, {}],
    "bool": [0, 1, -1, 0.0, math.nan, "True", "no", [], np.int64(0), np.array([True]), {}],
}  # fmt: skip


def _kind(parameter):
    """int, float or bool, where the annotation says so."""
    words = set(re.findall(r"\w+", str(parameter.annotation)))
    if parameter.annotation is inspect.Parameter.empty:
        return None
    names = {"means", "stds", "sigma", "memory_limit"}  # the last a number of bytes, whole or not
    if words & {"float", "PerLayer"} or parameter.name in names:
        return "float"
    if words & {"int", "Seed"} and "Callable" not in words and "str" not in words:
        return "int"
    return "bool" if words & {"bool", "Progress"} else None


PARAMETERS = [
    (name, parameter.name, kind)
    for name, (function, _, _) in CALLS.items()
    for parameter in inspect.signature(function).parameters.values()
    if (kind := _kind(parameter)) is not None
]


def test_the_numbers_and_flags_are_found():
    kinds = [kind for _, _, kind in PARAMETERS]
    assert min(map(kinds.count, ("int", "float", "bool"))) >= 10
    found = {(name, argument) for name, argument, _ in PARAMETERS}
    assert found > {
        ("collapse", "tolerance"), ("collapse", "memory_limit"), ("collapse", "keep_rows"),
        ("class_sums", "part"), ("NTK", "train_bias"), ("NTK", "width"), ("NNGP", "depth"),
        ("pairs", "n_pairs"), ("features", "n_units"), ("pairs", "confidence"), ("plan", "bundles"),
        ("reduce", "retries"), ("LeakyReLU", "slope"), ("solve", "tol"), ("solve", "widths"),
    }  # fmt: skip


NO_NUMBERS: list[Any] = [math.nan, -1, 2.5j, "3", {}, b"3"]


def _outcome(name, argument, value):
    """The error of a call with one argument changed, or None."""
    function, given, keywords = CALLS[name]
    arguments = dict(inspect.signature(function).bind(*given, **keywords).arguments)
    arguments.update(arguments.pop("options", {}))
    try:
        function(**{**arguments, argument: value})
    except (ValueError, TypeError) as error:
        return error
    return None


def _names(error, argument):
    """One short line with the argument, or one of those that it does not belong together with."""
    text = str(error)
    assert "\n" not in text
    assert len(text) < 400
    others = {"method", "width", "parametrization"}
    return any(re.search(rf"\b{word}\b", text) for word in {argument} | others)


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize(("name", "argument", "kind"), PARAMETERS)
def test_a_call_works_or_names_the_argument(name, argument, kind):
    for value in ANYTHING:
        error = _outcome(name, argument, value)
        assert error is None or _names(error, argument), (value, error)
    for value in NEVER[kind]:
        error = _outcome(name, argument, value)
        assert error is not None, value
        assert _names(error, argument), (value, error)


ACCEPTED = {
    "n_pairs=-5": lambda: nc.estimators.pairs(X, y, RELU, n_pairs=-5),
    "n_pairs=0": lambda: nc.estimators.pairs(X, y, RELU, n_pairs=0),
    "n_units=-5": lambda: nc.estimators.features(X, y, RELU, n_units=-5),
    "n_units=0": lambda: nc.estimators.features(X, y, RELU, n_units=0),
    "n_features=-5": lambda: nc.estimators.ntk_features(X, RELU, -5),
    "steps=0": lambda: nc.estimators.proximal_features(X, 8, steps=0),
    "threshold=-1": lambda: nc.estimators.proximal_features(X, 8, threshold=-1),
    "prox=[]": lambda: nc.estimators.proximal_features(X, 8, prox=[]),
    "confidence=2": lambda: nc.estimators.pairs(X, y, RELU, confidence=2),
    "confidence=1.0": lambda: nc.estimators.features(X, y, RELU, confidence=1.0),
    "tolerance=-1": lambda: nc.estimators.pairs(X, y, RELU, tolerance=-1),
    "tolerance=nan": lambda: nc.estimators.features(X, y, RELU, tolerance=math.nan),
    "memory_limit=nan": lambda: nc.collapse(X, y, RELU, memory_limit=math.nan),
    "memory_limit=inf": lambda: nc.class_sums(X, y, RELU, part=(0, 2), memory_limit=math.inf),
    "memory_limit=-1": lambda: nc.estimators.pairs(X, y, RELU, memory_limit=-1),
    "part=(0.5, 2)": lambda: nc.class_sums(X, y, RELU, part=(0.5, 2)),
    "part=(True, 2)": lambda: nc.class_sums(X, y, RELU, part=(True, 2)),
    "part=3": lambda: nc.class_sums(X, y, RELU, part=3),
    "bundles=2.5": lambda: nc.distributed.plan(X, y, RELU, bundles=2.5),
    "bundles=1": lambda: nc.distributed.plan(X, y, RELU, bundles=1),
    "retries=-1": lambda: nc.distributed.reduce(CALLS["reduce"][1][0], retries=-1),
    "seed=-1": lambda: nc.estimators.pairs(X, y, RELU, seed=-1),
    "seed=2.0": lambda: nc.adaptive.solve(X, y, noise=1.0, seed=2.0),
    "train_bias=0": lambda: nc.NTK("relu", train_bias=0),
    "keep_rows=no": lambda: nc.collapse(X, y, RELU, keep_rows="no"),
    "widths=5": lambda: nc.adaptive.solve(X, y, noise=1.0, widths=5),
    "convention=[]": lambda: nc.collapse(X, y, RELU, convention=[]),
    "dtype=[]": lambda: nc.collapse(X, y, RELU, dtype=np.array(["float64", "float32"])),
    "statistics=[]": lambda: nc.collapse(X, y, RELU, statistics=np.array(["all", "sums"])),
    "method=[]": lambda: nc.collapse(X, y, RELU, method=np.array(["exact", "auto"])),
    "sampling=[]": lambda: nc.estimators.ntk_features(X, RELU, 64, sampling=[]),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_was_accepted_or_told_in_other_words_is_refused(name):
    argument = name.partition("=")[0]
    with pytest.raises((ValueError, TypeError), match=rf"^{argument}\b[^\n]* must [^\n]*, got "):
        ACCEPTED[name]()


def test_flags_of_numpy_are_flags():
    data = X + 3
    for given, meant in ((np.False_, False), (np.True_, True)):
        kernel = nc.NTK("relu", bias_variance=0.5, train_bias=given)
        same = nc.NTK("relu", bias_variance=0.5, train_bias=meant)
        assert kernel == same
        assert repr(kernel) == repr(same)
        np.testing.assert_array_equal(kernel(data), same(data))
    trained, fixed = (
        nc.NTK("relu", bias_variance=0.5, train_bias=f) for f in (np.True_, np.False_)
    )
    assert not np.array_equal(trained(data), fixed(data))
    assert nc.collapse(X, y, RELU, keep_rows=np.True_).sums.class_rows is not None
    assert nc.collapse(X, y, RELU, keep_rows=np.False_).sums.class_rows is None


def test_numbers_of_numpy_give_the_same_kernel_and_the_same_problem():
    assert repr(nc.LeakyReLU(np.float64(0.2))) == repr(nc.LeakyReLU(0.2))
    assert nc.NNGP(nc.LeakyReLU(np.float32(0.5)), np.int64(3)) == nc.NNGP(nc.LeakyReLU(0.5), 3)
    one = nc.class_sums(X, y, nc.NNGP(nc.LeakyReLU(np.float64(0.2))), part=(0, 2))
    two = nc.class_sums(X, y, nc.NNGP(nc.LeakyReLU(0.2)), part=(np.int64(1), np.int8(2)))
    assert (one + two).complete


def test_networks_check_as_kernels_do():
    pytest.importorskip("torch")
    network = nc.networks.ShallowNetwork("relu", 3, width=4, seed=0)
    settings = {
        "ShallowNetwork": (lambda **s: nc.networks.ShallowNetwork("relu", 3, **{"width": 4, **s}), (
            "depth", "width", "n_outputs", "weight_variance", "bias_variance", "train_bias",
            "batch_norm", "seed",
        )),
        "train": (lambda **s: nc.networks.train(network, X, y, **{"epochs": 2, **s}), (
            "lr", "momentum", "weight_decay", "epochs", "until", "batch_size", "repeats", "probe",
            "seed", "progress",
        )),
        "probe": (lambda **s: nc.networks.probe(network, X, y, **s), ("batch_size",)),
        "empirical_ntk": (lambda **s: nc.networks.empirical_ntk(network, X, **s), (
            "batch_size", "outputs",
        )),
        "conjugate_kernel": (lambda **s: nc.networks.conjugate_kernel(network, X, **s), (
            "batch_size",
        )),
        "Ensemble": (lambda **s: nc.networks.Ensemble(network, **{"n_networks": 2, **s}), (
            "n_networks", "seed",
        )),
        "tangent_dispersion": (
            lambda **s: nc.networks.tangent_dispersion(network, X, **{"draws": 2, **s}),
            ("draws", "seed"),
        ),
    }  # fmt: skip
    for function, names in settings.values():
        for name in names:
            for value in NO_NUMBERS:
                with pytest.raises((ValueError, TypeError)) as error:
                    function(**{name: value})
                assert _names(error.value, name)
    for name in ("lr", "temperature", "prior_variance"):
        for value in (math.nan, 0, -1, "3", None, True):
            with pytest.raises((ValueError, TypeError), match=rf"^{name} must be"):
                nc.networks.Langevin(
                    network.parameters(),
                    **{"lr": 0.1, "temperature": 1.0, "prior_variance": 1.0, name: value},
                )


def test_an_executor_is_not_asked_where_a_number_is_wrong():
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(TypeError, match="retries must be an integer"),
    ):
        nc.distributed.reduce(CALLS["reduce"][1][0], executor, retries="3")


@pytest.mark.parametrize("command", ["collapse", "shard", "train", "adapt", "theory"])
def test_numbers_of_the_command_line_end_in_one_line(command, call, tmp_path):
    """Each numeric option of a command with what it cannot mean: an exit code, and one line that is
    no traceback.
    """
    commands = pytest.importorskip("nc1fast.cli.app")
    np.savez(tmp_path / "data.npz", X=X, y=y)
    data = str(tmp_path / "data.npz")
    function, base = {
        "collapse": (commands.measure.collapse, [data, "--convention", "papyan"]),
        "shard": (
            commands.measure.shard,
            [data, "--index=0", "--of=2", "--out", tmp_path / "sums"],
        ),
        "train": (commands.learn.train, [data, "--epochs=2", "--width=4"]),
        "adapt": (commands.learn.adapt, [data, "--noise=1", "--max-iter=2"]),
        "theory": (commands.measure.theory, ["--means=-1,1", "--stds=0.5", "--features=3"]),
    }[command]
    assert call(command, *base)[0] in (0, 1)
    hints = get_type_hints(commands.expanded(function))
    numeric = [name for name, hint in hints.items() if {int, float} & {hint, *get_args(hint)}]
    assert numeric
    for name in numeric:
        for value in ("nan", "-1"):
            code, _, error = call(command, *base, f"--{name.replace('_', '-')}={value}")
            assert code in (0, 1, 2), (name, value)
            if code == 2:
                told = error.strip().splitlines()[-1]
                assert re.search(name.replace("_", "[_-]"), told), (name, value, error)
            assert "nan" not in value or code == 2, name
