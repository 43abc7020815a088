"""Distributions with entry points that look as if they were installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from nc1fast.kernels.registry import KERNELS
from nc1fast.support import plugins

TEMPLATE = Path(__file__).parents[1] / "docs" / "examples" / "packages" / "nc1fast-template"
# A module with a kernel that is a plug-in.
KERNEL = """
    from dataclasses import dataclass
    import nc1fast as nc

    @dataclass(frozen=True, kw_only=True)
    class HeTangent(nc.NTK):
        weight_variance: float = 2.0
        option = "he-tangent"
    """


def entry_points(project: str) -> str:
    """The entry points of a pyproject.toml, as the file of an installed distribution has them."""
    lines, inside = [], False
    for line in project.splitlines():
        if header := re.fullmatch(r'\[(?:project\.entry-points\."(.+)"|.*)\]', line):
            inside = header[1] is not None
            lines += [f"[{header[1]}]"] * inside
        elif inside and (pair := re.fullmatch(r'([\w-]+) = "(.+)"', line)):
            lines.append(f"{pair[1]} = {pair[2]}")
    return "\n".join(lines) + "\n"


def write_distribution(folder: Path, name: str, points: str, **modules: str) -> Path:
    """A folder for sys.path that looks as if a distribution were installed there."""
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(points))
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))
    return folder


def forget() -> None:
    """Look for plug-ins again."""
    for group in plugins.GROUPS.values():
        group.forget()


def uninstall(known: dict[str, type], *folders: Path) -> None:
    """Undo the imports from these folders; `known` are the kernels before."""
    forget()
    KERNELS.clear()
    KERNELS.update(known)
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if any(file.is_relative_to(folder) for folder in folders):
            del sys.modules[name]


def run(program: str, folder: Path, *arguments: str) -> str:
    """Standard output of a program in a process of its own, with a distribution on its path."""
    path = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout
