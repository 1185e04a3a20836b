"""Adam on rows of θ."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Adam:
    """Gradient descent on θ [seed, parameter] by Adam (Kingma & Ba, 2015), each row its own problem.

    All of Adam is elementwise, so the rows never meet; `max_norm` clips the gradient of each row on its own.
    """

    def __init__(self, parameters: Tensor, lr: float, max_norm: float = math.inf) -> None:
        self.parameters = parameters.detach().clone().requires_grad_()
        self.lr = lr
        self.max_norm = max_norm
        self._adam = torch.optim.Adam([self.parameters], lr=lr, eps=1e-5, fused=True)

    def minimize(self, loss: Tensor, rate: float = 1.0, rows: Tensor | None = None) -> Tensor:
        """One step down `loss` [seed]; returns the norm of each row's gradient before clipping.

        `rate` scales the step size, for schedules. Where `rows` [seed] is False nothing moves, not even Adam's moments.

        Raises:
            FloatingPointError: a gradient that is NaN or infinite, naming the rows.
        """
        (grad,) = torch.autograd.grad(loss.sum(), self.parameters)
        norm = grad.norm(dim=1)
        if not norm.isfinite().all():
            rows = (~norm.isfinite()).nonzero().flatten().tolist()
            raise FloatingPointError(
                f"the gradient of rows {rows} of θ is NaN or infinite: look for NaN in observations or rewards, "
                "or lower the learning rate"
            )
        self.parameters.grad = grad * (self.max_norm / norm.clamp_min(1e-12)).clamp_max(1.0).unsqueeze(1)
        self._adam.param_groups[0]["lr"] = rate * self.lr
        if rows is None or rows.all():
            self._adam.step()
            return norm
        before = self.state()
        self._adam.step()
        self.load({name: self._where(rows, new, before[name]) for name, new in self.state().items()})
        return norm

    def _where(self, rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return new.where(rows.unsqueeze(1), old) if new.shape == self.parameters.shape else new  # Adam's step count

    def state(self) -> dict[str, Tensor]:
        """A copy of the parameters and of Adam's moments and step count: see `load`."""
        moments = self._adam.state[self.parameters]
        return {name: tensor.detach().clone() for name, tensor in {"parameters": self.parameters, **moments}.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        with torch.no_grad():
            self.parameters.copy_(state["parameters"])
        self._adam.state[self.parameters] = {
            name: tensor.clone() for name, tensor in state.items() if name != "parameters"
        }
