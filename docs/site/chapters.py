"""The user guide on the site: a page for each chapter of docs/guide.md, which is one file in the
repository.

docs/guide.md is replaced by its introduction and the list of the pages. Links to a chapter,
`guide.md#estimates`, are led to its page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A chapter that is not named here goes with the one before it in the file.
GROUPS = {
    "Measure collapse": (
        *("What is computed", "A first result", "The metrics", "Unequal classes", "Precision"),
        "Explicit features",
    ),
    "Choose a kernel": (
        *("Kernels", "Sums and products of kernels", "Sequences", "Expected NC1 of a mixture"),
    ),
    "Networks that learn": ("Networks beside their kernels", "The adaptive kernel"),
    "Predict with kernels": ("Using a kernel: predictions, spectra, alignment", "In scikit-learn"),
    "Large data": ("Estimates", "Parts, files, threads", "GPUs", "Many machines"),
    "Files, commands, studies": (
        *("Data", "What is checked when a file is read", "The command line", "The study"),
    ),
}  # fmt: skip
GOES_ON = (
    "*Blocks go on from [a first result](a-first-result.md): `nc` is nc1fast, `np` NumPy, and X, y "
    "are data and their labels.*"
)
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
_GLOB = re.compile(r"^([\w/.-]*\*[\w/.*-]*)\n", re.MULTILINE)  # in a list of pages
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Chapter:
    """A chapter: its title, the text below it, and the group of pages that it belongs to."""

    title: str
    text: str
    group: str

    @property
    def name(self) -> str:
        """Of its page."""
        return slug(self.title)

    @property
    def anchors(self) -> list[str]:
        """Of the headings inside of it."""
        return [slug(title) for title in re.findall(r"^##+ (.+)$", _prose(self.text), re.MULTILINE)]


def slug(title: str) -> str:
    """A heading as part of an address, as code hosts have it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def split(guide: str) -> tuple[str, list[Chapter]]:
    """The introduction, and the chapters."""
    homes = {title: group for group, titles in GROUPS.items() for title in titles}
    masked = _FENCE.sub(lambda m: re.sub(r"^#", "\0", m[1], flags=re.MULTILINE), guide)
    head, *rest = re.split(r"^## ", masked, flags=re.MULTILINE)
    chapters, group = [], next(iter(GROUPS))
    for part in rest:
        title, _, text = part.partition("\n")
        group = homes.get(title, group)
        text = re.sub(r"^##(#+) ", r"#\1 ", text, flags=re.MULTILINE)
        chapters.append(Chapter(title, text.replace("\0", "#").strip(), group))
    return head, chapters


def page(chapter: Chapter, chapters: list[Chapter]) -> str:
    """The Markdown of the page of a chapter."""
    text = _LINK.sub(lambda m: f"]({_from_chapter(m[1], chapter, chapters)})", chapter.text)
    note = [GOES_ON, ""] if "```python" in text and "import nc1fast" not in text else []
    return "\n".join([f"# {chapter.title}", "", *note, text, ""])


def contents(head: str, chapters: list[Chapter]) -> str:
    """The Markdown of the page of the guide."""
    lines = [re.sub(r"^# .*$", "# User guide", head, count=1, flags=re.MULTILINE)]
    for group, titles in GROUPS.items():
        inside = [c for c in chapters if c.group == group]
        inside.sort(key=lambda c: titles.index(c.title) if c.title in titles else len(titles))
        lines += ["```{toctree}", f":caption: {group}", ":maxdepth: 2", ""]
        lines += [f"guide/{chapter.name}" for chapter in inside] + ["```", ""]
    return "\n".join(lines)


def led(link: str, chapters: list[Chapter]) -> str:
    """A link of another page, led to the page of the chapter if it is to one."""
    path, _, anchor = link.partition("#")
    if not anchor or Path(path).name != "guide.md":
        return link
    return f"{path[: -len('.md')]}/{_within(anchor, chapters)}"


def _from_chapter(link: str, chapter: Chapter, chapters: list[Chapter]) -> str:
    if link.startswith("#"):
        return link if link[1:] in chapter.anchors else _within(link[1:], chapters)
    return link if ":" in link else f"../{link}"


def _within(anchor: str, chapters: list[Chapter]) -> str:
    for chapter in chapters:
        if anchor == chapter.name:
            return f"{anchor}.md"
        if anchor in chapter.anchors:
            return f"{chapter.name}.md#{anchor}"
    raise ValueError(f"docs/guide.md has no chapter #{anchor}")


def _prose(text: str) -> str:
    return _FENCE.sub("", text)


def _write_pages(app: Any) -> None:
    guide = Path(app.srcdir) / "docs" / "guide.md"
    app.nc1fast_guide = split(guide.read_text(encoding="utf-8"))
    _, chapters = app.nc1fast_guide
    folder = guide.with_suffix("")
    folder.mkdir(exist_ok=True)
    for left in {*folder.glob("*.md")} - {folder / f"{chapter.name}.md" for chapter in chapters}:
        left.unlink()
    for chapter in chapters:
        path, text = folder / f"{chapter.name}.md", page(chapter, chapters)
        if (
            not path.exists() or path.read_text(encoding="utf-8") != text
        ):  # a new time is a new build
            path.write_text(text, encoding="utf-8")


def _read(app: Any, name: str, source: list[str]) -> None:
    head, chapters = app.nc1fast_guide
    if name == "docs/guide":
        source[0] = contents(head, chapters)
    elif Path(app.env.doc2path(name)).suffix == ".md":
        text = _LINK.sub(lambda m: f"]({led(m[1], chapters)})", source[0])
        folder = Path(app.env.doc2path(name)).parent
        source[0] = _GLOB.sub(lambda m: m[0] if any(folder.glob(m[1] + ".md")) else "", text)


def setup(app: Any) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
