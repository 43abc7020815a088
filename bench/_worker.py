"""Contestants in processes of their own.

Every contestant runs in a child process, so that thread pools, allocators and environment variables
of one do not touch another. A child is told what to do by lines of JSON and answers in lines of
JSON; it times the call itself.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench._problem import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent

# Variables that would force a BLAS kernel or a cache size on a competitor, which should run at its
# best.
FORCED_BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def competitor_environment(n_threads: int) -> dict[str, str]:
    """Environment of a competitor: that of this process, but no BLAS is forced, and libraries are
    told the number of threads.
    """
    free = {name: value for name, value in os.environ.items() if name not in FORCED_BLAS}
    return free | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n_threads))


@functools.cache
def _compiler_cache() -> str:
    """Folder in which torch.compile keeps its objects during this run."""
    folder = tempfile.TemporaryDirectory(prefix="bench-compiled-")
    atexit.register(folder.cleanup)
    return folder.name


class WorkerError(RuntimeError):
    """Raised for an error in a child process; the message is that of the child."""


class Worker:
    """A child process that prepares contestants and runs them.

    Parameters
    ----------
    n_threads : int
    competitor : bool, default True
        Take the variables that force a BLAS kernel out of its environment, and tell its libraries
        the number of threads.
    """

    def __init__(self, n_threads: int, *, competitor: bool = True) -> None:
        environment = competitor_environment(n_threads) if competitor else dict(os.environ)
        if competitor:
            environment["TORCHINDUCTOR_CACHE_DIR"] = _compiler_cache()
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        )
        self.n_threads = n_threads
        self.processor: dict[str, list[float]] = {}  # seconds of the processor of every run
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def prepare(
        self, key: str, contestant: str, problem: Problem, **options: Any
    ) -> dict[str, Any]:
        """Prepare a contestant under a name of its own; returns its notes.

        Raises
        ------
        UnavailableError
            If it cannot run here.
        """
        reply = self._ask(
            op="prepare",
            key=key,
            contestant=contestant,
            problem=problem.as_dict(),
            n_threads=self.n_threads,
            options=options,
        )
        notes: dict[str, Any] = reply["notes"]
        return notes

    def run(self, key: str) -> tuple[float, Answer]:
        """Run once: seconds, and the answer."""
        reply = self._ask(op="run", key=key)
        self.processor.setdefault(key, []).append(reply["processor"])
        return float(reply["seconds"]), Answer.from_dict(reply["answer"])

    def timer(self, key: str) -> Callable[[], float]:
        """A function that runs once and returns the seconds."""
        return lambda: self.run(key)[0]

    def peak_memory(self, key: str) -> int:
        """Run once: bytes by which resident memory rose during the call, at its highest."""
        return int(self._ask(op="memory", key=key)["bytes"])

    def environment(self) -> dict[str, Any]:
        """The BLAS libraries that the child has loaded, with their versions."""
        reply: dict[str, Any] = self._ask(op="environment")["environment"]
        return reply

    def _ask(self, **command: Any) -> dict[str, Any]:
        if self.process.stdin is None or self.process.stdout is None:
            raise WorkerError("the worker has no pipes")
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the worker ended with status {self.process.wait()} at {command}")
        reply: dict[str, Any] = json.loads(line)
        if "unavailable" in reply:
            from bench.competitors import UnavailableError

            raise UnavailableError(reply["unavailable"])
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply


def _loaded_environment() -> dict[str, Any]:
    """Numerical libraries loaded in this process, with BLAS kernels and versions."""
    found: dict[str, Any] = {}
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found["torch"] = torch.__version__
        found["torch_cpu"] = torch.backends.cpu.get_cpu_capability()
        found["torch_blas"] = next(
            (
                line.strip(" -")
                for line in torch.__config__.show().splitlines()
                if "Math Kernel" in line
            ),
            "unknown",
        )
    for module in ("numpy", "jax", "neural_tangents", "nc1fast"):
        if module in sys.modules:
            found[module] = getattr(sys.modules[module], "__version__", "unknown")
    if "nc1fast" in sys.modules:
        from nc1fast.core.machine import describe

        found["nc1fast_core"] = describe()["core"]
    try:
        import threadpoolctl
    except ImportError:
        found["blas"] = "threadpoolctl is not installed"
        return found
    keys = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    found["blas"] = [
        {key: pool[key] for key in keys if key in pool}
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return found


def _resident(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise WorkerError(f"/proc/self/status has no {field}")


def _peak_rise(run: Any) -> int:
    """Highest rise of resident memory during run(), in bytes.

    Free memory is given back first, so that the call cannot hide in it; then the high-water mark is
    reset (Linux).
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    run()
    return max(0, _resident("VmHWM") - before)


def _serve() -> None:
    """Answer commands from stdin until it ends; output of libraries goes to stderr."""
    from bench.competitors import PREPARE, Prepared, UnavailableError

    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    prepared: dict[str, Prepared] = {}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if command["op"] == "prepare":
                problem = Problem(**command["problem"])
                prepare = PREPARE[command["contestant"]]
                ready = prepare(problem, command["n_threads"], **command["options"])
                prepared[command["key"]] = ready
                reply: dict[str, Any] = {"notes": ready.notes}
            elif command["op"] == "run":
                ready = prepared[command["key"]]
                used, start = ready.processor(), time.perf_counter()
                answer = ready.run()
                seconds, used = time.perf_counter() - start, ready.processor() - used
                reply = {"seconds": seconds, "processor": used, "answer": answer.as_dict()}
            elif command["op"] == "memory":
                reply = {"bytes": _peak_rise(prepared[command["key"]].run)}
            else:
                reply = {"environment": _loaded_environment()}
        except UnavailableError as error:
            reply = {"unavailable": str(error)}
        except Exception:  # noqa: BLE001 - reported to the parent, which raises
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    _serve()
