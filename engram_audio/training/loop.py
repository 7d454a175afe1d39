"""The one training loop: seeded, resumable bit for bit, stopped early on held-out data.

Nothing but the step number, the weights and the optimiser's moments carries from one step to the
next: data order, dropout and learning rate are functions of (seed, step). A checkpoint is therefore
complete, and a killed run repeats the steps after its last checkpoint exactly.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from engram_audio.numerics.seeds import step_seed
from engram_audio.training.adamw import AdamW
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.lazy_adam import LazyAdam
from engram_audio.training.order import ShuffledOrder
from engram_audio.training.schedule import learning_rate
from engram_audio.training.tables import sparse_tables


class Task(Protocol):
    """What is trained: a model, items to draw batches of, a loss and a score on held-out data."""

    @property
    def model(self) -> nn.Module:
        """The module whose parameters are trained."""
        ...

    @property
    def num_items(self) -> int:
        """How many items an epoch has."""
        ...

    @property
    def frames_per_item(self) -> int:
        """Frames of one item: 1 for a target, more for a sequence."""
        ...

    @property
    def details(self) -> dict[str, float]:
        """What the last validation measured beside its score; logged with it."""
        ...

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of the items (int64 numbers)."""
        ...

    def validate(self) -> float:
        """Return the score on held-out data; lower is better."""
        ...


@dataclass
class TrainingState:
    """Everything that a run is, between two steps.

    Attributes:
        step: Steps done.
        weights: Parameters and buffers.
        moments: Optimiser state by `<parameter>.<name>`.
        best_weights: Parameters and buffers of the best score so far.
        best_score: That score; infinity while no score was finite.
        best_step: Steps done when it was reached.
        num_since_best: Scores since then.
        loss_sum: Sum of the losses since the last score.
        loss_count: How many those are.
        history: Log records so far.
    """

    step: int
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    best_score: float
    best_step: int
    num_since_best: int
    loss_sum: float = 0.0
    loss_count: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Interrupted(Exception):
    """The run was asked to stop; its state has been saved."""


@dataclass(frozen=True)
class Callbacks:
    """How the loop talks to the outside.

    Attributes:
        save: Called with the state at every checkpoint.
        log: Called with each record: step, train_loss, learning_rate, gradient_norm,
            held_out_score.
        should_stop: Asked after every step; True saves and raises `Interrupted`.
        progress: Called with the number of steps done.
        finish: Called with the state of a training that is over.
    """

    save: Callable[[TrainingState], None] = lambda state: None
    log: Callable[[dict[str, float]], None] = lambda record: None
    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[int], None] = lambda step: None
    finish: Callable[[TrainingState], None] = lambda state: None


def train(
    task: Task,
    recipe: TrainingRecipe,
    seed: int,
    device: torch.device,
    state: TrainingState | None = None,
    callbacks: Callbacks | None = None,
) -> TrainingState:
    """Train until the last step or until the score stops improving; keep the best weights.

    Args:
        task: What to train; its model is on `device`.
        recipe: How.
        seed: Decides data order and dropout.
        device: Where.
        state: A saved state to go on from.
        callbacks: Saving, logging, interruption.

    Raises:
        Interrupted: `should_stop` was True; the state was saved first.
        FloatingPointError: The training diverged: the loss is not finite, or no held-out score is.
    """
    callbacks = callbacks or Callbacks()
    optimizers = build_optimizers(task.model, recipe, device)
    if state is None:
        state = _first_state(task, callbacks)
    else:
        _restore(task.model, optimizers, state)
    batch_items = max(recipe.batch_frames // task.frames_per_item, 1)
    order = ShuffledOrder(task.num_items, batch_items, seed)
    losses: list[Tensor] = []
    norm = torch.zeros(())
    while state.step < recipe.num_steps and not _is_patience_over(state, recipe):
        loss, norm = _train_step(task, optimizers, recipe, order, seed, state.step, device)
        losses.append(loss)
        state.step += 1
        is_last = state.step == recipe.num_steps
        if state.step % recipe.validation_interval_steps == 0 or is_last:
            _add_losses(state, losses)
            _score(task, state, recipe, norm, callbacks)
        stop = callbacks.should_stop()
        if stop or state.step % recipe.checkpoint_interval_steps == 0:
            _add_losses(state, losses)
            _capture(task.model, optimizers, state)
            callbacks.save(state)
        callbacks.progress(state.step)
        if stop:
            raise Interrupted(f"stopped after step {state.step}")
    _require_finite_score(state)
    task.model.load_state_dict(state.best_weights)
    _capture(task.model, optimizers, state)
    callbacks.finish(state)
    return state


class Optimizers(NamedTuple):
    """AdamW for the network and, for each sparse table, lazy Adam with its factor on the rate."""

    network: AdamW
    tables: list[LazyAdam]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.network.zero_grad()
        for optimizer in self.tables:
            optimizer.zero_grad()

    def step(self, rate: float) -> None:
        """Take one step at a learning rate."""
        self.network.step(rate)
        for optimizer in self.tables:
            optimizer.step(rate)

    @property
    def states(self) -> list[dict[Tensor, dict[str, Any]]]:
        """The moments of each optimiser, by parameter."""
        return [self.network.state, *(optimizer.state for optimizer in self.tables)]


def build_optimizers(model: nn.Module, recipe: TrainingRecipe, device: torch.device) -> Optimizers:
    """Return AdamW with the fused kernel (1.2x the plain one, on a CPU too) and the tables'."""
    tables = sparse_tables(model)
    of_tables = {id(table.weight) for table in tables}
    network = AdamW(
        [parameter for parameter in model.parameters() if id(parameter) not in of_tables],
        recipe.weight_decay,
        is_fused=device.type in ("cpu", "cuda"),
        second_decay=recipe.second_moment_decay,
    )
    return Optimizers(network, [LazyAdam(table) for table in tables if table.weight.requires_grad])


def autocast(recipe: TrainingRecipe, device: torch.device) -> AbstractContextManager:
    """Return bfloat16 autocast where asked for and where the device has it in hardware."""
    if recipe.precision == "bfloat16" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def _train_step(
    task: Task,
    optimizers: Optimizers,
    recipe: TrainingRecipe,
    order: ShuffledOrder,
    seed: int,
    step: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    _seed(step_seed(seed, step), device)
    if not task.model.training:  # telling every module takes longer than some of them do
        task.model.train()
    optimizers.zero_grad()
    with autocast(recipe, device):
        loss = task.loss(order.batch(step))
    loss.backward()
    norm = _clip(optimizers.network.parameters, recipe.gradient_clip)
    optimizers.step(learning_rate(recipe, step))
    return loss.detach(), norm


def _seed(seed: int, device: torch.device) -> None:
    """Seed what a step on the device draws from.

    `torch.manual_seed` seeds every kind of device. For one that is not in use it keeps the call and
    a formatted stack for later, at every step.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _clip(parameters: list[nn.Parameter], largest: float) -> Tensor:
    """Clip the gradient's norm and return it; on a CPU one that is small enough is left untouched.

    Scaling by 1 changes no bit and costs a pass over all gradients; a GPU would have to wait for
    the answer. Rows of a sparse table are no part of it: Adam takes their scale out anyway.
    """
    parameters = [p for p in parameters if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if norm.device.type != "cpu" or not bool(norm + 1e-6 <= largest):
        nn.utils.clip_grads_with_norm_(parameters, largest, norm)
    return norm


def _first_state(task: Task, callbacks: Callbacks) -> TrainingState:
    task.model.eval()
    with torch.no_grad():
        score = task.validate()
    weights = _copy(task.model.state_dict())
    best = score if math.isfinite(score) else math.inf
    state = TrainingState(0, weights, {}, weights, best, 0, 0)
    _record(state, {"step": 0, "held_out_score": score, **task.details}, callbacks)
    return state


def _score(
    task: Task, state: TrainingState, recipe: TrainingRecipe, norm: Tensor, callbacks: Callbacks
) -> None:
    task.model.eval()
    with torch.no_grad():
        score = task.validate()
    record = {
        "step": state.step,
        "learning_rate": learning_rate(recipe, state.step - 1),
        "gradient_norm": float(norm),
        "held_out_score": score,
        **task.details,
    }
    if state.loss_count:
        record["train_loss"] = state.loss_sum / state.loss_count
        if not math.isfinite(record["train_loss"]):
            raise FloatingPointError(f"the training loss is not finite at step {state.step}")
        state.loss_sum, state.loss_count = 0.0, 0
    if math.isfinite(score) and score < state.best_score:
        state.best_score, state.best_step, state.num_since_best = score, state.step, 0
        state.best_weights = _copy(task.model.state_dict())
    else:
        state.num_since_best += 1
    _record(state, record, callbacks)


def _require_finite_score(state: TrainingState) -> None:
    """Refuse a training that never had a finite score.

    The score before the first step does not count: its weights are not trained.
    """
    scores = [record["held_out_score"] for record in state.history if record["step"]]
    if not any(map(math.isfinite, scores)):
        raise FloatingPointError(
            f"no held-out score is finite, from the first step to step {state.step}"
        )


def _add_losses(state: TrainingState, losses: list[Tensor]) -> None:
    """Move losses into the state, one by one: the sum then has no trace of when it was saved."""
    for loss in torch.stack(losses).tolist() if losses else []:
        state.loss_sum += loss
        state.loss_count += 1
    losses.clear()


def _record(state: TrainingState, record: dict[str, float], callbacks: Callbacks) -> None:
    state.history.append(record)
    callbacks.log(record)


def _is_patience_over(state: TrainingState, recipe: TrainingRecipe) -> bool:
    patience = recipe.patience_validations
    return patience is not None and state.num_since_best >= patience


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _named_moments(
    model: nn.Module, optimizers: Optimizers
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, parameter in model.named_parameters():
        for state in optimizers.states:
            if parameter in state:
                yield name, state[parameter]


def _capture(model: nn.Module, optimizers: Optimizers, state: TrainingState) -> None:
    state.weights = _copy(model.state_dict())
    state.moments = {
        # lazy Adam counts its steps in a plain number
        f"{name}.{key}": torch.as_tensor(value).detach().clone()
        for name, moments in _named_moments(model, optimizers)
        for key, value in moments.items()
    }


def _restore(model: nn.Module, optimizers: Optimizers, state: TrainingState) -> None:
    model.load_state_dict(state.weights)
    owners = {id(optimizer.weight): optimizer for optimizer in optimizers.tables}
    for name, parameter in model.named_parameters():
        found = {
            key: state.moments[f"{name}.{key}"].to(parameter.device).clone()
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"{name}.{key}" in state.moments
        }
        if found and id(parameter) in owners:
            owners[id(parameter)].state[parameter] = {**found, "step": int(found["step"])}
        elif found:
            optimizers.network.state[parameter] = found
