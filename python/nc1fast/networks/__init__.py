"""Networks beside their kernels: drawn, trained and measured in the same vocabulary.

`ShallowNetwork` knows its own infinite-width kernels; `train` follows its collapse; `probe`,
`empirical_ntk` and `conjugate_kernel` take any torch module. Each name but `LinearNetwork` and
`LinearFlow`, which are NumPy's, and the figures needs the `torch` extra when it is first used.

    network        ShallowNetwork
    architectures  products of units, tied weights on sequences, the mean-field scaling
    linear         deep linear networks: their tangent kernel and gradient flow in closed form
    empirical      the empirical NTK and the Gram matrix of hidden features
    ensemble       many draws of one network at once, and the moments of their empirical NTK
    training       `train`; settings: checked; objective: losses and optimizers, `Langevin`
    running        repeats, epochs and probes; checkpoint: their state on disk
    trace          the table of a training, and the measurements of its layers
    probing        the collapse of the layers of any module
    monitor        probes in any training loop
    figures        metrics against the layers, and through a training
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.networks.architectures import (
        MeanFieldNetwork,
        PolynomialNetwork,
        RecurrentNetwork,
    )
    from nc1fast.networks.empirical import conjugate_kernel, empirical_ntk
    from nc1fast.networks.ensemble import Ensemble, TangentDispersion, tangent_dispersion
    from nc1fast.networks.figures import plot_layers, plot_training
    from nc1fast.networks.linear import LinearFlow, LinearNetwork
    from nc1fast.networks.monitor import Monitor
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.objective import Langevin
    from nc1fast.networks.probing.streamed import probe, probe_memory
    from nc1fast.networks.trace import Trace
    from nc1fast.networks.training import train

_HOMES = {  # modules and their names
    "architectures": ("MeanFieldNetwork", "PolynomialNetwork", "RecurrentNetwork"),
    "empirical": ("conjugate_kernel", "empirical_ntk"),
    "ensemble": ("Ensemble", "TangentDispersion", "tangent_dispersion"),
    "figures": ("plot_layers", "plot_training"),
    "linear": ("LinearFlow", "LinearNetwork"),
    "monitor": ("Monitor",),
    "network": ("ShallowNetwork",),
    "objective": ("Langevin",),
    "probing.streamed": ("probe", "probe_memory"),
    "trace": ("Trace",),
    "training": ("train",),
}
_WITHOUT_TORCH = ("linear", "figures")
__all__ = [
    "Ensemble",
    "Langevin",
    "LinearFlow",
    "LinearNetwork",
    "MeanFieldNetwork",
    "Monitor",
    "PolynomialNetwork",
    "RecurrentNetwork",
    "ShallowNetwork",
    "TangentDispersion",
    "Trace",
    "conjugate_kernel",
    "empirical_ntk",
    "plot_layers",
    "plot_training",
    "probe",
    "probe_memory",
    "tangent_dispersion",
    "train",
]


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home not in _WITHOUT_TORCH:
        require("torch", "torch")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
