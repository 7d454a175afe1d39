"""AdamW by torch's own function, without what its class imports for `torch.compile`."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

FIRST_DECAY = 0.9  # of the mean of gradients
EPSILON = 1e-8


class AdamW:
    """AdamW over parameters that share a learning rate; those without a gradient stay as they are.

    `torch.optim.AdamW` calls the same function and takes the same steps, bit for bit. Its first
    step imports `torch._dynamo`, which takes longer than many a training of the demo.

    Attributes:
        parameters: All of them.
        state: Of each parameter that has moved, its `step`, `exp_avg` and `exp_avg_sq`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], weight_decay: float, is_fused: bool,
        second_decay: float,
    ) -> None:  # fmt: skip
        """Take parameters; `is_fused` chooses the fused kernel, which a CPU and a CUDA GPU have."""
        self.parameters = list(parameters)
        self._weight_decay, self._is_fused = weight_decay, is_fused
        self._second_decay = second_decay
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take one step at a learning rate."""
        moved = [p for p in self.parameters if p.grad is not None]
        states = [self._state_of(parameter) for parameter in moved]
        adamw(
            list[Tensor](moved),
            [p.grad for p in moved if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=self._is_fused,
            amsgrad=False,
            beta1=FIRST_DECAY,
            beta2=self._second_decay,
            lr=rate,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def _state_of(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        if parameter not in self.state:
            # the fused kernel counts steps on the parameter's device, the plain one on the CPU
            device = parameter.device if self._is_fused else None
            self.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[parameter]
