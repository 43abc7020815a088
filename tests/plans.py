"""Distributed passes that are planned without a calibration, which would time the machine."""

from __future__ import annotations

import nc1fast as nc
from nc1fast.distributed.executors import as_executor, capacity
from nc1fast.distributed.planning import Cost, Plan
from nc1fast.distributed.problem import Problem, Surveyed
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums.settings import Settings


def uncalibrated(X, y, kernels, bundles, executor=None, **settings):
    """A plan of `bundles` bundles with invented costs. Settings are those of `Settings`."""
    problem = Problem.of(LabelledData.of(X, y, unread=True), kernels, Settings(**settings))
    return Plan(problem, bundles, capacity(as_executor(executor), 1)[0], 1, Cost(1e-8, 1e-8, 1e-4))


def surveyed(X, y, bundles, kernels=None, **settings):
    """The surveyed problem that the tasks of such a plan share; the kernel is the NNGP of ReLU by
    default.
    """
    problem = uncalibrated(X, y, kernels or [nc.NNGP("relu")], bundles, **settings).problem
    return Surveyed.of(problem, 1, survey_threads=1)
