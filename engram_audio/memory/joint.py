"""The kind `engram`: trained jointly with a head, stored, read back, controlled.

Its knocked-out twin is the same net without it.

Shapes: B targets.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead
from engram_audio.densities.density import Budget, ConditionalDensity
from engram_audio.densities.factory import build_conditional
from engram_audio.densities.fit import Material, choose_base
from engram_audio.densities.null_storage import base_arrays, base_from
from engram_audio.densities.reference import InputScales
from engram_audio.densities.storage import HEAD, load_states, stored_states
from engram_audio.densities.task import DensityTask
from engram_audio.densities.trunks import Trunk
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey
from engram_audio.keys.storage import pack_key, unpack_key
from engram_audio.memory.config import EngramMemory
from engram_audio.memory.engram import EngramModule, EngramTrunk
from engram_audio.memory.names import CONSTANT_GATE, KNOCKED_OUT, RANDOM_VALUES
from engram_audio.memory.ngrams import ngram_ids
from engram_audio.numerics.seeds import named_seed
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState, train

BATCH = 4096


class EngramDensity(ConditionalDensity):
    """A conditional density whose trunk has an Engram module; a `memory.reading.Memory`."""

    known_long: Tensor
    known_short: Tensor

    def __init__(self, base: LinearBase, trunk: EngramTrunk, head: nn.Module) -> None:
        """Join the parts; `know` tells which n-grams train has shown."""
        super().__init__(base, trunk, head)  # type: ignore[arg-type]
        ngrams = trunk.engram.hash
        self.num_states, self.num_slots = max(ngrams.orders), ngrams.num_rows
        self.know(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))

    def know(self, long: Tensor, short: Tensor) -> None:
        """Keep the sorted numbers of train's n-grams of the highest and the lowest order."""
        self.register_buffer("known_long", long)
        self.register_buffer("known_short", short)

    def ngrams(self, context: Tensor, order: int) -> Tensor:
        """Return the exact number of the newest n-gram, shape [B]; pads count as a code."""
        codes = self.engram_trunk.codes(context)[:, -order:].flip(1)
        return ngram_ids(codes, order, self.engram_trunk.key.num_codes + 1)

    @property
    def engram_trunk(self) -> EngramTrunk:
        """The trunk, with its type."""
        return cast(EngramTrunk, self.trunk)

    @property
    def key(self) -> KeyEncoder:
        """See `Memory`."""
        return self.engram_trunk.key

    def slots_read(self, batch: Batch) -> Tensor:
        """See `Memory`: the rows of the newest position."""
        return self.engram_trunk.rows(batch.context).flatten()

    def budget(self) -> Budget:
        """See `ConditionalDensity.budget`."""
        own = super().budget()
        return own._replace(parameters=own.parameters + self.key.num_values)

    def gate(self, batch: Batch) -> Tensor:
        """Return the gate of the newest position, shape [B]."""
        return self.engram_trunk.read(batch.context)[1]

    def is_hit(self, batch: Batch) -> Tensor:
        """Return whether train has shown the newest n-gram of the lowest order, bool, [B]."""
        orders = self.engram_trunk.engram.hash.orders
        return _is_known(self.known_short, self.ngrams(batch.context, min(orders)))

    def is_first_hit(self, batch: Batch) -> Tensor:
        """Return whether train has shown that of the highest order, bool, [B]."""
        orders = self.engram_trunk.engram.hash.orders
        return _is_known(self.known_long, self.ngrams(batch.context, max(orders)))


class Trained(NamedTuple):
    """A trained Engram memory with what rebuilds it."""

    model: EngramDensity
    base: BaseArrays
    key: FittedKey
    head: AnyHead
    window_frames: int
    state: TrainingState


def build_engram(
    settings: EngramMemory,
    head: AnyHead,
    base: BaseArrays,
    key: FittedKey,
    window_frames: int,
    scales: InputScales,
    noise_sd: np.ndarray,
    seed: int,
) -> EngramDensity:
    """Build an untrained Engram memory on a head.

    Raises:
        ValueError: The head is a flow, whose trunk has no hidden state to add to.
    """
    if not head.reads_trunk:
        raise ValueError("an Engram memory needs a mixture or direction head, not a flow")
    plain = build_conditional(head, base, window_frames, scales, noise_sd, seed)
    inner = cast(Trunk, plain.trunk)
    encoder = KeyEncoder(key)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        width = inner.output.in_features
        module = EngramModule(settings, width, encoder.num_codes, seed)
        trunk = EngramTrunk(inner, encoder, module)
    return EngramDensity(plain.base, trunk, plain.head)


def train_memory(
    settings: EngramMemory,
    key: FittedKey,
    head: AnyHead,
    recipe: TrainingRecipe,
    material: Material,
    lag_frames: int,
    event: str,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
    is_shuffled: bool = False,
) -> Trained:
    """Train one; `is_shuffled` is the control whose keys are those of other contexts of a batch.

    See `training.loop.train` for interruption and resuming.
    """
    base = choose_base(
        head, material, lag_frames, event, head.is_linear_skip, named_seed(seed, "base")
    )
    model = build_engram(
        settings, head, base, key, material.window_frames, material.reference.input_scales,
        material.noise_sd, named_seed(seed, "weights", lag_frames, event),
    )  # fmt: skip
    model.engram_trunk.is_shuffled = is_shuffled
    data = (
        material.data(TRAIN, lag_frames),
        material.data(material.choice_part, lag_frames, recipe.maximum_validation_frames),
    )
    task = DensityTask(model, *data, device)
    run_seed = named_seed(seed, "steps", lag_frames, event)
    state = train(task, recipe, run_seed, device, state, callbacks)
    mark_seen(model, task, device)
    return Trained(model, base, key, head, material.window_frames, state)


def _is_known(known: Tensor, numbers: Tensor) -> Tensor:
    if not len(known):
        return torch.zeros_like(numbers, dtype=torch.bool)
    return known[torch.searchsorted(known, numbers).clamp_max(len(known) - 1)] == numbers


@torch.no_grad()
def mark_seen(model: EngramDensity, task: DensityTask, device: torch.device) -> None:
    """Remember the n-grams of train's newest positions, 8 bytes each at most."""
    data, orders = task.train_data, model.engram_trunk.engram.hash.orders
    found: dict[int, list[Tensor]] = {min(orders): [], max(orders): []}
    for items in torch.arange(len(data)).split(BATCH):
        context = data.batch(items, device).context
        for order, parts in found.items():
            parts.append(model.ngrams(context, order))
    long, short = (torch.cat(found[order]).unique() for order in (max(orders), min(orders)))
    model.know(long, short)


def pack(label: str, trained: Trained) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a trained memory's arrays under `label` and its header."""
    arrays = base_arrays(f"{label}/base", trained.base)
    key, key_header = pack_key(f"{label}/key", trained.key)
    arrays |= key
    states = {
        name: tensor.detach().cpu().numpy()
        for name, tensor in trained.model.state_dict().items()
        if not name.startswith("base.")
    }
    arrays |= {f"{label}/state/{name}": values for name, values in states.items()}
    return arrays, {
        "key": key_header,
        "head": trained.head.model_dump(mode="json"),
        "target": trained.base.target,
        "window_frames": trained.window_frames,
        "is_shuffled": trained.model.engram_trunk.is_shuffled,
        "choice_nll": trained.state.best_score,
    }


def unpack(
    settings: EngramMemory,
    label: str,
    arrays: dict[str, np.ndarray],
    header: dict[str, Any],
    _open_base: Callable[[str], ConditionalDensity],
    scales: InputScales,
) -> tuple[EngramDensity, np.ndarray]:
    """Return the memory of `pack`, which has its base with it; slots are not counted."""
    head = HEAD.validate_python(header["head"], strict=False)
    base = base_from(f"{label}/base", header["target"], arrays)
    key = unpack_key(f"{label}/key", arrays, header["key"])
    noise = np.ones(len(base.frame_mean))  # a place for the stored floor, loaded below
    model = build_engram(settings, head, base, key, header["window_frames"], scales, noise, 0)
    state = stored_states(f"{label}/state/", arrays)
    model.know(state["known_long"], state["known_short"])  # the lengths are those of the file
    load_states(model, state)
    model.engram_trunk.is_shuffled = header["is_shuffled"]
    return model.eval(), np.zeros(0)


def controls(
    model: EngramDensity, _counts: np.ndarray, mean_gate: Callable[[], float], seed: int
) -> dict[str, EngramDensity]:
    """Return the net without its table, with one gate for all, and with its rows in random places.

    Args:
        model: The memory.
        mean_gate: Gives the mean gate on the choice part.
        seed: Of the permutation of the table's rows.
    """
    gate = mean_gate()
    names = (KNOCKED_OUT, CONSTANT_GATE, RANDOM_VALUES)
    copies = {name: copy.deepcopy(model) for name in names}
    copies[KNOCKED_OUT].engram_trunk.is_knocked_out = True
    copies[CONSTANT_GATE].engram_trunk.engram.constant_gate = gate
    table = copies[RANDOM_VALUES].engram_trunk.engram.table
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(table.weight), generator=generator).to(table.weight.device)
    with torch.no_grad():
        table.weight.copy_(table.weight[order])
    return copies
