"""The rules that hold the code together: who imports whom, what C++ may contain, what the binary may export."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "nc1fast"
CPP = ROOT / "cpp"
MAX_LINES = 400


def _name(path: Path) -> str:
    """The module of a source file, relative to the package: studies/paper.py -> studies.paper, __init__.py -> ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in (".hpp", ".cpp"))


class _Imports(ast.NodeVisitor):
    """Dotted names imported by a module: when it is imported, and at all. TYPE_CHECKING blocks do not count."""

    def __init__(self, package: str) -> None:
        self.package = package  # against which relative imports resolve
        self.at_import: set[str] = set()
        self.anywhere: set[str] = set()
        self._inside = 0

    def _add(self, *names: str) -> None:
        self.anywhere.update(names)
        if not self._inside:
            self.at_import.update(names)

    def visit_Import(self, node: ast.Import) -> None:
        self._add(*(alias.name for alias in node.names))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self.package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
        self._add(base, *(f"{base}.{alias.name}" for alias in node.names))

    def _visit_function(self, node: ast.AST) -> None:
        self._inside += 1
        self.generic_visit(node)
        self._inside -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _visit_function  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)


def _imports(name: str) -> _Imports:
    path = MODULES[name]
    own = ".".join(["nc1fast", *([name] if name else [])])
    found = _Imports(own if path.name == "__init__.py" else own.rpartition(".")[0])
    found.visit(ast.parse(path.read_text()))
    return found


IMPORTS = {name: _imports(name) for name in MODULES}


def _own(names: set[str]) -> set[str]:
    """The modules of the package among dotted names; importing a module imports its parents."""
    inside = {name.partition(".")[2] for name in names if name.partition(".")[0] == "nc1fast"}
    return {name for name in inside if name in MODULES or name == "_core"}


def _top(name: str) -> str:
    return name.partition(".")[0]


def test_who_imports_the_core() -> None:
    users = {name for name in MODULES if "_core" in _own(IMPORTS[name].anywhere)}
    assert users == {"core.backend", "core.linear", "sums.streaming"}


OUTER = {"studies", "cli"}  # they use the library; the library never uses them


@pytest.mark.parametrize(
    "name", [name for name in MODULES if _top(name) not in OUTER | {"__main__"}]
)
def test_the_library_never_imports_studies_figures_or_the_command_line(name: str) -> None:
    used = {_top(other) for other in _own(IMPORTS[name].anywhere)} & OUTER
    assert not used or (name == "" and not {_top(o) for o in _own(IMPORTS[name].at_import)} & OUTER)


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("support", {"inputs", "core", "kernels", "sums", "metrics", "_collapse"}),
        ("inputs", {"core", "kernels", "sums", "metrics", "_collapse"}),
        ("activations", {"kernels", "core", "metrics", "sums"}),
        ("core", {"metrics", "_collapse", "reference"}),
        ("kernels", {"metrics", "sums", "feature_sums", "_collapse"}),
        ("sums", {"metrics", "_collapse", "reference"}),
        ("metrics", {"_collapse", "activations", "reference"}),
        ("reference", {"core", "_collapse", "metrics", "feature_sums"}),
        ("datasets", {"core", "_collapse", "metrics", "kernels"}),
    ],
)
def test_modules_do_not_reach_past_their_neighbours(name: str, forbidden: set[str]) -> None:
    parts = [part for part in MODULES if _top(part) == name]
    assert parts, f"{name} has moved: this table must follow"
    for part in parts:
        assert not _own(IMPORTS[part].anywhere) & forbidden


@pytest.mark.parametrize("name", [name for name in MODULES if _top(name) not in OUTER])
def test_library_modules_import_only_numpy_and_the_standard_library_at_load(name: str) -> None:
    third = {_top(other) for other in IMPORTS[name].at_import} - sys.stdlib_module_names
    assert third <= {"nc1fast", "numpy"}


def test_no_import_cycle_at_load() -> None:
    edges = {
        name: {
            other
            for other in _own(IMPORTS[name].at_import) - {"", "_core"}
            if not f"{name}.".startswith(f"{other}.")  # itself, or the package it is in
        }
        for name in MODULES
    }
    done: set[str] = set()
    while ready := {name for name in edges if name not in done and edges[name] <= done}:
        done |= ready
    assert set(edges) == done


def test_importing_the_package_loads_numpy_alone() -> None:
    program = (
        "import sys, numpy.random; before = set(sys.modules); import nc1fast;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(result.stdout.split()) <= {"nc1fast", "numpy"}


def test_source_files_are_short() -> None:
    folders = [ROOT / folder for folder in ("python", "cpp", "tests", "bench")]
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".py", ".hpp", ".cpp")
    ]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert len(lines) > len(MODULES)
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


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


X86_FILES = {"nc1fast/vec.hpp", "isa/avx2.cpp", "isa/avx512.cpp", "isa/detect.cpp"}
X86 = re.compile(r"intrin\.h|cpuid\.h|\b_mm\d*_|\b__m\d+|__builtin_ia32|__builtin_cpu|\basm\b")


def test_x86_is_confined_to_its_files() -> None:
    users = {str(path.relative_to(CPP)) for path in SOURCES if X86.search(_code(path))}
    assert users <= X86_FILES


def test_no_cuda_conditional_in_shared_code() -> None:
    """The host/device marker is the one thing that may depend on the compiler."""
    users = {path.name for path in SOURCES if re.search(r"#\s*(?:if|elif)[^\n]*CUDA", _code(path))}
    assert users <= {"math.hpp"}


@pytest.mark.tools
@pytest.mark.parametrize("source", ["isa/baseline.cpp", "isa/detect.cpp"])
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
    """A weak symbol is merged by the linker: compiled with AVX-512, it would then run on every machine."""
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


def _stub_signatures() -> dict[str, str]:
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: f"({', '.join(arg.arg for arg in node.args.args)})" for node in functions}


def test_stub_says_what_the_core_has() -> None:
    """Names of functions and of their parameters; pybind11 writes them into the first line of the docstring."""
    core = pytest.importorskip("nc1fast._core")
    found = {}
    for name in dir(core):
        if name.startswith("__"):
            continue
        signature = getattr(core, name).__doc__.splitlines()[0]
        parameters = re.findall(r"(?:\(|, )(\w+): ", signature.partition(" -> ")[0])
        found[name] = f"({', '.join(parameters)})"
    assert found == _stub_signatures()
