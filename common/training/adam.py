"""Adam as `torch.optim.Adam(fused=True)` computes it, without the second that importing `torch._dynamo` takes there."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from common.errors import InputError


class Adam:
    """Adam (Kingma and Ba, 2015) with an L2 penalty, as in the release: all parameters in one pass.

    `lr`: learning rate; `weight_decay`: so many times the parameter is added to its gradient. A parameter without a
    gradient stays as it is. All that a step changes lies on the device of its parameter, so that a CUDA graph can hold
    the step. The methods of `torch.optim.Adam` import `torch._dynamo` in their first call, of no use here.
    `state`: parameter to its number of steps and its moments.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        self._how: dict[str, Any] = {
            "lr": lr,
            "beta1": betas[0],
            "beta2": betas[1],
            "weight_decay": weight_decay,
            "eps": eps,
        }
        self.state: dict[Tensor, dict[str, Tensor]] = {
            parameter: {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
            for parameter in parameters
        }

    def zero_grad(self) -> None:
        """Forget the gradients: they are None."""
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moved = [(p, p.grad, *state.values()) for p, state in self.state.items() if p.grad is not None]
        if not moved:
            return
        parameters, gradients, steps, averages, squares = map(list, zip(*moved, strict=True))
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            parameters, gradients, averages, squares, [], steps, amsgrad=False, maximize=False, **self._how
        )

    def state_dict(self) -> dict:
        """`state` by the index of the parameter, under "state" as `torch.optim.Adam` has it; not a copy."""
        return {"state": dict(enumerate(self.state.values()))}

    @torch.no_grad()
    def load_state_dict(self, content: dict) -> None:
        """Copy a state of this class or of `torch.optim.Adam`, where parameters that never moved have none.

        Raises InputError for a state of other parameters.
        """
        kept, states = content["state"], list(self.state.values())
        for index, found in kept.items():
            expected = {name: tensor.shape for name, tensor in states[index].items()} if index < len(states) else {}
            if {name: tensor.shape for name, tensor in found.items()} != expected:
                raise InputError(f"state of Adam: parameter {index} does not fit; expected that of the same network")
        for index, state in enumerate(states):
            for name, tensor in state.items():
                tensor.copy_(kept[index][name]) if index in kept else tensor.zero_()
