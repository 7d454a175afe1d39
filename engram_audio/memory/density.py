"""A table beside a frozen base, as one conditional density.

With slots s of the context, weights v_s of the reading, and u = v . w the entry's weight:

    p(value | context) = (1 - u) p_base + sum_s v_s w_s N(centre + a mean_s, spread_s)

in the base's whitened units, a the scalar gate. The centre is the base's mean for stored residuals
and (1 - a) times it for stored targets. A miss reads nothing and leaves the base as it is.

Shapes: B targets, W window, D dimensions, S slots, m entries read, N candidates.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Budget, ConditionalDensity, Density
from engram_audio.densities.heads import Drawn, choose_components
from engram_audio.keys.encoder import SMALLEST_SQUARE, KeyEncoder
from engram_audio.memory.entries import Entries
from engram_audio.memory.ngrams import foreign_parts
from engram_audio.memory.slots import SlotMap
from engram_audio.numerics.units import LOG_2PI

UNMEASURED = -1e30  # log of no weight: finite, so that gradients pass it by instead of becoming NaN


def _log(weights: Tensor) -> Tensor:
    """Return log weights; a weight of 0 is `NOTHING`."""
    return torch.where(weights > 0, weights.clamp_min(1e-38).log(), UNMEASURED)


class Reading(NamedTuple):
    """What a context reads: slots [B, m] (S for a miss) and weights that sum to 1, [B, m]."""

    slots: Tensor
    weights: Tensor


class Lookup(nn.Module):
    """From contexts to slots; shuffled keys are those of other contexts of the batch."""

    def __init__(
        self, key: KeyEncoder, slots: SlotMap, num_neighbors: int, temperature: float
    ) -> None:
        """Keep key and dictionary; the temperature is in mean squared nearest distances."""
        super().__init__()
        self.key, self.slots = key, slots
        self.num_neighbors, self.temperature = num_neighbors, temperature
        self.is_shuffled = False

    def read(self, context: Tensor, so_far: Tensor | None = None) -> Reading:
        """Return slots and weights of contexts [B, W, D]; centred keys read `so_far` too."""
        if self.is_shuffled:
            context, so_far = foreign_parts(context, so_far)
        if self.num_neighbors == 1:
            codes = self.key.codes(context, max(self.slots.orders), so_far)
            slot = self.slots.slots(codes, self.key.num_codes).unsqueeze(1)
            return Reading(slot, torch.ones_like(slot, dtype=torch.float32))
        codes, squares = self.key.nearest(context, self.num_neighbors, so_far)
        scale = max(self.temperature * self.key.nearest_square, SMALLEST_SQUARE)
        weights = torch.softmax(-squares / scale, 1)
        flat = self.slots.slots(codes.reshape(-1, 1), self.key.num_codes)
        return Reading(flat.view(codes.shape), weights)


class MemoryDensity(Density):
    """The law above; a `memory.reading.Memory`."""

    means: Tensor
    log_sds: Tensor
    weights: Tensor

    def __init__(
        self,
        base: ConditionalDensity,
        lookup: Lookup,
        entries: Entries,
        is_target_stored: bool,
        strength: float,
    ) -> None:
        """Join a base and a table.

        Args:
            base: Frozen; its own target is the event.
            lookup: Keys and slots.
            entries: The table; a row for the miss is added.
            is_target_stored: Whether means are targets (about the base's intercept), not residuals.
            strength: a, the scalar gate on the stored mean.
        """
        super().__init__()
        self.base, self.lookup, self.target = base, lookup, base.target
        self.num_states, self.num_slots = max(lookup.slots.orders), lookup.slots.num_slots
        self.is_target_stored, self.strength = is_target_stored, strength
        self.set_entries(entries)

    def set_entries(self, entries: Entries) -> None:
        """Store a table, with weight 0 for the miss."""
        rows = {
            "means": np.vstack([entries.mean, np.zeros((1, entries.mean.shape[1]))]),
            "log_sds": np.vstack([entries.log_sd, np.zeros((1, entries.log_sd.shape[1]))]),
            "weights": np.append(entries.weight, 0.0),
        }
        for name, values in rows.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))

    @property
    def key(self) -> KeyEncoder:
        """See `Memory`."""
        return self.lookup.key

    def slots_read(self, batch: Batch) -> Tensor:
        """See `Memory`."""
        return self.lookup.read(batch.context, batch.so_far).slots[:, 0]

    def budget(self) -> Budget:
        """See `ConditionalDensity.budget`; a spread or weight that all share is one row."""
        key, base = self.lookup.key, self.base.budget()
        parts = (self.log_sds[:-1], self.weights[:-1])  # the row of the miss is no number
        table = self.means[:-1].numel() + sum(map(_distinct, parts))
        read = 6 * self.lookup.num_neighbors * self.means.shape[1]
        return Budget(base.parameters + key.num_values + table, base.flops + key.flops + read)

    def gate(self, batch: Batch) -> Tensor:
        """Return u, the weight of the memory, shape [B]."""
        reading = self.lookup.read(batch.context, batch.so_far)
        return (reading.weights * self.weights[reading.slots]).sum(1)

    def is_hit(self, batch: Batch) -> Tensor:
        """Return whether the nearest entry exists, of whatever order, bool, shape [B]."""
        return self.slots_read(batch) < self.num_slots

    def is_first_hit(self, batch: Batch) -> Tensor:
        """Return whether the entry is of the first order, not one that it fell back to, [B]."""
        return self.slots_read(batch) < self.lookup.slots.first[1]

    def log_prob(self, batch: Batch) -> Tensor:
        """See `Density.log_prob`."""
        value = self.base.base.value(batch, self.target).unsqueeze(1)
        return self._log_mixed(batch, value, self.base.log_prob(batch).unsqueeze(1)).squeeze(1)

    def log_prob_of(self, batch: Batch, values: Tensor) -> Tensor:
        """Return log densities of candidate values [B, N, D], shape [B, N]."""
        return self._log_mixed(batch, values, self.base.log_prob_of(batch, values))

    def _log_mixed(self, batch: Batch, values: Tensor, base_log: Tensor) -> Tensor:
        reading = self.lookup.read(batch.context, batch.so_far)
        centres = self._centres(batch, reading)
        z = self.base.base.whiten(values - self.origin(batch).unsqueeze(1)).unsqueeze(2)
        log_sd = self.log_sds[reading.slots].unsqueeze(1)
        scaled = (z - centres.unsqueeze(1)) * torch.exp(-log_sd)
        log_normal = -0.5 * scaled.square().sum(-1) - log_sd.sum(-1)
        log_normal = log_normal - 0.5 * z.shape[-1] * LOG_2PI + self.base.base.log_det
        own = (reading.weights * self.weights[reading.slots]).clamp_max(1.0)
        rest = (1 - own.sum(1)).clamp_min(0)
        log_entries = torch.logsumexp(_log(own).unsqueeze(1) + log_normal, -1)
        return torch.logaddexp(_log(rest).unsqueeze(1) + base_log, log_entries)

    def origin(self, batch: Batch) -> Tensor:
        """Return where stored values start, in units of the value: base mean, or intercept."""
        if self.is_target_stored:
            return self.base.base.intercept.expand(len(batch.current), -1)
        return self.base.mean(batch)

    def _centres(self, batch: Batch, reading: Reading) -> Tensor:
        """Return the entries' centres from the origin, whitened, shape [B, m, D]."""
        centres = self.strength * self.means[reading.slots]
        if self.is_target_stored and self.strength != 1.0:
            own = self.base.base.whiten(self.base.mean(batch) - self.origin(batch))
            centres = centres + (1 - self.strength) * own.unsqueeze(1)
        return centres

    @property
    def has_moments(self) -> bool:
        """See `Density.has_moments`."""
        return self.base.has_moments

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`: base and entries mixed."""
        base_mean, base_variance = self.base.moments(batch)
        weights, centres, spreads = self._entry_laws(batch)
        weights, rest = weights.unsqueeze(-1), 1 - weights.sum(1, keepdim=True)
        mean = rest * base_mean + (weights * centres).sum(1)
        between = (centres - mean.unsqueeze(1)).square()
        variance = rest * (base_variance + (base_mean - mean).square())
        return mean, variance + (weights * (spreads + between)).sum(1)

    def _entry_laws(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights [B, m], means and variances [B, m, D] of the entries, in value units.

        The rest of the weight is the base's.
        """
        reading = self.lookup.read(batch.context, batch.so_far)
        weights = reading.weights * self.weights[reading.slots]
        moved = self.base.base.unwhiten(self._centres(batch, reading))
        spread = self.base.base.spread((2 * self.log_sds[reading.slots]).exp())
        return weights, self.origin(batch).unsqueeze(1) + moved, spread

    def mean(self, batch: Batch) -> Tensor:
        """See `Density.mean`."""
        reading = self.lookup.read(batch.context, batch.so_far)
        own = (reading.weights * self.weights[reading.slots]).unsqueeze(-1)
        entries = (own * self._centres(batch, reading)).sum(1)
        read = self.origin(batch) * own.sum(1) + self.base.base.unwhiten(entries)
        return read + (1 - own.sum(1)) * self.base.mean(batch)

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `Density.sample`."""
        return self.draw(batch, num_samples, generator).values

    def draw(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Drawn:
        """See `Density.draw`; the weights of the entries are fixed, only the base chooses."""
        reading = self.lookup.read(batch.context, batch.so_far)
        own = reading.weights * self.weights[reading.slots]
        choices = torch.cat([own, (1 - own.sum(1, keepdim=True)).clamp_min(0)], 1)
        chosen = choose_components(choices.clamp_min(1e-30).log(), num_samples, generator)
        entry = chosen.clamp_max(own.shape[1] - 1)
        rows = torch.arange(len(own), device=own.device)
        slots = reading.slots[rows, entry]
        noise = torch.randn(
            (*slots.shape, self.means.shape[1]), generator=generator, device=own.device
        )
        z = self._centres(batch, reading)[rows, entry] + self.log_sds[slots].exp() * noise
        from_table = self.origin(batch) + self.base.base.unwhiten(z)
        from_base = self.base.draw(batch, num_samples, generator)
        is_read = chosen < own.shape[1]
        values = torch.where(is_read.unsqueeze(-1), from_table, from_base.values)
        return Drawn(values, from_base.log_choice.masked_fill(is_read, 0.0))


def _distinct(table: Tensor) -> int:
    """Numbers in a table, counting a row that all slots share once."""
    is_shared = bool((table == table[:1]).all())
    return table[:1].numel() if is_shared else table.numel()
