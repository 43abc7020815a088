"""Networks beside their kernels: drawn, trained and measured in the same vocabulary.

`ShallowNetwork` knows its own infinite-width kernels; `train` follows its collapse; `probe` and `empirical_ntk` take any
torch module. Each name needs the `torch` extra when it is first used.

    network     ShallowNetwork
    polynomial  networks whose units are products; recurrent: networks with tied weights on sequences
    mean_field  two layers, alpha/m in place of m^-1/2
    settings    everything that a training is told, checked
    objective   losses and optimizers; langevin: one of them
    running     repeats, epochs and probes; checkpoint: their state on disk
    probing     the collapse of every layer
    tangent     the empirical NTK
    trace       the table of a training
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nc1fast.networks.langevin import Langevin
    from nc1fast.networks.mean_field import MeanFieldNetwork
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.polynomial import PolynomialNetwork
    from nc1fast.networks.probing import probe
    from nc1fast.networks.recurrent import RecurrentNetwork
    from nc1fast.networks.tangent import empirical_ntk
    from nc1fast.networks.trace import Trace
    from nc1fast.networks.training import train

_HOMES = {
    "Langevin": "langevin",
    "MeanFieldNetwork": "mean_field",
    "PolynomialNetwork": "polynomial",
    "RecurrentNetwork": "recurrent",
    "ShallowNetwork": "network",
    "Trace": "trace",
    "empirical_ntk": "tangent",
    "probe": "probing",
    "train": "training",
}
__all__ = [
    "Langevin",
    "MeanFieldNetwork",
    "PolynomialNetwork",
    "RecurrentNetwork",
    "ShallowNetwork",
    "Trace",
    "empirical_ntk",
    "probe",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"nc1fast.networks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
