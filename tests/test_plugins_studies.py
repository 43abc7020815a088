"""Kernels of plug-ins in descriptions of studies."""

from __future__ import annotations

import importlib
import textwrap

import pytest
from tests.distributions import KERNEL

STUDY = """
    name: mine
    title: He beside NTK
    repeats: 1
    arms:
      - name: kernels
        data:
          - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5,
             n_samples: [32], n_features: [4]}
        kernels:
          - {kernel: NTK, activation: relu, weight_variance: 2}
          - {kernel: he-tangent, activation: [relu, erf], depth: [2, 3]}
          - {kernel: he-tangent, activation: relu, weight_variance: 3, bias_variance: 0.5}
    """
HE = "[nc1fast.kernels]\nhe-tangent = he_kernel:HeTangent\n"


def test_a_kernel_is_one_of_a_study(install, tmp_path):
    studies = pytest.importorskip("nc1fast.studies")
    install(HE, he_kernel=KERNEL)
    study = studies.loading.parse(textwrap.dedent(STUDY))
    result = studies.run(study, tmp_path / "out")
    rows = [row for row in result.rows if row["model"] == "he-tangent"]
    told = [(r["activation"], r["depth"], r["weight_variance"], r["bias_variance"]) for r in rows]
    assert told == [
        *(("relu", 2, "2", "0"), ("relu", 3, "2", "0"), ("erf", 2, "2", "0"), ("erf", 3, "2", "0")),
        ("relu", 2, "3", "0.5"),
    ]
    [same] = [row["nc1"] for row in result.rows if row["model"] == "NTK"]
    assert rows[0]["nc1"] == same > 0
    assert len({row["nc1"] for row in rows}) == 5
    assert all(row["status"] == "ok" for row in rows)
    page = importlib.import_module("nc1fast.studies.report").build(tmp_path / "out").read_text()
    assert "he-tangent" in page


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "he-tangent, activation: [relu, erf]",
            "he-tangnt, activation: relu",
            (
                r"line 12: arms.0.kernels.1.kernel: must be .* or 'he-tangent', "
                r".* mean 'he-tangent'\?\)"
            ),
        ),
        (
            "he-tangent, activation: [relu, erf]",
            "absent, activation: relu",
            r"kernels.1.kernel: plug-in 'absent' .* ModuleNotFoundError",
        ),
        ("he-tangent, activation: [relu, erf]", "he-tangent", "he-tangent: .*'activation'"),
        ("bias_variance: 0.5", "width: 9", "he-tangent: .*width"),
        ("[relu, erf]", "[relu, err]", "unknown activation 'err'"),
    ],
)
def test_mistakes_of_a_kernel_of_a_study_are_one_line(install, old, new, message):
    studies = pytest.importorskip("nc1fast.studies")
    install(HE + "absent = no_such_module:x\n", he_kernel=KERNEL)
    text = textwrap.dedent(STUDY)
    assert text.count(old) == 1
    with pytest.raises(ValueError, match=message) as caught:
        studies.loading.parse(text.replace(old, new))
    assert "\n" not in str(caught.value)


def test_a_kernel_of_a_study_has_the_keys_of_its_class_alone(install):
    studies = pytest.importorskip("nc1fast.studies")
    definition = """
        from dataclasses import dataclass
        import nc1fast as nc

        @dataclass(frozen=True)
        class Halved(nc.Linear):
            weight_variance: float = 0.5
            option = "halved"
        """
    install("[nc1fast.kernels]\nhalved = halved_kernel:Halved\n", halved_kernel=definition)
    entry = studies.tasks.kernels.Kernels
    [(columns, kernel)] = entry(kernel="halved").expand()
    assert (columns.label(), kernel.weight_variance) == ("halved 1 0.5 0", 0.5)
    with pytest.raises(ValueError, match="halved has no depth, slope"):
        entry(kernel="halved", depth=2, slope=0.5)
