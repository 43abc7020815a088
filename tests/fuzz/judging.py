"""What is wrong with the outcome of reading a changed file: the oracle of the fuzzer.

Read, and what is read is what another reading of the file gives (`targets`); or one line that names
the file, of the documented types. Never a raw error, a wait, or memory beyond what the file can
hold.
"""

from __future__ import annotations

import errno
import re
import resource
import signal
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, DisagreeError
from tests.memory import forget_peak, in_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 10.0  # of a processor, that reading a few kilobytes may take, with a kernel's work
ROOM = 96 << 20  # bytes of memory beyond twice what the file can hold
ADDRESSES = 3 << 30  # of address space beyond what the process has at its start
_SEALED = 0.5  # of the changes, beneath the checksum


@dataclass(frozen=True)
class Verdict:
    """The outcome of one file: a class of `OUTCOMES`, and the message or what is wrong."""

    outcome: str
    told: str = ""


OUTCOMES = ("refused", "unchanged", "other content", "wrong")


def limit_memory() -> None:
    """Bound the address space of this process from now on."""
    resource.setrlimit(resource.RLIMIT_AS, (in_bytes("VmSize") + ADDRESSES, resource.RLIM_INFINITY))


def _late(*_: Any) -> None:
    raise TimeoutError("hangs")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _digest(found: Any) -> Any:
    if isinstance(found, tuple):
        return tuple(map(_digest, found))
    return (
        (found.dtype.str, found.shape, found.tobytes()) if isinstance(found, np.ndarray) else found
    )


class Case:
    """A target whose file lies in a folder, to be changed again and again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.target, self.folder = name, TARGETS[name], folder
        self.path = self.target.make(folder)
        self.whole = {file: file.read_bytes() for file in folder.iterdir()}
        self.expected = _digest(self.target.read(self.path))
        self.sealed_again = False  # whether the last change has a right checksum
        self.largest = 0.0  # of the memory that reading may take, the largest share so far
        self.restore()

    def change(self, index: int, seed: int) -> bytes:
        """The content of this number."""
        rng = np.random.default_rng([sum(self.name.encode()), seed, index])
        content, sealed = self.whole[self.path], self.target.sealed
        self.sealed_again = sealed is not None and rng.random() < _SEALED
        if sealed is not None and self.sealed_again:
            return sealed(content, rng)
        return mutated(content, rng, self.target.words)

    def restore(self) -> None:
        """Put every file back, and remove what reading has left."""
        for file in self.folder.iterdir():
            if file not in self.whole:
                file.unlink()
        for file, content in self.whole.items():
            file.write_bytes(content)

    def verdict(self, changed: bytes) -> Verdict:
        """The outcome of reading this content; the folder is restored afterwards."""
        self.path.write_bytes(changed)
        others = sum(map(len, self.whole.values())) - len(self.whole[self.path])
        try:
            return self._judged(len(changed) + others)
        finally:
            self.restore()

    def _judged(self, size: int) -> Verdict:
        before = in_bytes("VmRSS")
        forget_peak()
        signal.signal(signal.SIGPROF, _late)
        signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)
        signal.setitimer(signal.ITIMER_VIRTUAL, 3 * SECONDS)  # ends the process
        start = time.process_time()
        try:
            found = self._read()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        taken, peak = time.process_time() - start, in_bytes("VmHWM") - before
        most = ROOM + 2 * self.target.expansion * size
        self.largest = max(self.largest, peak / most)
        if taken > SECONDS and found.outcome != "wrong":
            return Verdict("wrong", f"slow: {taken:.1f} s, {found}")
        if peak > most and found.outcome != "wrong":
            return Verdict("wrong", f"memory: {peak >> 20} MiB of {most >> 20}, {found}")
        return found

    def _read(self) -> Verdict:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.target.read(self.path)
                if self.target.check is not None:
                    self.target.check(self.path, found)
        except DisagreeError as error:
            return Verdict("wrong", f"another reading differs: {error}")
        except (ValueError, TypeError, OSError) as error:
            return self._refused(error)
        except BaseException as error:  # noqa: BLE001  (it is what is looked for)
            return Verdict("wrong", f"raw {type(error).__name__}: {error}")
        return self._accepted(found)

    def _accepted(self, found: Any) -> Verdict:
        """Whether what was read may differ: of a format with a checksum only where that is
        right.
        """
        if _digest(found) == self.expected:
            return Verdict("unchanged")
        if self.target.has_checksum and not self.sealed_again:
            return Verdict("wrong", "other content beneath a checksum that is wrong")
        return Verdict("other content")

    def _refused(self, error: Exception) -> Verdict:
        """Whether an error is what the guide promises: its type, one line, and the name of the
        file.
        """
        told = str(error)
        if any(isinstance(one, MemoryError) for one in _chain(error)):
            return Verdict("wrong", f"memory was asked for: {told}")
        raw = isinstance(error, OSError) and error.errno == errno.EINVAL
        if raw or not (type(error) in (ValueError, TypeError) or isinstance(error, OSError)):
            return Verdict("wrong", f"raw {type(error).__name__}: {told}")
        if str(self.folder) not in told or "\n" in told:
            return Verdict("wrong", f"unclear {type(error).__name__}: {told!r}")
        return Verdict("refused", f"{type(error).__name__}: {told}")


def plain(told: str, folder: Path) -> str:
    """A message without paths, numbers and quoted content: what makes two of them one."""
    text = told.replace(str(folder), "")
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\[.*\]|\{.*\}", "'...'", text)
    text = re.sub(r"[^\x20-\x7e]+", "?", text)
    return re.sub(r"[-+]?\d[\w.,+-]*", "N", text)[:160]
