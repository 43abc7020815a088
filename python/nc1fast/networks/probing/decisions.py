"""Outputs of a linear layer: the decisions about the features that it is called with, without
another product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.networks.probing.search import float32_is_whole
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from nc1fast.networks.probing.pooling import RowClasses
else:
    torch = require("torch", "torch")


@dataclass(eq=False)
class Outputs:
    """The outputs of a linear layer on the host.

    Attributes
    ----------
    part : torch.nn.Linear
    columns : ndarray of shape (n_classes,) or None
        Which of them are those of the classes; None: all.
    """

    part: Any
    columns: NDArray[np.int64] | None
    _rows: RowClasses | None = None

    @staticmethod
    def told_by(part: Any) -> bool:
        """Whether outputs are W h + b and nothing else: no subclass, hook or other forward changes
        them.
        """
        hooks = (part._forward_hooks, part._forward_pre_hooks)
        return type(part) is torch.nn.Linear and "forward" not in vars(part) and not any(hooks)

    def expects(self, H: torch.Tensor, F: torch.Tensor, rows: RowClasses, pool: Any) -> bool:
        """Whether the outputs that follow belong to the rows F, pooled of H, and are as good as
        their type.
        """
        plain = H.ndim == 2 and pool != "tokens" and not callable(pool)
        same = F.dtype == self.part.weight.dtype and F.device.type == "cpu"
        whole = F.dtype is torch.float64 or (F.dtype is torch.float32 and float32_is_whole())
        fits = (plain or (H.ndim == 3 and pool == "tokens")) and same and whole
        self._rows = rows if fits and not torch.is_autocast_enabled("cpu") else None
        return self._rows is not None

    def attach(self, compare: Callable[[torch.Tensor], object]) -> Any:
        """A hook that hands on outputs (n, n_classes) of the rows that are expected."""

        def after(_module: Any, _inputs: Any, output: Any) -> None:
            rows, self._rows = self._rows, None
            if rows is None:
                return
            found = output.detach().reshape(rows.n, -1)
            if rows.kept is not None:
                found = found[torch.from_numpy(rows.kept)]
            compare(found if self.columns is None else found[:, torch.from_numpy(self.columns)])

        return self.part.register_forward_hook(after)
