"""The law of the house: who imports whom, how modules are written, what C++ may contain, what the
binaries may export.

Every rule is a function that lists what breaks it, and a test that the list is empty.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.house import (
    BUILT,
    IMPORTS,
    PACKAGE,
    ROOT,
    TREES,
    at_load,
    code_lines,
    dotted,
    repeated_passages,
    room,
    statements,
)

if TYPE_CHECKING:
    from pathlib import Path

CPP = ROOT / "cpp"
MAX_LINES = 415  # 400 when the files that wrapping made longer have been divided
MAX_PARAMETERS = 6  # of what is private
MAX_ENTRIES = 26  # of the root of the package
MAX_FILES = 322
MAX_CODE_LINES = {"python/nc1fast": 35_100, "tests": 32_200}  # neither blank, comment nor docstring
PASSAGE = 10  # lines of code that stand once

# Floors, from the ground up: a module imports from its own floor and those below.
FLOORS = (
    {"support", "cuda"},
    {"inputs"},
    {"datasets"},
    {"core"},
    {"kernels"},
    {"sums", "reference"},
    {"metrics"},
    {
        "shortcuts",
        "estimators",
        "prediction",
        "distributed",
        "networks",
        "adaptive",
        "theory",
        "compat",
        "torchmetrics",
    },
    {"methods", "sklearn"},
    {""},  # the face of the package
    {"studies"},
    {"cli"},
    {"__main__"},
)
SEES_THE_CORE = ("core.", "sums.streaming")
USES_THE_FACE = {"studies", "cli"}
# Rooms whose classes are those of an optional package; loaded when they are named.
DERIVES = {"networks", "sklearn", "torchmetrics"}
USES_THE_REFERENCE = {"cli.selftest"}
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in (".hpp", ".cpp"))


# Who imports whom


def modules_without_a_floor() -> list[str]:
    placed = set().union(*FLOORS)
    return [name for name in TREES if room(name) not in placed]


def arrows_up() -> list[str]:
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    return [
        f"{name} -> {other or 'nc1fast'}"
        for name, others in IMPORTS.items()
        for other in sorted(others - BUILT)
        if floor[room(other)] > floor[room(name)]
    ]


def circles() -> list[str]:
    """Groups of modules that import each other, directly or not."""
    reached = {name: others & TREES.keys() - {""} for name, others in IMPORTS.items()}
    for middle in TREES:  # Warshall's algorithm
        for name in TREES:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    groups = {frozenset(o for o in found if name in reached[o]) for name, found in reached.items()}
    return sorted(", ".join(sorted(group)) for group in groups if group)


def uses_of_the_face() -> list[str]:
    return [n for n, others in IMPORTS.items() if "" in others and room(n) not in USES_THE_FACE]


def uses_of_the_reference() -> list[str]:
    return [
        n
        for n, others in IMPORTS.items()
        if "reference" in others and n not in USES_THE_REFERENCE and room(n) != "reference"
    ]


def uses_of_the_core() -> list[str]:
    return [
        n for n, others in IMPORTS.items() if "_core" in others and not n.startswith(SEES_THE_CORE)
    ]


def imports_of_private_names() -> list[str]:
    """A leading underscore means: private to this file."""
    return [
        f"{name}: {alias.name} of {node.module}"
        for name in TREES
        for node in statements(name)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nc1fast")
        for alias in node.names
        if alias.name.startswith("_") and alias.name not in BUILT | {"__version__"}
    ]


def third_parties_at_load() -> list[str]:
    """Optional packages are imported where they are used; rooms that stand on one, when they are
    named.
    """
    return [
        f"{name}: {room(full)}"
        for name, tree in TREES.items()
        if room(name) not in USES_THE_FACE | DERIVES
        for node in at_load(tree)
        for full in dotted(node, name)
        if room(full) not in {*sys.stdlib_module_names, "nc1fast", "numpy"}
    ]


# How modules are written


def literal_splats() -> list[str]:
    """Calls that hand positions on as `*(a, b)`."""
    return [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for given in node.args
        if isinstance(given, ast.Starred) and isinstance(given.value, ast.Tuple | ast.List)
    ]


def _exported(name: str) -> set[str]:
    """Names in `__all__` of a module."""
    return {
        str(constant.value)
        for node in TREES[name].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant)
    }


def _public(name: str) -> set[str]:
    """Names of a module that are part of the interface: those that a face exports, and commands of
    the command line.
    """
    faces = {part for part in _exported("") if part in TREES} | {"reference", "studies"}
    of_faces = _exported("").union(*(_exported(face) for face in faces))
    commands: set[str] = set()
    if room(name) == "cli":
        text = ast.unparse(TREES["cli.app"])
        commands = set(re.findall(r"\w+", text))
    bases = {"Kernel", "RecurrentKernel"} | (
        {n.name for n in TREES[name].body if isinstance(n, ast.FunctionDef)}
        if name in faces
        else set()
    )
    return of_faces | commands | bases


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a caller may give."""
    a = node.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs]
    bound = bool(named) and named[0].arg in ("self", "cls")
    return len(named) - bound + (a.vararg is not None) + (a.kwarg is not None)


def private_functions_with_many_parameters() -> list[str]:
    found = []
    for name, tree in TREES.items():
        public = _public(name)
        for owner in ast.walk(tree):
            if not isinstance(owner, ast.Module | ast.ClassDef):
                continue
            for node in owner.body:
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                inside = owner.name if isinstance(owner, ast.ClassDef) else node.name
                if any(ast.unparse(d).startswith("part(") for d in node.decorator_list):
                    continue  # a part of a study: its parameters are the settings of descriptions
                hidden = node.name.startswith("_") and not node.name.startswith("__")
                if (hidden or inside not in public) and _parameters(node) > MAX_PARAMETERS:
                    found.append(f"{name}:{node.lineno} {node.name}: {_parameters(node)}")
    return found


def repeated_class_names() -> list[str]:
    names = Counter(
        n.name for t in TREES.values() for n in ast.walk(t) if isinstance(n, ast.ClassDef)
    )
    return sorted(name for name, count in names.items() if count > 1)


def _docstrings() -> list[tuple[str, str]]:
    """(place, text) of every docstring."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [
        (f"{name}:{getattr(node, 'lineno', 1)}", text)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (text := ast.get_docstring(node))
    ]


def docstrings_that_say_too_little() -> list[str]:
    return [f"{place}: {text}" for place, text in _docstrings() if len(text.split()) <= 4]


def docstrings_that_begin_with_what() -> list[str]:
    return [
        f"{place}: {text.splitlines()[0]}"
        for place, text in _docstrings()
        if text.startswith("What ")
    ]


def long_files() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {lines}"
        for folder in ("python", "cpp", "cuda", "tests", "bench")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".hpp", ".cpp", ".cu")
        and (lines := len(path.read_text().splitlines())) > MAX_LINES
    ]


def entries_of_the_root() -> list[str]:
    """Files and rooms of the package, without what is built."""
    left_out = {"__pycache__", "_shim"}
    return sorted(
        path.name
        for path in PACKAGE.iterdir()
        if path.name not in left_out
        and path.suffix != ".so"
        and (path.is_file() or any(path.rglob("*.py")))
    )


def private_modules() -> list[str]:
    allowed = ("__main__",)
    return [n for n in TREES if re.search(r"(^|\.)_", n) and n not in allowed]


RULES = (
    *(modules_without_a_floor, arrows_up, circles, uses_of_the_face, uses_of_the_reference),
    *(uses_of_the_core, imports_of_private_names, third_parties_at_load, literal_splats),
    *(private_functions_with_many_parameters, repeated_class_names, private_modules),
    *(docstrings_that_say_too_little, docstrings_that_begin_with_what, long_files),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_nothing_breaks_the_rule(rule) -> None:
    assert rule() == []


def test_the_root_is_small() -> None:
    assert len(entries_of_the_root()) <= MAX_ENTRIES


def _sources(folder: str) -> dict[str, str]:
    paths = sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".pyi"))
    return {str(path.relative_to(ROOT)): path.read_text() for path in paths}


@pytest.mark.parametrize("folder", MAX_CODE_LINES)
def test_the_house_is_thin(folder: str) -> None:
    texts = _sources(folder)
    assert sum(len(code_lines(text)) for text in texts.values()) <= MAX_CODE_LINES[folder]
    assert repeated_passages(texts, PASSAGE) == []
    if folder == "python/nc1fast":
        assert len(texts) <= MAX_FILES


def test_what_the_budgets_count() -> None:
    text = 'def f(a):\n    """Say."""\n\n    # why\n    b = """\n\n# text"""\n    return a, b\n'
    assert code_lines(text) == [1, 5, 6, 7, 8]
    once = "\n".join(f"x{k} = {k}" for k in range(3))
    assert repeated_passages({"one": once, "two": f"import os\n{once}"}, 3) == ["two:2 as one:1"]
    assert repeated_passages({"one": once, "two": f"import os\n{once}"}, 4) == []


READMES = [
    path for path in (ROOT, CPP, ROOT / "bench", ROOT / "docs") if (path / "README.md").exists()
]


@pytest.mark.parametrize("folder", READMES, ids=lambda folder: folder.name)
def test_files_named_in_a_readme_exist(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    named = set(re.findall(r"`([\w./-]+\.(?:py|hpp|cpp|md|toml))`", text))
    named |= {link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) if link}
    bases = (folder, ROOT, PACKAGE, CPP, CPP / "nc1fast")
    assert sorted(name for name in named if not any((base / name).exists() for base in bases)) == []


def _code(path: Path) -> str:
    """A C++ source without comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


def test_cpp_has_one_macro() -> None:
    assert SOURCES
    macros = {name for path in SOURCES for name in re.findall(r"#\s*define\s+(\w+)", _code(path))}
    assert macros == {"NC1FAST_HD"}


X86_FILES = {"nc1fast/vec.hpp", "isa/avx2.cpp", "isa/avx512.cpp", "isa/amx.cpp", "isa/detect.cpp"}
X86 = re.compile(r"intrin\.h|cpuid\.h|\b_mm\d*_|\b__m\d+|__builtin_ia32|__builtin_cpu|\basm\b")


def test_x86_is_confined_to_its_files() -> None:
    users = {str(path.relative_to(CPP)) for path in SOURCES if X86.search(_code(path))}
    assert users <= X86_FILES


SYSTEM = re.compile(
    r"#\s*(?:if|elif)[^\n]*(?:_WIN32|__linux__|__APPLE__|__unix__|_MSC_VER)"
    r"|<(?:unistd|fcntl|io|windows|sys/\w+)\.h>|\baligned_alloc\b|\bpread\b"
)


def test_operating_systems_are_confined_to_one_file() -> None:
    users = {str(path.relative_to(CPP)) for path in SOURCES if SYSTEM.search(_code(path))}
    assert users == {"system.cpp"}


def test_no_cuda_conditional_in_shared_code() -> None:
    """The host/device marker is the one thing that may depend on the compiler."""
    users = {path.name for path in SOURCES if re.search(r"#\s*(?:if|elif)[^\n]*CUDA", _code(path))}
    assert users <= {"math.hpp"}


@pytest.mark.tools
@pytest.mark.parametrize("source", ["isa/baseline.cpp", "isa/neon.cpp", "isa/detect.cpp"])
def test_the_portable_path_compiles_for_aarch64(source: str) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    if compiler is None:
        pytest.skip("needs the cross compiler aarch64-linux-gnu-g++")
    flags = ["-std=c++20", "-fsyntax-only", "-Wno-psabi", f"-I{CPP}"]
    result = subprocess.run(
        [compiler, *flags, CPP / source], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def _isa_objects() -> list[Path]:
    trees = sorted((ROOT / "build").glob("cp*"), key=lambda tree: tree.stat().st_mtime)
    return sorted(trees[-1].glob("CMakeFiles/isa_*.dir/**/*.o")) if trees else []


@pytest.mark.tools
def test_no_symbol_of_one_instruction_set_can_replace_another() -> None:
    """A weak symbol is merged by the linker: compiled with AVX-512, it would then run on every
    machine.
    """
    objects = _isa_objects()
    if not objects or shutil.which("nm") is None:
        pytest.skip("needs nm and the build tree of an editable install")
    for path in objects:
        isa = path.name.partition(".")[0]  # avx2.cpp.o
        result = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=True)
        symbols = re.findall(r"^[0-9a-f ]*\s([A-Za-z]) (.+)$", result.stdout, flags=re.MULTILINE)
        assert symbols
        weak = [name for kind, name in symbols if kind in "WVu" and isa not in name.lower()]
        assert weak == [], f"{path.name}: {weak[:5]}"
