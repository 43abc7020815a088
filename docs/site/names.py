"""Names between single backticks in docstrings: a link where the reference has the name, else code.

Docstrings write `nc1fast.collapse`, `memory_limit`, `solve`: a name is looked up as it stands,
beside the documented object and in nc1fast.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.roles import XRefRole


def listed(reference: str) -> list[str]:
    """The names that the text of docs/api.md lists."""
    return re.findall(r"^ +(nc1fast\.[\w.]+)$", reference, re.MULTILINE)


class Name(XRefRole):
    """The default role."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A cross-reference to a listed name, or a literal."""
        env = self.env
        known = env.app.nc1fast_names
        module, owner = env.ref_context.get("py:module"), env.ref_context.get("py:class")
        name = self.text.removesuffix("()")
        tried = [name, f"{module}.{name}", f"nc1fast.{name}", name.replace("nc.", "nc1fast.", 1)]
        for full in tried:
            if full in known and not (owner and full == f"{module}.{owner}"):
                self.title, self.target = self.text, full
                self.refdomain, self.reftype = "py", "obj"
                self.has_explicit_title = True
                self.classes = ["xref", "py", "py-obj"]
                return self.create_xref_node()
        return [nodes.literal(self.rawtext, self.text)], []


def _escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """|x| is a norm and x_ a name, no substitution and no link of reStructuredText."""
    for i, line in enumerate(lines):
        parts = re.split(r"(`+[^`]+`+)", line)
        prose = not re.match(
            r"\s*[\w, ]+ : ", line
        )  # no name_ : type, of which numpydoc takes care
        for k in range(0, len(parts), 2):
            parts[k] = parts[k].replace("|", r"\|")
            if prose:
                parts[k] = re.sub(r"(\w_)(?![\w`])", lambda m: m[1][:-1] + r"\_", parts[k])
        lines[i] = "".join(parts)


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Methods that scikit-learn generates for its estimators are on its pages, with what their
    texts refer to.
    """
    return True if name.startswith("set_") and name.endswith("_request") else None


def _public(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: Any
) -> tuple[str, Any] | None:
    """Signatures without the arguments that begin with an underscore, of objects that nobody makes
    by hand.
    """
    if signature is None or what != "class":
        return None
    kept = re.sub(r", _\w+(: [^,=]*)?( ?= ?[^,)]*)?", "", signature)
    return re.sub(r", \*(?=\))", "", kept), returned


def _load(app: Any) -> None:
    text = (Path(app.srcdir) / "docs" / "api.md").read_text(encoding="utf-8")
    app.nc1fast_names = frozenset(listed(text))


def setup(app: Any) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("builder-inited", _load)
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before numpydoc
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _public)
    app.add_role("name", Name(innernodeclass=nodes.literal))
    app.config.default_role = "name"
    return {"parallel_read_safe": True}
