"""The atlas: an index page over studies that were run into folders side by side, one card each, and
NC1 of all of them on D1.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.studies import library, report
from nc1fast.studies.compared import on_d1
from nc1fast.studies.loading import load
from nc1fast.support.extras import require
from nc1fast.support.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.library.entry import BuiltIn

INDEX = "index.html"
_FIGURE = re.compile(r'<figure id="figure-(?P<name>[^"]+)">.*?alt="(?P<alt>[^"]*)"', re.DOTALL)


@dataclass(frozen=True)
class Listed:
    """A study of the library, as lists of studies show it.

    Attributes
    ----------
    name, title, source, question : str
    minutes : dict of str to float
        Estimated time of each preset on two cores; none for a study of data of the user's own.
    """

    name: str
    title: str
    source: str
    question: str
    minutes: dict[str, float]


def listed() -> list[Listed]:
    """All built-in studies, in the order of the library."""
    found = []
    for name, study in library.all_studies().items():
        presets = [] if study.fit else study.presets()
        described = {preset: load(name, preset) for preset in presets}
        minutes = {
            preset: round(sum(cell.seconds for cell in one.cells()) / 120, 1)
            for preset, one in described.items()
        }
        title = described["quick"].title if described else "Your own data"
        found.append(Listed(name, title, study.source, study.question, minutes))
    return found


def in_atlas() -> list[str]:
    """Names of the studies that have data of their own."""
    return [name for name, study in library.all_studies().items() if study.fit is None]


def build(folder: str | Path) -> Path:
    """Write the index of the studies in the folders below one; those that are not there are left
    out.

    Parameters
    ----------
    folder : str or Path
        Has a folder for each study, by its name, with its report.

    Returns
    -------
    Path
        The index.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        As `nc1fast.studies.report.build`.
    """
    folder = Path(folder)
    present = [name for name in in_atlas() if (folder / name / report.REPORT).exists()]
    if not present:
        raise FileNotFoundError(f"{folder} holds no study with a report")
    cards, compared = [], []
    for name in present:
        rows, provenance = report.layout_of(folder / name).read(folder / name)
        study = library.all_studies()[name]
        card = _card(name, study, study.claims(rows), provenance)
        cards.append(card | _lead(folder, card))
        if lines := on_d1(rows):
            compared.append((name, lines))
    write_atomically(folder / INDEX, _rendered(cards, compared).encode())
    return folder / INDEX


def _card(
    name: str, study: BuiltIn, claims: Sequence[Claim], provenance: dict[str, Any]
) -> dict[str, Any]:
    """The part of the index for one study: its question, what of it is ours, and its claims with
    their words.
    """
    return {
        "name": name,
        "title": provenance.get("title", name),
        "source": study.source,
        "question": study.question,
        "ours": study.ours,
        "preset": provenance.get("preset", ""),
        "href": f"{name}/{report.REPORT}",
        "claims": claims,
    }


def _lead(folder: Path, card: dict[str, Any]) -> dict[str, str]:
    """The first figure of a report, which is not drawn again, and what it shows."""
    found = _FIGURE.search((folder / card["href"]).read_text(encoding="utf-8"))
    if found is None:
        return {"figure": "", "alt": ""}
    figure = f"{card['name']}/{report.FIGURES}/{found['name']}.svg"
    return {"figure": figure, "alt": html.unescape(found["alt"])}


def _rendered(cards: Sequence[dict[str, Any]], compared: Sequence[Any]) -> str:
    markup = require("markupsafe", "study").Markup
    columns = sorted({d0 for _, lines in compared for _, line in lines for d0 in line})
    text: str = report.template("atlas.html.j2").render(
        css=markup(report.text_of("report.css")), cards=cards, compared=compared, columns=columns
    )
    return text
