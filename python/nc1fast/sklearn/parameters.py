"""The fields of a kernel as parameters of the estimator that holds it, as scikit-learn's grids and
clones see them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Self

from nc1fast.kernels.classes import Kernel, check_kernel
from nc1fast.kernels.fully_connected import NTK

DEFAULT_KERNEL = NTK("relu", weight_variance="he")
PREFIX = "kernel__"


class KernelParameters:
    """Base of what holds a kernel object as its parameter `kernel`: `kernel__depth` is a field of
    it.

    Of a kernel made of others, `kernel__kernels__0__depth` is one of the first part of a sum or
    product, `kernel__kernel__depth` one of the kernel that is multiplied or raised.
    Kernels are frozen: a changed field makes another kernel, and those that share the old one keep
    it.
    """

    kernel: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with `deep` also the fields of the kernel and of its parts, as
        kernel__FIELD.
        """
        params: dict[str, Any] = super().get_params(deep=deep)  # type: ignore[misc]
        if deep and isinstance(self.kernel, Kernel):
            params |= {PREFIX + name: value for name, value in all_fields(self.kernel).items()}
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
        inside = {k.removeprefix(PREFIX): v for k, v in params.items() if k.startswith(PREFIX)}
        own = {k: v for k, v in params.items() if not k.startswith(PREFIX)}
        super().set_params(**own)  # type: ignore[misc]
        if inside:
            self.kernel = with_fields(check_kernel(self.kernel), inside)
        return self


def own_fields(kernel: Kernel) -> dict[str, Any]:
    """The values that a kernel is made of, by name."""
    known = fields(kernel)  # type: ignore[arg-type]
    return {one.name: getattr(kernel, one.name) for one in known if one.init}


def parts_of(kernel: Kernel) -> dict[str, Kernel]:
    """The kernels that one is made of, in order: `kernel`, or `kernels__0`, `kernels__1`, ..."""
    found: dict[str, Kernel] = {}
    for name, value in own_fields(kernel).items():
        several = enumerate(value) if isinstance(value, tuple) else ()
        found |= {name: value} if isinstance(value, Kernel) else {}
        found |= {f"{name}__{i}": one for i, one in several if isinstance(one, Kernel)}
    return found


def all_fields(kernel: Kernel) -> dict[str, Any]:
    """The values that a kernel and its parts are made of, by names as `kernels__0__depth`."""
    found = own_fields(kernel)
    for name, part in parts_of(kernel).items():
        inside = {f"{name}__{field}": value for field, value in all_fields(part).items()}
        found |= {name: part, **inside}
    return found


def with_fields(kernel: Kernel, values: dict[str, Any]) -> Kernel:
    """The kernel with other values: its own first, then whole parts, then what is inside of them.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError, ValueError
        For values that the kernel does not take.
    """
    known = own_fields(kernel)
    own = {name: value for name, value in values.items() if name in known}
    if own:
        kernel = replace(kernel, **own)  # type: ignore[type-var]
    left, parts = {name: values[name] for name in values if name not in own}, parts_of(kernel)
    changed: dict[str, Any] = {}
    for name, part in parts.items():
        whole, begin = check_kernel(left.pop(name, part)), f"{name}__"
        inside = {k.removeprefix(begin): left.pop(k) for k in list(left) if k.startswith(begin)}
        changed[name] = with_fields(whole, inside) if inside else whole
    if left:
        raise ValueError(
            f"invalid parameter {min(left)!r} for kernel {kernel!r}; "
            f"it has {', '.join(known | parts)}"
        )
    for name in known:
        several = tuple(one for part, one in changed.items() if part.startswith(f"{name}__"))
        if several:
            changed = {name: several}
    return replace(kernel, **changed) if changed else kernel  # type: ignore[type-var]
