"""What was once found: problems whose result lay outside its bound or was refused for no reason, by
what was behind it.

Seeds of the first are those of the largest errors among sixty; later finds of the long run stand as
they were simplified. A new find is one line more: the `Problem(...)` of its report.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.adversary.problems import Adapted, Problem

import nc1fast as nc

if TYPE_CHECKING:
    from collections.abc import Iterator


def _classes(kernel: Any, *seeds: int, n_features: int = 8, **settings: Any) -> Iterator[Problem]:
    """Three classes of four rows, once per seed."""
    one = Problem(kernel, (4, 4, 4), n_features, **settings)
    return (replace(one, seed=seed) for seed in seeds or (0,))


def _steep_in_the_chord() -> Iterator[Problem]:
    """Slopes between rows that are nearer than any fixed step: chaotic depth, long rows, roots
    after roots.
    """
    yield from _classes(nc.NNGP("erf", 30, 10.0), 31, 12, spread=1e-6)
    yield from _classes(nc.NNGP("erf", 60, 5.0), 49, 2, spread=1e-7)
    yield from _classes(nc.NNGP("erf", 20, 100.0), 9, 6, spread=1e-6)
    yield from _classes(nc.NNGP("erf", 20, 100.0), 27, 31, spread=1e-7)
    yield from _classes(nc.NNGP("sin", 6, 900.0), 20, 43, spread=1e-6)
    yield from _classes(nc.NNGP("sin", 6, 900.0), 14, spread=1e-3)
    for activation, seeds in (
        ("erf", (34, 45)),
        ("gaussian", (22, 51)),
        ("sin", (20, 51)),
        ("probit", (22, 45)),
    ):
        kernel = nc.NNGP(activation)
        yield from _classes(kernel, seeds[0], length=0.1, spread=0.3, twists=(("offset", 1e9),))
        yield from _classes(kernel, seeds[1], length=1.0, spread=0.3, twists=(("offset", 1e8),))
    for activation in ("sign", "step"):
        for depth in (4, 5, 6):
            kernel = nc.NNGP(activation, depth, 1.0, 0.1)
            yield from _classes(kernel, 34, spread=0.5, twists=(("two", 1e-7),))


def _false_overflow() -> Iterator[Problem]:
    """The noise of D2 as a difference, larger than what an exponent had room for."""
    for depth, variance in ((20, 30.0), (30, 10.0), (60, 5.0), (20, 100.0)):
        yield from _classes(nc.NNGP("erf", depth, variance), 59, 52, spread=1e-8)


def _constant_under_a_root() -> Iterator[Problem]:
    """A small constant under a root, beside which the argument vanished: close rows in float32,
    long rows of erf and probit.
    """
    for activation in ("relu", "abs", nc.LeakyReLU(0.2)):
        yield from _classes(nc.NTK(activation), 13, spread=1e-13, dtype="float32")
        yield from _classes(nc.NTK(activation), 14, spread=4e-16, dtype="float32")
    yield from _classes(nc.NTK("erf"), 17, 24, length=1e48)
    yield from _classes(nc.NTK("erf"), 14, length=1e47, spread=0.3)
    yield from _classes(nc.NTK("probit"), 14, length=1e7, dtype="float32")


def _roots_of_roots() -> Iterator[Problem]:
    """Sign nets of three layers and more on collinear and opposite rows: a rounding passes several
    roots.
    """
    for depth in (3, 5, 8):
        yield from _classes(nc.NNGP("sign", depth), 55, 5, spread=0.5, twists=(("collinear", 0.0),))
        yield from _classes(nc.NNGP("sign", depth), 5, 34, spread=0.5, twists=(("opposite", 0.0),))


def _unequal_lengths() -> Iterator[Problem]:
    """Rows of one class with very different norms: centring loses the short ones."""
    for ratio, seeds in ((1e4, (28, 25)), (1e6, (30, 16)), (1e16, (28, 30))):
        yield from _classes(nc.NNGP("sign"), *seeds, spread=0.3, twists=(("norms", ratio),))
    for ratio, seeds in ((1e8, (2, 33)), (1e12, (16, 12))):
        twists = (("norms", ratio),)
        yield from _classes(nc.NNGP("erf"), *seeds, length=ratio, spread=0.3, twists=twists)
    for ratio in (1e12, 1e16):
        twists = (("norms", ratio),)
        yield from _classes(nc.NNGP("sin"), 2, length=ratio, spread=0.3, twists=twists)
    yield from _classes(nc.Linear(), 16, spread=0.3, twists=(("norms", 1e20),))
    yield from _classes(nc.Linear(), 28, 16, spread=0.3, twists=(("norms", 1e24),))


def _long_rows() -> Iterator[Problem]:
    """Large |x|^2/d0 under a smooth activation."""
    yield from _classes(nc.NTK("erf"), 45, 57, length=1e-3, spread=0.3, twists=(("offset", 1e9),))
    yield from _classes(nc.NTK("erf"), 14, 23, length=0.1, spread=0.3, twists=(("offset", 1e6),))


def _saturated() -> Iterator[Problem]:
    """Collinear rows so long that the rounding of nu, squared, exceeds 1 - nu^2 in an NTK of the
    arcsine family.
    """
    long = nc.NTK("erf", 5, 0.00013, train_bias=False)
    place: dict[str, Any] = {"length": 3.33e19, "spread": 0.000122, "twists": (("offset", 52.9),)}
    yield Problem(long, (5, 5, 5), 1, seed=276115, **place)
    probit: dict[str, Any] = {"length": 2.06e18, "spread": 1.36e-16, "dtype": "mixed"}
    yield Problem(nc.NTK("probit", 4, 0.000214), (5, 4), 1, seed=47658, **probit)
    place = {"length": 3.05e12, "spread": 1.15e-12, "twists": (("offset", 11300.0),)}
    yield Problem(nc.NTK("erf", 3, 4.4e-05, 0.000159), (2, 5, 4), 2, seed=488289, **place)
    place = {"length": 6.05e12, "spread": 5.51e-13, "twists": (("offset", 4580.0),)}
    kernel = nc.NTK("probit", 4, 0.00151, 0.000164, train_bias=False)
    yield Problem(kernel, (5, 1, 4), 3, seed=238561, dtype="mixed", **place)
    place = {"length": 5.59e13, "spread": 1e-7, "twists": (("offset", 5e4),)}
    yield Problem(nc.NTK("gaussian"), (4, 2, 1), 1, seed=80230, **place)


def _vanishing_products() -> Iterator[Problem]:
    """Products of three small numbers, all of the size of 1/|x|, in the D2 of an NTK of erf in
    float32: nothing left, or 0/0.
    """
    offset: dict[str, Any] = {"spread": 3.61e-11, "twists": (("offset", 91000.0),)}
    kernel = nc.NTK("erf", 2, 1.0, 0.000417)
    yield Problem(kernel, (3, 5, 3), 2, 1.41e6, seed=366488, dtype="float32", **offset)
    close: dict[str, Any] = {"spread": 1.71e-16, "dtype": "float32"}
    yield Problem(nc.NTK("erf", 2, 0.0317), (5, 5), 3, 8.16e15, seed=675650, **close)
    kernel = nc.NTK("erf", 2, 1.0, 0.649, train_bias=False)
    yield Problem(kernel, (2, 2), 2, 6.6e16, seed=655078, **close)
    yield Problem(kernel, (4, 5, 3), 3, 3.72e14, seed=972718, **close)


def _amplified() -> Iterator[Problem]:
    """Roundings of one layer that the variances of the next ones amplify."""
    yield from _classes(nc.NNGP("cos", 64, 10.0, 0.1), 9, 37, spread=0.3)
    kernel = nc.NTK("cos", 6, 1.0, (0.0, 1e6, 1e6, 1e6, 1e6, 0.0))
    yield from _classes(kernel, 29, 56, spread=0.3, dtype="mixed")
    yield from _classes(nc.NNGP("sin", 3, 1.0, (0.0, 100.0, 0.0)), 27, 26, spread=1e-3)


def _out_of_range() -> Iterator[Problem]:
    """Squares that are subnormal."""
    yield from _classes(nc.NNGP("sign"), 1, 18, length=1e-161, spread=0.3)


def _untrained_bias() -> Iterator[Problem]:
    """Theta^0 by a subtraction."""
    for bias, seeds in ((100.0, (34,)), (1e4, (53, 34))):
        yield from _classes(nc.NTK("relu", 2, 1.0, bias, train_bias=False), *seeds, spread=1e-6)


def _interpolated() -> Iterator[Problem]:
    """Shortcuts whose bound lacked the rounding of the kernel itself."""
    far: dict[str, Any] = {"twists": (("offset", 1e7),), "method": "shortcut"}
    yield from _classes(nc.NTK("erf"), 5, 25, n_features=2, **far)
    wide: dict[str, Any] = {"n_features": 1, "length": 300.0, "method": "shortcut"}
    yield from _classes(nc.NTK("erf"), 3, 18, **wide)
    yield from _classes(nc.NNGP("erf"), 3, 22, **wide)
    yield from _classes(nc.NTK("gelu"), 59, 30, **wide)


def _equal_rows() -> Iterator[Problem]:
    """0 times the inverse root of 0 for equal rows of one class, refused as an overflow."""
    for activation in ("relu", "abs", nc.LeakyReLU(-0.5)):
        for bias in (0.0, 0.4):
            yield Problem(nc.NTK(activation, 2, 1.0, bias), (2, 1), 2, twists=(("two", 0.0),))


def _zero_rows() -> Iterator[Problem]:
    """Rows of zero, or nearly, beside long ones."""
    zeros: dict[str, Any] = {"twists": (("zeros", 3.0),), "method": "shortcut"}
    yield Problem(Adapted("erf", 2, 1.0, 1.0, 97), (2, 1), 2, length=2e7, **zeros)
    yield Problem(Adapted("erf", 1, 1.0, 1.0, 20), (2, 1), 1, length=2e4, seed=2, **zeros)
    yield Problem(nc.NNGP("erf"), (2, 1), 2, length=6e7, **zeros)
    short = (("short class", 3.36e10), ("zeros", 4.0))
    yield Problem(nc.NNGP("relu", 2, 1.0, (0.0, 0.1)), (2, 1), 2, spread=7e-10, twists=short)


def _mapped_rows() -> Iterator[Problem]:
    """Parallel rows that are not quite parallel after the factor of an adaptive kernel."""
    kernel = Adapted("sign", 8, 1.0, 1.0, 58)
    yield Problem(kernel, (1, 2), 8, length=2e19, twists=(("collinear", 0.0),), seed=3)


def _shortened_differences() -> Iterator[Problem]:
    """Interpolated rows whose differences the factor of an adaptive kernel shortens more than the
    rows, or that underflow.
    """
    long = Adapted("erf", 2, 41.8, 326000.0, 59)
    settings: dict[str, Any] = {"single": True, "convention": "probe", "method": "shortcut"}
    yield Problem(long, (5, 2), 2, spread=0.0983, seed=179210, **settings)
    narrow = {"length": 2.18e-147, "spread": 2.34e-10}
    kernel = nc.NNGP("erf", 2, (0.729, 0.554), 0.0618)
    yield Problem(kernel, (3, 1, 2, 1), 2, seed=458984, method="shortcut", **narrow)


def _bound_too_small_for_a_number() -> Iterator[Problem]:
    """A bound of a trace that underflowed or overflowed."""
    kernel = nc.NTK("cos", 26, 5000.0)
    yield Problem(kernel, (3, 2, 1), 1, seed=163608, convention="released", method="shortcut")


def _not_zero_over_zero() -> Iterator[Problem]:
    """Traces lost in rounding, refused as those of equal rows."""
    yield Problem(nc.ConjugateKernel("sign", 2, 1.0, 80.0), (1, 1), 2, length=5e-7, seed=5)
    yield Problem(nc.NNGP("step", 2, 1.0, 0.1), (2, 1), 1, length=4e-8, spread=4e-10)
    yield Problem(nc.NTK("gaussian"), (2, 1), 2, length=5e28, spread=2e-15, single=True)
    yield Problem(nc.NNGP("erf", 34, 0.7, 0.5), (2, 1), 1, spread=1e-3, seed=8)


def _raw_overflow() -> Iterator[Problem]:
    """Shortcuts that let the overflow of a kernel through."""
    for length in (60.0, 700.0):
        yield Problem(nc.NNGP("exp", 2, 0.1), (3, 2), 1, length=length, method="shortcut")
        yield Problem(Adapted("exp", 2, 0.2), (3, 2), 2, length=length, method="shortcut")


KNOWN: dict[str, tuple[Problem, ...]] = {
    "slope in the chord": tuple(_steep_in_the_chord()),
    "false overflow": tuple(_false_overflow()),
    "constant under a root": tuple(_constant_under_a_root()),
    "roots of roots": tuple(_roots_of_roots()),
    "unequal lengths": tuple(_unequal_lengths()),
    "long rows": tuple(_long_rows()),
    "saturated rows": tuple(_saturated()),
    "vanishing products": tuple(_vanishing_products()),
    "amplified": tuple(_amplified()),
    "out of range": tuple(_out_of_range()),
    "untrained bias": tuple(_untrained_bias()),
    "interpolated": tuple(_interpolated()),
    "equal rows": tuple(_equal_rows()),
    "zero rows": tuple(_zero_rows()),
    "mapped rows": tuple(_mapped_rows()),
    "shortened differences": tuple(_shortened_differences()),
    "bound too small for a number": tuple(_bound_too_small_for_a_number()),
    "not 0/0": tuple(_not_zero_over_zero()),
    "raw overflow": tuple(_raw_overflow()),
}
GRAM = tuple(_classes(nc.NTK("gelu"), 13, 30, length=1e3, spread=0.3))  # entries of kernel(X)
