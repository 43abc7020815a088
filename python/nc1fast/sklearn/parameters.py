"""The fields of a kernel as parameters of the estimator that holds it, as scikit-learn's grids and clones see them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.ntk import NTK
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_KERNEL = NTK("relu", weight_variance="he")
_PREFIX = "kernel__"


def check_kernel(kernel: Any) -> Kernel:
    """Raise TypeError for what is no kernel object."""
    if not isinstance(kernel, Kernel):
        raise TypeError(f"kernel must be a kernel object of nc1fast, got {shown(kernel)}")
    return kernel


class KernelParameters:
    """Base of what holds a kernel object as its parameter `kernel`: `kernel__depth` is a field of it.

    Kernels are frozen: a changed field makes another kernel, and those that share the old one keep it.
    """

    kernel: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with `deep` also the fields of the kernel, as kernel__FIELD."""
        params: dict[str, Any] = super().get_params(deep=deep)  # type: ignore[misc]
        if deep and isinstance(self.kernel, Kernel):
            params |= {_PREFIX + name: value for name, value in _fields(self.kernel).items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of the kernel together and after the kernel itself.

        Raises
        ------
        ValueError
            For an unknown name.
        TypeError, ValueError
            For values that the kernel does not take.
        """
        inside = {k.removeprefix(_PREFIX): v for k, v in params.items() if k.startswith(_PREFIX)}
        super().set_params(**{k: v for k, v in params.items() if not k.startswith(_PREFIX)})  # type: ignore[misc]
        if inside:
            self.kernel = _with_fields(check_kernel(self.kernel), inside)
        return self


def _fields(kernel: Kernel) -> dict[str, Any]:
    """The values that a kernel is made of, by name."""
    return {f.name: getattr(kernel, f.name) for f in fields(kernel) if f.init}  # type: ignore[arg-type]


def _with_fields(kernel: Kernel, values: dict[str, Any]) -> Kernel:
    """The kernel with other values."""
    known = _fields(kernel)
    if unknown := sorted(values.keys() - known.keys()):
        raise ValueError(
            f"invalid parameter {unknown[0]!r} for kernel {kernel!r}; it has {', '.join(known)}"
        )
    return replace(kernel, **values)  # type: ignore[type-var]
