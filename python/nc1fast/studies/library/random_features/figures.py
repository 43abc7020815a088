"""Errors of random features against their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import Look, graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.random_features.parts import FROBENIUS, NC1, PREDICTIONS, SPECTRAL
from nc1fast.studies.measures import along, chosen, setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_GRAM = Look("Gram matrix", palette.NTK, "s")
_NC1 = Look("NC1", palette.NNGP, "o", "--")


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Errors of Gram matrix, NC1 and predictions; then the spectral approximation; a panel for each
    kind of data and depth.
    """
    del series
    kept = [row for row in rows if setting_of(row).get("sampling") == "stratified"]
    errors = [
        Panel(title, [*_plain(some), *_by_ridge(chosen(some, PREDICTIONS), "ridge regression")])
        for title, some in _panels(kept)
    ]
    spectral = [
        Panel(title, _by_ridge(chosen(some, SPECTRAL), "eps")) for title, some in _panels(kept)
    ]
    name = "m: random features"
    return measured.drawings(
        {
            "errors": (
                (
                    "Relative errors of random features of the NTK. Gram matrix in Frobenius' norm, NC1, and predictions of ridge "
                    "regression for other rows, against those of the kernel; λ in units of the mean diagonal of K."
                ),
                Sheet([errors], name, "relative error", height=3.4),
            ),
            "spectral": (
                "Spectral approximation by random features. The least eps with (1 - eps)(K + λI) ≤ H Hᵀ + λI ≤ (1 + eps)(K + λI).",
                Sheet([spectral], name, "eps", height=3.0, reference=1.0),
            ),
        }
    )


def _panels(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by data, d0 and depth, with what tells them apart."""
    found: dict[str, list[Row]] = {}
    several = len({setting_of(row)["d0"] for row in rows}) > 1
    for row in rows:
        setting = setting_of(row)
        if "m" in setting:
            where = f", d₀ = {setting['d0']}" if several else ""
            title = f"{setting['data']}{where}, depth {setting['depth']}"
            found.setdefault(title, []).append(row)
    return list(found.items())


def _plain(rows: Sequence[Row]) -> list[Curve]:
    return [
        measured.curve(look, chosen(rows, quantity), "m")
        for look, quantity in ((_GRAM, FROBENIUS), (_NC1, NC1))
    ]


def _by_ridge(rows: Sequence[Row], what: str) -> list[Curve]:
    """A curve for each ridge, the smaller the darker."""
    groups = sorted(along(rows, "ridge").items(), reverse=True)
    return [
        measured.curve(
            replace(graded(f"{what}, λ = {ridge:g}", i, len(groups)), rank=2.0 + i), members, "m"
        )
        for i, (ridge, members) in enumerate(groups)
    ]
