"""The modules of the package as syntax trees, and who imports whom: what the law of the house is
read from.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "nc1fast"
BUILT = {"_core", "_cuda", "_shim"}  # modules that are compiled


def name_of(path: Path) -> str:
    """The module of a source file, relative to the package: sums/memory.py -> sums.memory,
    __init__.py -> ''.
    """
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


TREES = {name_of(p): ast.parse(p.read_text(), str(p)) for p in sorted(PACKAGE.rglob("*.py"))}


def room(name: str) -> str:
    """The first part of a dotted name."""
    return name.partition(".")[0]


def dotted(node: ast.Import | ast.ImportFrom, name: str) -> set[str]:
    """Full names that a statement of the module `name` imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    base = node.module or ""
    if node.level:
        package = ["nc1fast", *name.split(".")][: -node.level if name else None]
        base = ".".join([*package, *([base] if base else [])])
    return {f"{base}.{alias.name}" for alias in node.names}


def statements(name: str) -> list[ast.Import | ast.ImportFrom]:
    """Every import of a module: at load, inside functions, and for type checkers alone."""
    return [n for n in ast.walk(TREES[name]) if isinstance(n, ast.Import | ast.ImportFrom)]


def own(full: str) -> str | None:
    """The module of the package that a name is, or is in; None for other packages."""
    if room(full) != "nc1fast":
        return None
    inside = full.partition(".")[2]
    while inside and inside not in TREES and inside not in BUILT:
        inside = inside.rpartition(".")[0]
    return inside


IMPORTS = {
    name: {
        module
        for node in statements(name)
        for full in dotted(node, name)
        if (module := own(full)) is not None
    }
    for name in TREES
}


def at_load(tree: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Imports that run when a module does."""
    found: list[ast.Import | ast.ImportFrom] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found += [
                n
                for s in node.orelse
                for n in ast.walk(s)
                if isinstance(n, ast.Import | ast.ImportFrom)
            ]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += at_load(node)
    return found


def code_lines(text: str, *, heads: bool = True) -> list[int]:
    """Numbers of the lines that are neither blank nor comment nor docstring; without `heads` nor
    imports nor what stands before the body of a function or class.
    """
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    found = {number for number, line in lines if line and not line.startswith("#")}
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            if node.end_lineno != node.lineno:  # blank lines of a text are code
                found.update(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            left_out.update(() if heads else range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                left_out.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
            if not heads and not isinstance(node, ast.Module):
                left_out.update(range(node.lineno, node.body[0].lineno))
    return sorted(found - left_out)


def repeated_passages(texts: Mapping[str, str], length: int) -> list[str]:
    """Places of runs of `length` lines of code, heads left out, that stand in an earlier place."""
    seen: dict[tuple[str, ...], str] = {}
    found: list[str] = []
    for name, text in texts.items():
        lines = text.splitlines()
        numbers = code_lines(text, heads=False)
        end = 0  # of the passage last found
        for k in range(len(numbers) - length + 1):
            run = tuple(lines[n - 1].strip() for n in numbers[k : k + length])
            place = f"{name}:{numbers[k]}"
            first = seen.setdefault(run, place)
            if first != place and k >= end:
                found.append(f"{place} as {first}")
                end = k + length
    return found
