"""The examples of the gallery: their order and the look of their figures."""

from __future__ import annotations

from typing import Any

ORDER = (
    "nc1_of_image_rows",
    "nngp_against_ntk",
    "depth",
    "imbalance",
    "collapse_through_training",
    "adaptive_and_mean_field",
    "probing_a_resnet",
    "a_transformer_on_tokens",
    "regression",
    "spectra",
    "large_n_estimates",
    "out_of_core",
    "atlas_of_studies",
    "speed",
)
LOOK = {
    "figure.figsize": (6.4, 3.8),  # legible on a phone, where it is 2.2 inches wide
    "figure.dpi": 160,
    "font.size": 11,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}  # fmt: skip


def place(name: str) -> int:
    """Where an example stands; a new one at the end."""
    stem = name.removesuffix(".py")
    return ORDER.index(stem) if stem in ORDER else len(ORDER)


def look(conf: dict[str, Any], name: str) -> None:
    """Set the defaults of matplotlib before an example runs."""
    import matplotlib as mpl

    mpl.rcParams.update(LOOK)
