"""Claim: `import nc1fast` is quick and brings NumPy alone.

Fresh interpreters; the time is of the import statement, NumPy's own import included and also
without it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench._session import Claim, Result
from bench._timing import Samples

if TYPE_CHECKING:
    from bench._session import Session

TARGET = 0.2  # seconds
PROGRAM = """
import json, sys, time
if sys.argv[1] == "after":
    import numpy
before = set(sys.modules)
start = time.perf_counter()
import nc1fast
seconds = time.perf_counter() - start
def third_party(name):
    origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None) or ""
    return "site-packages" in origin or "dist-packages" in origin
new = {name.partition(".")[0] for name in set(sys.modules) - before if third_party(name)}
print(json.dumps({"seconds": seconds, "packages": sorted(new - {"nc1fast"})}))
"""


def run(session: Session) -> Result:
    """Import in fresh processes, with and without NumPy loaded before."""
    result = Result("import")
    packages: set[str] = set()
    for mode, label in (
        ("cold", "import nc1fast"),
        ("after", "import nc1fast, NumPy loaded before"),
    ):
        times = []
        for _ in range(session.rounds(11)):
            run = subprocess.run(
                [sys.executable, "-c", PROGRAM, mode], check=True, capture_output=True, text=True
            )
            reply = json.loads(run.stdout)
            times.append(float(reply["seconds"]))
            packages.update(reply["packages"])
        samples = Samples(tuple(times))
        result.rows.append(
            {"what": label, "seconds": samples.median, "min": min(times), "max": max(times)}
        )
        if mode == "cold":
            result.claims.append(Claim(f"seconds, {label}", samples.median, "<", TARGET))
    beside_numpy = packages - {"numpy"}
    result.claims.append(Claim("packages beside NumPy", float(len(beside_numpy)), "<=", 0))
    result.remarks.append(f"imports {', '.join(sorted(packages)) or 'nothing'}")
    return result
