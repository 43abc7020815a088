"""The pages of the atlas, docs/atlas/: a page for each study and the index over them, written from
committed tables.

    python ci/atlas_pages.py [NAME ...] [--results DIR] [--docs docs/atlas] [--check]

With --results it first takes the tables and figures of finished studies, DIR/NAME as `nc1fast study
NAME --out DIR/NAME` leaves them; without names, all that are there. Then it writes all pages and
prints those that changed. With --check it writes nothing, and fails if a page does not follow from
the tables. Needs the package with its extra `study`.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import atlas_tables
import study_quotes
from atlas_results import DOCS, LARGEST_FIGURE, ROOT, TABLE, VERSIONS, committed, finished, take

from nc1fast.studies import atlas, library, page
from nc1fast.studies.compared import PLACES, on_d1
from nc1fast.studies.findings import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from atlas_results import Committed

    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.tidy import Row

INDEX = "README.md"
PAPER = ROOT / "docs" / "paper"
_MARKDOWN = ("work", "command", "table")  # facts that are no plain text
_WIDTH = 150
_LIST_MARKER = re.compile(r" (?=(?:\d+[.)]|[-+*#>]) )")  # would begin a list at the start of a line


def pages(docs: Path = DOCS) -> dict[Path, str]:
    """The text of every page, by its path."""
    studies = committed(docs)
    listed = _listed()
    texts = {docs / f"{one.name}.md": _page(one, listed[one.name].minutes) for one in studies}
    return {**texts, docs / INDEX: _index(studies, listed)}


@functools.cache
def _listed() -> dict[str, atlas.Listed]:
    return {one.name: one for one in atlas.listed()}


def stale(docs: Path = DOCS) -> list[str]:
    """What does not follow from the tables: pages that differ, are missing or are not of a study,
    and files too large.
    """
    expected = pages(docs)
    found = [
        path.name
        for path, text in expected.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    found += [path.name for path in docs.glob("*.md") if path not in expected]
    studies = committed(docs)
    known = {one.folder for one in studies}
    found += [path.name for path in docs.iterdir() if path.is_dir() and path not in known]
    for one in studies:
        figure = one.folder / f"{one.origin['figure']['name']}.png"
        sizes = {one.folder / TABLE: atlas_tables.LIMIT, figure: LARGEST_FIGURE}
        for path, limit in sizes.items():
            if not path.exists() or path.stat().st_size >= limit:
                found.append(f"{one.name}/{path.name}")
    return found


def _page(one: Committed, minutes: dict[str, float]) -> str:
    """The page of one study."""
    origin, study = one.origin, one.study
    blocks = [
        f"<!-- written by ci/atlas_pages.py from {one.name}/{TABLE} -->",
        f"# {_plain(origin['title'])}",
        f"**{_plain(study.question)}**",
        "\n".join(["| | |", "| --- | --- |", *_facts(one, minutes)]),
    ]
    if origin.get("provisional"):
        blocks.append(
            "Preset quick, a thinned grid with few repeats: verdicts may change on the full one."
        )
    blocks += ["## Claims", _claims(one.claims), *map(_claim, one.claims)]
    for heading, findings in study.sections(one.rows):
        blocks += [f"## {heading}", *(_wrapped(f"{f.title}. {f.claim}") for f in findings)]
    blocks += ["## Figure", *_figure(one)]
    if compared := on_d1(one.rows):
        rows = [[thing, *_on_places(line)] for thing, line in compared]
        blocks += [
            "## NC1 of its constructions on D1",
            _D1,
            _table(["construction", *_PLACES], rows),
        ]
    blocks.append(f"[All studies]({INDEX})")
    return "\n\n".join(blocks) + "\n"


def _facts(one: Committed, minutes: dict[str, float]) -> Iterator[str]:
    """Lines of the table at the top of a page."""
    origin, study = one.origin, one.study
    form = atlas_tables.Form(**origin["form"])
    left_out = form.told(origin["most_repeats"])
    n_lines = len((one.folder / TABLE).read_text(encoding="utf-8").splitlines()) - 1
    table = (
        f"[{TABLE}]({one.name}/{TABLE}): {len(one.rows):,} of {origin['rows']:,} rows in "
        f"{n_lines:,} lines"
    )
    told = {
        "work": _cited(study.source),
        "ours": study.ours,
        "command": f"`nc1fast study {one.name} --preset {origin['preset']} --out out/{one.name}`",
        "time on two cores": "; ".join(f"{preset} {_time(m)}" for preset, m in minutes.items()),
        "this run": f"preset {origin['preset']}, seed {origin['seed']}, up to "
        f"{origin['most_repeats']} repeats, "
        f"{origin['cells'].partition(' ')[0]} cells, {_time(origin['minutes'])} in them by the "
        f"clock, {origin['date']}",
        "versions": ", ".join(f"{_called(key)} {origin[key]}" for key in VERSIONS if key in origin),
        "table": table + (f"; {left_out}" if left_out else ""),
    }
    for name, text in told.items():
        if text:
            yield f"| {name} | {text if name in _MARKDOWN else _cell(text)} |"


def _time(minutes: float) -> str:
    return f"{minutes:g} min" if minutes else "under 0.1 min"


def _called(key: str) -> str:
    return {"version": "nc1fast", "core": "core:"}.get(key, key)


def _claims(claims: Sequence[Claim]) -> str:
    """One line each."""
    return _table(["", "claim", "verdict", "settings"], map(_line, claims))


def _line(claim: Claim) -> list[str]:
    counts = ", ".join(f"{word} {n}" for word, n in claim.counts.items())
    return [claim.letter, claim.finding.title, claim.finding.verdict, counts]


def _claim(claim: Claim) -> str:
    """Statement, number and sentences."""
    found = claim.finding
    first = _wrapped(
        f"**{claim.letter}. {_plain(found.title)}** ({_plain(found.verdict)}). "
        f"{_plain(found.claim)}",
        plain=False,
    )
    return "\n".join([first, "", *(_bullet(s) for s in (claim.number, *claim.details) if s)])


def _figure(one: Committed) -> Iterator[str]:
    """The image, and its caption."""
    figure = one.origin["figure"]
    title, _, rest = figure["caption"].partition(". ")
    alt = f"{title.rstrip('.')}. {figure['seen']}".strip().replace("[", "(").replace("]", ")")
    yield f"![{' '.join(alt.split())}]({one.name}/{figure['name']}.png)"
    yield _wrapped(f"**{_plain(title.rstrip('.'))}.** {_plain(rest)}", plain=False)


# The index

_D1 = (
    "D1: two classes N(±2·1, I/4) in d₀ dimensions, N = 256. Medians over the repeats; in brackets "
    "the largest bound on the "
    "rounding error, where one is known. Every study draws its own data, so that one kernel "
    "differs between studies by the draws."
)
_PLACES = [f"d₀ = {d0}" for d0 in PLACES]


def _index(studies: Sequence[Committed], listed: dict[str, atlas.Listed]) -> str:
    """One row for each study, the claims that do not hold, then NC1 of all constructions."""
    of_paper, claims_of_paper = _paper()
    told = [("paper", "../findings.md", claims_of_paper)]
    told += [(one.name, f"{one.name}.md", one.claims) for one in studies]
    rows = [
        [
            f"[{name}]({href})",
            _cited(listed[name].source),
            _cell(listed[name].question),
            _verdicts(claims),
            "; ".join(f"{preset} {_time(m)}" for preset, m in listed[name].minutes.items()),
        ]
        for name, href, claims in told
    ]
    unsettled = [
        [f"[{name}]({href})", *map(_cell, _line(claim))]
        for name, href, claims in told
        for claim in claims
        if claim.finding.verdict not in rules.IN_FAVOUR
    ]
    tables = [("paper", "../findings.md", of_paper)]
    tables += [(one.name, f"{one.name}.md", one.rows) for one in studies]
    compared = [
        [f"[{name}]({href})", _cell(thing), *_on_places(line)]
        for name, href, found in tables
        for thing, line in on_d1(found)
    ]
    blocks = [
        f"<!-- written by ci/atlas_pages.py from */{TABLE} and ../paper/table.csv -->",
        "# The atlas",
        _wrapped(
            "Works on kernels, features and collapse around the paper, each run by one command and "
            "judged by the same rules. "
            "A study states the claims of its work, measures them on a grid, and gives each a "
            "verdict; what stands in for a "
            "formula that was not read is called ours. `nc1fast study list` shows the studies, "
            "`nc1fast study all --out out/atlas` "
            "runs them into one site. [Normalisations](../normalisation.md) translates the works' "
            "parametrizations.",
            plain=False,
        ),
        _table(["study", "work", "question", "claims", "time on two cores"], rows, plain=False),
        "## Claims that do not hold everywhere",
        "The page of the study says where not, and how far.",
        _table(["study", "", "claim", "verdict", "settings"], unsettled, plain=False),
        "## NC1 of every construction on D1",
        _D1,
        _table(["study", "construction", *_PLACES], compared, plain=False),
        _wrapped(
            "`python ci/atlas_pages.py --results DIR` writes these pages from finished studies; a "
            "test compares pages and tables.",
            plain=False,
        ),
    ]
    return "\n\n".join(blocks) + "\n"


@functools.cache
def _paper() -> tuple[list[Row], list[Claim]]:
    """The committed table of the paper's own study."""
    rows = study_quotes.committed(PAPER)
    return rows, library.STUDIES["paper"].claims(rows)


def _verdicts(claims: Sequence[Claim]) -> str:
    """Letters by verdict: "**holds** U1, U2; **fails** U3"."""
    letters: dict[str, list[str]] = {}
    for claim in claims:
        letters.setdefault(claim.finding.verdict, []).append(claim.letter)
    return "; ".join(f"**{_cell(word)}** {', '.join(found)}" for word, found in letters.items())


def _on_places(line: dict[float, tuple[float, float]]) -> list[str]:
    """NC1 and its bound at each number of features."""
    texts = []
    for d0 in PLACES:
        value, error = line.get(d0, (float("nan"), float("nan")))
        known = "" if error != error else f" ({page.bound(error)})"  # noqa: PLR0124  (NaN)
        texts.append("" if value != value else page.number(value) + known)  # noqa: PLR0124
    return texts


# Markdown


def _plain(text: str) -> str:
    """Text without meaning for Markdown."""
    return re.sub(r"([\\`*_<~])", r"\\\1", text)


def _cell(text: str) -> str:
    return _plain(text).replace("|", r"\|")


def _cited(source: str) -> str:
    return page.ARXIV.sub(r"[\g<0>](https://arxiv.org/abs/\g<0>)", _cell(source))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, plain: bool = True) -> str:
    lines = [header, ["---"] * len(header), *([_cell(t) if plain else t for t in r] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullet(text: str) -> str:
    return _wrapped(text, "- ", "  ")


def _wrapped(text: str, first: str = "", later: str = "", *, plain: bool = True) -> str:
    return textwrap.fill(
        _LIST_MARKER.sub("\N{NO-BREAK SPACE}", _plain(text) if plain else text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Take results, then write or check the pages; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="studies to take; default: all in --results"
    )
    parser.add_argument("--results", type=Path, help="folder of finished studies, DIR/NAME")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a page is stale"
    )
    given = parser.parse_args(arguments)
    if given.names and given.results is None:
        parser.error("names need --results")
    if given.check and given.results is not None:
        parser.error("--check writes nothing: it takes no --results")
    if given.check:
        found = stale(given.docs)
        print("\n".join(found) or "all pages follow from their tables")
        return 1 if found else 0
    if given.results is not None:
        for name in given.names or finished(given.results):
            take(name, given.results, given.docs)
            print(f"{name}: taken")
    for path, text in pages(given.docs).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
