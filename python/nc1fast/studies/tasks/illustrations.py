"""Illustrations: the few data sets of an arm of which figures show series besides NC1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nc1fast.studies.fields import Count, Entry, Name

if TYPE_CHECKING:
    from nc1fast.studies.sources import Instance

Kind = Literal["training", "annealing", "sigma", "spectrum", "gram"]


class Illustration(Entry):
    """Data sets of an arm that give series, and the kinds of series; see `nc1fast.studies.series`.

    `n_samples`, `n_features` and `activation` narrow the choice. Trainings are shown of all
    repeats, everything else of the first. "gram" and "spectrum" need a Gram matrix and are left out
    beyond 2048 samples; the matrix of "sigma" is left out beyond 32 features, its spectrum is not.
    """

    show: Annotated[tuple[Kind, ...], Field(min_length=1)]
    dataset: Name
    n_samples: tuple[Count, ...] = ()
    n_features: tuple[Count, ...] = ()
    activation: tuple[str, ...] = ()

    def covers(self, instance: Instance) -> bool:
        """Whether it is about this data set."""
        return (
            self.dataset == instance.source.name
            and (not self.n_samples or instance.n_samples in self.n_samples)
            and (not self.n_features or instance.n_features in self.n_features)
        )

    def shows(self, kind: str, activation: str, repeat: int) -> bool:
        """Whether it asks for this kind of series of this activation and repeat."""
        return (
            kind in self.show
            and (not self.activation or activation in self.activation)
            and (repeat == 0 or kind == "training")
        )
