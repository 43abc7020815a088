"""The largest of many products of each row on the host, in float32 with a bound on its errors and
in float64 where that leaves a doubt; and the outputs of a linear layer in the place of products.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.core.linear import matmul
from nc1fast.metrics.nearest import first_best

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.networks.probing.outputs import RowClasses

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

_INNER = 512  # of a product that is added up in any order
_SIDE = 1024  # columns at a time: their scores stay in cache
_ROUNDOFF = 2.0**-24
_TINY = 2.0**-100  # more than what numbers below the normal ones of float32 lose in a product
_FEW = 8  # candidates that are computed one by one
_SAFE = 30  # exponents of lengths whose products float32 holds


@contextlib.contextmanager
def whole_float32() -> Iterator[None]:
    """Products of float32 as such: no autocast, and no bfloat16 or TF32 in their place."""
    with contextlib.ExitStack() as stack:
        if torch.is_autocast_enabled("cpu"):
            stack.enter_context(torch.autocast("cpu", enabled=False))
        backend: Any = getattr(torch.backends.mkldnn, "matmul", None)
        precision = getattr(backend, "fp32_precision", None)
        if precision is None and torch.get_float32_matmul_precision() != "highest":
            precision = torch.get_float32_matmul_precision()
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        elif precision not in (None, "ieee"):
            backend.fp32_precision = "ieee"
            stack.callback(setattr, backend, "fp32_precision", precision)
        yield


def float32_is_whole() -> bool:
    """Whether products of float32 are computed as such now."""
    backend: Any = getattr(torch.backends.mkldnn, "matmul", None)
    precision = getattr(backend, "fp32_precision", "none")
    return precision in ("none", "ieee") and torch.get_float32_matmul_precision() == "highest"


def exponent_of(length: float) -> int:
    """The power of two that brings a length near 1, where float32 does not hold its square times
    others.
    """
    _, exponent = math.frexp(length)
    return 0 if abs(exponent) < _SAFE else -exponent


class LargestProduct:
    """argmax_k <x, v_k> + o_k of rows x; ties go to the lowest.

    Notes
    -----
    In float32 the products are known to e = (512 + d/512 + 6) 2^-24 (|x| |v| + |o|), v and o the
    longest and the largest, in whatever order the 512 terms of a block are added: rows whose two
    largest differ by more than 2 e are decided. Of the others those within 2 e of the largest are
    computed in float64.
    """

    def __init__(self, V: Array, offset: Array, exponent: int) -> None:
        """Take V (K, d) and offsets (K,); rows will come in units of 2^-exponent."""
        self.V, self.offset = V, offset
        d = V.shape[1]
        squares = np.einsum("kd,kd->k", V, V)
        self.longest = longest = math.sqrt(float(squares.max(initial=0.0)))
        own = exponent_of(longest)
        self._scale = (exponent, own)
        self._V = torch.from_numpy(np.ldexp(V, own).astype(np.float32))
        scaled = np.ldexp(offset, exponent + own)
        self._offset = torch.from_numpy(scaled.astype(np.float32))
        self._longest = math.ldexp(longest, own)
        self._largest = float(np.abs(scaled).max(initial=0.0))
        self._scores = torch.empty(0, len(V))  # kept from batch to batch, like the memory behind it
        self._unit = 2 * (1.01 + d * _ROUNDOFF) * (min(d, _INNER) + d / _INNER + 6) * _ROUNDOFF

    def __len__(self) -> int:
        return len(self.V)

    def of(self, X: torch.Tensor, exact: Callable[[Indices], Array]) -> torch.Tensor:
        """Index of the largest for each row, shape (n,).

        Parameters
        ----------
        X : float32 tensor of shape (n, d)
            Rows times 2^exponent.
        exact : callable(indices)
            These rows in float64, as they are.
        """
        s, best, second, nearest = self.scores(X)
        doubt = self.doubt(X)
        decided = best.double() - second.double() > doubt
        if bool(decided.all()):
            return nearest
        rows = np.flatnonzero(~decided.numpy())
        least = (best.double() - doubt)[rows].numpy()
        nearest[rows] = torch.from_numpy(self._settled(exact(rows), s[rows].numpy(), least))
        return nearest

    def of_outputs(
        self,
        outputs: torch.Tensor,
        H: torch.Tensor,
        exact: Callable[[Indices], Array],
        bias: float,
    ) -> torch.Tensor:
        """The same of rows H, whose outputs (n, K) <v_k, h> + b_k a layer has computed in its type
        in any order, |b_k| <= bias.
        """
        unit = 1.01 * (H.shape[1] + 4) * torch.finfo(outputs.dtype).eps
        lengths = torch.linalg.vector_norm(H, dim=1).double()
        doubt = unit * (lengths * self.longest + bias) + _TINY * (1 + lengths)
        best, at = outputs.max(dim=1)
        least = (best.double() - doubt).to(outputs.dtype)
        least = torch.nextafter(least, torch.full_like(least, -torch.inf))
        alone = (outputs >= least[:, None]).sum(dim=1, dtype=torch.int32) == 1
        if not bool(alone.all()):
            rows = np.flatnonzero(~alone.numpy())
            found = self._settled(exact(rows), outputs[rows].numpy(), least[rows].numpy())
            at[rows] = torch.from_numpy(found)
        return at

    def doubt(self, X: torch.Tensor) -> torch.Tensor:
        """2 e of each row, float64."""
        lengths = torch.linalg.vector_norm(X, dim=1).double()
        return self._unit * (lengths * self._longest + self._largest) + _TINY * (1 + lengths)

    def scores(self, X: torch.Tensor, without: slice | None = None) -> tuple[torch.Tensor, ...]:
        """Products (n, K), the largest two of each row, (n,) each, and the index of the first.

        `without`: as many columns as rows, row i is not compared with the i-th of them.
        """
        n, K = len(X), len(self._V)
        if len(self._scores) < n:
            self._scores = torch.empty(n, K)
        s = self._scores[:n]
        best, second = torch.full((n,), -torch.inf), torch.full((n,), -torch.inf)
        nearest, k = torch.zeros(n, dtype=torch.int64), torch.arange(n)
        for start in range(0, K, _SIDE):
            block, V = s[:, start : start + _SIDE], self._V[start : start + _SIDE]
            torch.addmm(
                self._offset[start : start + _SIDE], X[:, :_INNER], V[:, :_INNER].T, out=block
            )
            for i in range(_INNER, X.shape[1], _INNER):
                block.addmm_(X[:, i : i + _INNER], V[:, i : i + _INNER].T)
            if without is not None:
                own = torch.arange(without.start, without.stop) - start
                inside = (own >= 0) & (own < block.shape[1])
                block[k[inside], own[inside]] = -torch.inf
            largest, at = block.max(dim=1)
            block[k, at] = -torch.inf
            next_one = block.amax(dim=1)
            block[k, at] = largest
            more = ~(largest <= best)  # NaN is more
            second = torch.where(
                more, torch.maximum(best, next_one), torch.maximum(second, largest)
            )
            nearest = torch.where(more, at + start, nearest)
            best = torch.where(more, largest, best)
        return s, best, second, nearest

    def _settled(self, X: Array, s: NDArray[Any], least: NDArray[Any]) -> Indices:
        """Decide the rows X, whose largest product has an s of `least` or more."""
        near = ~(s < least[:, None])  # NaN is near
        counts = np.count_nonzero(near, axis=1)
        found = np.empty(len(X), dtype=np.int64)
        many, few = np.flatnonzero(counts > _FEW), np.flatnonzero(counts <= _FEW)
        if len(many):
            found[many] = (matmul(X[many], self.V.T) + self.offset).argmax(axis=1)
        if len(few):
            of, k = np.nonzero(near[few])
            found[few] = k[first_best(self._values(X[few[of]], k), counts[few])]
        return found

    def _values(self, X: Array, k: Indices) -> Array:
        """Products of row i with v_k[i], and their offsets, or what orders them alike."""
        return np.asarray(np.einsum("id,id->i", X, self.V[k]) + self.offset[k])


class NearestOnHost(LargestProduct):
    """The nearest of class means z_k: the largest <x, z_k> - |z_k|^2/2, both about one point."""

    def __init__(self, Z: Array, exponent: int) -> None:
        """Take the class means Z, shape (n_classes, n_features)."""
        super().__init__(Z, -np.einsum("kd,kd->k", Z, Z) / 2, exponent)

    def _values(self, X: Array, k: Indices) -> Array:
        return np.asarray(-np.square(X - self.V[k]).sum(axis=1))

    def rows(self, own: torch.Tensor) -> torch.Tensor:
        """The means z_own in units of rows, float32."""
        return self._V[own]

    def reach(self) -> Array:
        """No more than half the distance of each mean to the nearest other, shape (n_classes,):
        rows within it are decided.

        Cost: C^2 d multiply-adds in float32.
        """
        exponent, own = self._scale
        half, reach = -np.ldexp(self.offset, exponent + own), np.empty(len(self))
        for start in range(0, len(self), _SIDE):
            part = slice(start, min(start + _SIDE, len(self)))
            X = torch.from_numpy(np.ldexp(self.V[part], exponent).astype(np.float32))
            _, best, _, _ = self.scores(X, part)
            squares = 2 * (half[part] - best.double().numpy() - self.doubt(X).numpy())
            reach[part] = np.sqrt(np.maximum(squares, 0)) / 2
        return np.asarray(np.ldexp((1 - 1e-6) * reach, -exponent))


@dataclass(eq=False)
class Outputs:
    """The outputs of a linear layer on the host: the decisions about the features that it is called
    with, without another product.

    Attributes
    ----------
    part : torch.nn.Linear
    columns : ndarray of shape (n_classes,) or None
        Which of them are those of the classes; None: all.
    """

    part: Any
    columns: Indices | None
    _rows: RowClasses | None = None

    @staticmethod
    def are_plain(part: Any) -> bool:
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
