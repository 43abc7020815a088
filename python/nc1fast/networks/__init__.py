"""Networks beside their kernels: drawn, trained and measured in the same vocabulary.

`ShallowNetwork` knows its own infinite-width kernels; `train` follows its collapse; `probe`,
`empirical_ntk` and `conjugate_kernel` take any torch module. Each name but `LinearNetwork`, which
is NumPy's, needs the `torch` extra when it is first used.

    network     ShallowNetwork
    linear      deep linear networks: their tangent kernel and gradient flow in closed form
    polynomial  networks whose units are products; recurrent: networks with tied weights on
        sequences
    mean_field  two layers, alpha/m in place of m^-1/2
    settings    everything that a training is told, checked
    objective   losses and optimizers; langevin: one of them
    running     repeats, epochs and probes; checkpoint: their state on disk
    probing     the collapse of the layers of any module; shallow_layers: of a network in training
    monitor     probes in any training loop
    figures     metrics against the layers, and through a training
    tangent     the empirical NTK; conjugate: the Gram matrix of hidden features
    ensemble    many draws of one network at once; dispersion: moments of their empirical NTK
    trace       the table of a training
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nc1fast.networks.conjugate import conjugate_kernel
    from nc1fast.networks.dispersion import TangentDispersion, tangent_dispersion
    from nc1fast.networks.ensemble import Ensemble
    from nc1fast.networks.figures import plot_layers, plot_training
    from nc1fast.networks.langevin import Langevin
    from nc1fast.networks.linear import LinearFlow, LinearNetwork
    from nc1fast.networks.mean_field import MeanFieldNetwork
    from nc1fast.networks.monitor import Monitor
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.polynomial import PolynomialNetwork
    from nc1fast.networks.probing.streamed import probe, probe_memory
    from nc1fast.networks.recurrent import RecurrentNetwork
    from nc1fast.networks.tangent import empirical_ntk
    from nc1fast.networks.trace import Trace
    from nc1fast.networks.training import train

_HOMES = {
    "Ensemble": "ensemble",
    "Langevin": "langevin",
    "LinearFlow": "linear",
    "LinearNetwork": "linear",
    "MeanFieldNetwork": "mean_field",
    "Monitor": "monitor",
    "PolynomialNetwork": "polynomial",
    "RecurrentNetwork": "recurrent",
    "ShallowNetwork": "network",
    "TangentDispersion": "dispersion",
    "Trace": "trace",
    "conjugate_kernel": "conjugate",
    "empirical_ntk": "tangent",
    "plot_layers": "figures",
    "plot_training": "figures",
    "probe": "probing.streamed",
    "probe_memory": "probing.streamed",
    "tangent_dispersion": "dispersion",
    "train": "training",
}
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
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"nc1fast.networks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
