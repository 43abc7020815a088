"""A Markdown twin of every page beside it (docs/guide/data.html, docs/guide/data.md), and llms.txt,
which lists them.

Pages whose source is plain Markdown are their own twins; of the others the document is written as
Markdown. Links between twins lead to twins.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import chapters
from docutils import nodes
from sphinx import addnodes
from sphinx.util.osutil import relative_uri

SUMMARY = (
    "Neural Collapse metrics of infinitely wide networks (NNGP, NTK), of adaptive kernels, trained "
    "networks, explicit features and "
    "any kernel, on labelled data: exact, in float64, with an error bound on the answer, without "
    "ever storing an N x N matrix. "
    "`import nc1fast as nc; nc.collapse(X, y, nc.NTK('relu')).nc1`."
)
# A page belongs to the first section that its name begins with.
SECTIONS = {
    "Start": ("docs/index", "docs/start"),
    "User guide": ("docs/guide",),
    "Examples": ("docs/gallery",),
    "API reference": ("docs/api",),
    "Background": ("docs/",),
    "Project": ("",),
}
_MARKS = {nodes.literal: "`", nodes.math: "`", nodes.strong: "**", nodes.emphasis: "*"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_LEFT_OUT = (
    *(nodes.comment, nodes.raw, nodes.target, nodes.substitution_definition, nodes.meta),
    *(addnodes.index, addnodes.only, nodes.system_message, nodes.colspec),
)


class Writer:
    """The Markdown of a resolved document."""

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images  # uri in the document -> from the page

    def blocks(self, parent: nodes.Node, level: int = 1) -> str:
        """Blocks of a node, with empty lines between them."""
        parts = [self.block(child, level) for child in parent.children]
        return "\n\n".join(part for part in parts if part.strip())

    def block(self, node: nodes.Node, level: int) -> str:
        """One block."""
        if isinstance(node, _LEFT_OUT):
            return ""
        for kind, write in self.KINDS.items():
            if isinstance(node, kind):
                return write(self, node, level)
        if isinstance(node, nodes.Text | nodes.Inline):
            return self.inline(node)
        return self.blocks(node, level)

    def inline(self, node: nodes.Node) -> str:
        """Text with emphasis, code and links."""
        if isinstance(node, nodes.Text):
            return str(node).replace("\n", " ")
        if isinstance(node, _LEFT_OUT):
            return ""
        if isinstance(node, nodes.image):
            return self.image(node)
        text = "".join(map(self.inline, node.children))
        if isinstance(node, nodes.reference) and text:
            link = twin_of(node.get("refuri") or "#" + node.get("refid", ""))
            text = f"[{text}]({link})"
        marks = (mark for kind, mark in _MARKS.items() if isinstance(node, kind))
        mark = next(marks, "") if text else ""
        return f"{mark}{text}{mark}"

    def image(self, node: nodes.Element, level: int = 1) -> str:
        """An image, or "" for one that is not there."""
        uri = self.images.get(node["uri"], node["uri"])
        return f"![{node.get('alt', '')}]({uri})"

    def _section(self, node: nodes.Element, level: int) -> str:
        title, *rest = node.children
        body = "\n\n".join(part for child in rest if (part := self.block(child, level + 1)).strip())
        return f"{'#' * level} {self.inline(title)}\n\n{body}"

    def _paragraph(self, node: nodes.Element, level: int) -> str:
        return "".join(map(self.inline, node.children))

    def _rubric(self, node: nodes.Element, level: int) -> str:
        return f"**{self._paragraph(node, level)}**"

    def _code(self, node: nodes.Element, level: int) -> str:
        language = node.get("language", "")
        language = (
            "python"
            if language.startswith(("py", "ipy"))
            else ""
            if language in ("none", "default")
            else language
        )
        return f"```{language}\n{node.astext()}\n```"

    def _list(self, node: nodes.Element, level: int) -> str:
        ordered = isinstance(node, nodes.enumerated_list)
        items = []
        for number, child in enumerate(node.children, 1):
            mark = f"{number}. " if ordered else "- "
            items.append(mark + _indented(self.blocks(child, level), len(mark)))
        return "\n".join(items)

    def _definitions(self, node: nodes.Element, level: int) -> str:
        items = []
        for item in node.children:
            *terms, definition = item.children
            head = " : ".join(self.inline(term) for term in terms)
            head = head if "**" in head else f"**{head}**"
            body = self.blocks(definition, level)
            items.append("- " + _indented(f"{head}\n{body}".strip(), 2))
        return "\n".join(items)

    def _field(self, node: nodes.Element, level: int) -> str:
        name, body = node.children
        return f"**{self.inline(name)}**\n\n{self.blocks(body, level)}"

    def _table(self, node: nodes.Element, level: int) -> str:
        rows = [
            [self.blocks(entry).replace("\n", " ").replace("|", r"\|") for entry in row.children]
            for row in node.findall(nodes.row)
        ]
        head, *body = rows if any(node.findall(nodes.thead)) else [[""] * len(rows[0]), *rows]
        lines = [head, ["---"] * len(head), *body]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _signature(self, node: nodes.Element, level: int) -> str:
        return f"```python\n{node.astext()}\n```"

    def _math(self, node: nodes.Element, level: int) -> str:
        return f"```math\n{node.astext()}\n```"

    def _nothing(self, node: nodes.Element, level: int) -> str:
        return ""

    KINDS = {  # noqa: RUF012  (never changed)
        nodes.section: _section,
        nodes.paragraph: _paragraph,
        nodes.rubric: _rubric,
        nodes.literal_block: _code,
        nodes.doctest_block: _code,
        nodes.bullet_list: _list,
        nodes.enumerated_list: _list,
        nodes.definition_list: _definitions,
        nodes.field: _field,
        nodes.table: _table,
        addnodes.desc_signature: _signature,
        nodes.math_block: _math,
        nodes.image: image,
        nodes.reference: lambda self, node, level: self.inline(node),
        nodes.TextElement: _paragraph,
    }  # fmt: skip


def twin_of(link: str) -> str:
    """A link between pages as one between their twins."""
    if re.match(r"[a-z]+:", link):
        return link
    return re.sub(r"\.html(#nc1fast[\w.]*$|(?=#|$))", ".md", link)  # a name has a page of its own


def first_sentence(text: str) -> str:
    """Of the first paragraph that is prose."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for paragraph in re.split(r"\n\s*\n", prose):
        told = " ".join(paragraph.split())
        if told and not re.match(r"[#|!*<:-]|\[", told):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", told)
            return re.split(r"(?<=[.:?]) (?=[A-Z`])", plain)[0].rstrip(":")
    return ""


def _indented(text: str, by: int) -> str:
    return re.sub(r"\n(?=[^\n])", "\n" + " " * by, text)


def _files_of(app: Any, page: str) -> dict[str, str]:
    """Images and downloads of the sources: path from the root of the sources -> link from a
    page.
    """
    found = {uri: f"{app.builder.imagedir}/{to}" for uri, (_, to) in app.env.images.items()}
    found |= {Path(at).as_posix(): f"_downloads/{to}" for at, (_, to) in app.env.dlfiles.items()}
    return {path: relative_uri(f"{page}.html", to) for path, to in found.items()}


def _plain(app: Any, page: str) -> str | None:
    """The source of a page that is plain Markdown."""
    path = Path(app.env.doc2path(page))
    if path.suffix != ".md" or page == "docs/guide":
        return None
    text = path.read_text(encoding="utf-8")
    if re.search(r"^(```|:::+)\{", text, re.MULTILINE):
        return None
    files = _files_of(app, page)
    folder = posixpath.dirname(page)

    def led(found: re.Match[str]) -> str:
        link = chapters.led(found[1], app.nc1fast_guide[1])
        return f"]({files.get(posixpath.normpath(posixpath.join(folder, link)), link)})"

    return _LINK.sub(led, text)


def _written(app: Any, page: str) -> str:
    doctree = app.env.get_and_resolve_doctree(page, app.builder, tags=app.tags)
    return Writer(_files_of(app, page)).blocks(doctree) + "\n"


def _write(app: Any, error: Exception | None) -> None:
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    told: dict[str, list[str]] = {section: [] for section in SECTIONS}
    for page in sorted(app.env.found_docs):
        text = _plain(app, page) or _written(app, page)
        path = out / f"{page}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        section = next(s for s, starts in SECTIONS.items() if page.startswith(starts))
        title = app.env.titles[page].astext()
        told[section].append(f"- [{title}]({page}.md): {first_sentence(text)}".rstrip(": "))
    lines = ["# nc1fast", "", f"> {SUMMARY}", ""]
    for section, pages in told.items():
        lines += [f"## {section}", "", *pages, ""]
    (out / "llms.txt").write_text("\n".join(lines), encoding="utf-8")
    start = app.builder.get_relative_uri("index", app.config.root_doc)
    (out / "index.html").write_text(
        '<!doctype html><title>nc1fast</title><meta http-equiv="refresh" content="0; '
        f'url={start}"><a href="{start}">nc1fast</a>\n'
    )


def _name_twin(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is not None:
        context["twin"] = f"{posixpath.basename(page)}.md"
        context["metatags"] += (
            f'<link rel="alternate" type="text/markdown" href="{context["twin"]}">\n'
        )


def setup(app: Any) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("html-page-context", _name_twin)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
