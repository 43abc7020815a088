"""The library of studies: an experiment is one file, which declares what it measures, claims and
draws; a comparison of NC1 (`paper`, `data`) is a folder, described by arms.

A new study is such a file or folder with a `STUDY`, and one line in `STUDIES`; one of a plug-in is
an entry point.
"""

from __future__ import annotations

from nc1fast.studies.library import (
    conjugate_kernel,
    data,
    exact_step,
    finite_infinite,
    noisy_descent,
    optimization_kernel,
    paper,
    polynomial_nets,
    random_features,
    recurrent_kernel,
    shallow_collapse,
    silent_alignment,
    sparse_bias,
    tangent_dispersion,
    unified_kernel,
)
from nc1fast.studies.library.entry import BuiltIn
from nc1fast.support.plugins import PluginGroup

__all__ = ["STUDIES", "BuiltIn", "all_studies", "told_as"]

STUDIES: dict[str, BuiltIn] = {
    "paper": paper.STUDY,
    "data": data.STUDY,
    "shallow-collapse": shallow_collapse.STUDY,
    "silent-alignment": silent_alignment.STUDY,
    "tangent-dispersion": tangent_dispersion.STUDY,
    "noisy-descent": noisy_descent.STUDY,
    "finite-infinite": finite_infinite.STUDY,
    "conjugate-kernel": conjugate_kernel.STUDY,
    "random-features": random_features.STUDY,
    "sparse-bias": sparse_bias.STUDY,
    "polynomial-nets": polynomial_nets.STUDY,
    "unified-kernel": unified_kernel.STUDY,
    "recurrent-kernel": recurrent_kernel.STUDY,
    "exact-step": exact_step.STUDY,
    "optimization-kernel": optimization_kernel.STUDY,
}
_OF_THE_USER, _WITHOUT_PROVENANCE = "data", "paper"


def told_as(name: str) -> BuiltIn:
    """The built-in study of that name, for any other name that of data, and for none, as of a bare
    CSV file, the paper.
    """
    return all_studies().get(name or _WITHOUT_PROVENANCE, STUDIES[_OF_THE_USER])


def all_studies() -> dict[str, BuiltIn]:
    """All studies by name, those of plug-ins last."""
    return {**STUDIES, **PLUGINS.usable()}


def _plugged_in(_name: str, given: BuiltIn) -> BuiltIn:
    """A study of an entry point, which has the preset by default."""
    if "quick" not in given.presets():
        raise ValueError("its folder has no quick.yml")
    return given


PLUGINS = PluginGroup("studies", BuiltIn, taken=lambda: STUDIES, accept=_plugged_in)
