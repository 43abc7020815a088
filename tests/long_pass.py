"""A pass in many bundles, as a program of its own that tests can kill: python -m tests.long_pass
MODE JOURNAL.

The first line of its output names the processes at work, the last one holds the digest of all bits
of the result. JOURNAL.hold gets a byte for each bundle that is recorded; as long as it is there,
the pass waits before its last bundles: a kill on a busy machine does not come too late.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

import nc1fast as nc

BUNDLES, HELD = 30, 20
KERNELS = [nc.NNGP("relu"), nc.NTK("erf", depth=3, bias_variance=0.1)]
SETTINGS = {"statistics": "all", "dtype": "float64", "n_threads": 1}


def data(n=2_000):
    """Imbalanced classes of strings in random row order."""
    rng = np.random.default_rng(7)
    labels = rng.choice(["ant", "bee", "cat", "dog"], p=[0.1, 0.2, 0.3, 0.4], size=n)
    shift = np.searchsorted(np.unique(labels), labels)
    return rng.normal(size=(n, 6)) + 0.5 * shift[:, None], labels


def plan(executor=None, bundles=BUNDLES):
    """The pass, cut into bundles; its own X and y."""
    X, y = data()
    return nc.distributed.plan(X, y, KERNELS, executor=executor, bundles=bundles, **SETTINGS)


def digest(found):
    """One hash of everything that a pass gives for each of its kernels."""
    total = hashlib.sha256()
    for sums in found:
        for name in ("block_sums", "traces", "within", "class_rows", "order", "sizes", "labels"):
            total.update(np.ascontiguousarray(getattr(sums, name)).tobytes())
        for bound in vars(sums.error).values():
            if bound is not None:  # as that of class means, of sums of kernels
                total.update(np.ascontiguousarray(bound).tobytes())
    return total.hexdigest()


def expected():
    """The digest of the same in one process, in one piece."""
    X, y = data()
    return digest(nc.class_sums(X, y, KERNELS, **SETTINGS))


def recorded(journal):
    """Keys and payloads of the records of a journal that is closed, read by SQLite alone."""
    if not journal.exists():
        return []
    with closing(sqlite3.connect(journal)) as db:
        return db.execute("SELECT key, payload FROM finished ORDER BY rowid").fetchall()


def _cluster_of_processes(stack):
    """The address of a scheduler in a process of its own, with one worker of two threads."""
    port = _free_port()
    for program, *options in (
        ("scheduler", "--port", str(port), "--no-dashboard"),
        ("worker", f"tcp://127.0.0.1:{port}", "--nthreads", "2", "--no-nanny", "--no-dashboard"),
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{program}", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.kill)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return f"tcp://127.0.0.1:{port}"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _executor(mode, stack):
    """An executor, and the process ids of its workers and of its scheduler."""
    if mode == "alone":
        return None, [], None
    if mode == "processes":
        pool = stack.enter_context(ProcessPoolExecutor(2))
        pool.submit(os.getpid).result()
        return pool, [process.pid for process in multiprocessing.active_children()], None
    import dask
    import distributed

    dask.config.set({"distributed.comm.timeouts.connect": "5s", "logging.distributed": "critical"})
    if mode == "dask":
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        )
        client = distributed.Client(stack.enter_context(cluster))
    else:
        client = distributed.Client(_cluster_of_processes(stack))
    stack.callback(client.close)
    client.wait_for_workers(1)
    return client, list(client.run(os.getpid).values()), client.run_on_scheduler(os.getpid)


def main(mode, journal):
    """Run it."""
    hold = Path(f"{journal}.hold")

    def progress(done, _):
        time.sleep(0.03)
        if hold.exists():
            hold.write_bytes(b"." * done)
        while done == HELD and hold.exists():
            time.sleep(0.01)

    with ExitStack() as stack:
        executor, workers, scheduler = _executor(mode, stack)
        print(json.dumps({"workers": workers, "scheduler": scheduler}), flush=True)
        found = nc.distributed.reduce(plan(executor), executor, journal=journal, progress=progress)
        print(digest(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
