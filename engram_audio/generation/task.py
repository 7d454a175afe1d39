"""What the training loop trains: a generator on chunks of utterances.

All arms draw the same numbers in the same order at a step, so that a seed pairs them: first the
donors of foreign codes, which other arms do not use, then prompts, who is told nothing and who no
prompt, then noise, then dropout. The noise of donors is drawn apart.

Shapes: N frames of a block, B chunks, T frames of a chunk, M targets.
"""

import torch
from torch import Tensor

from engram_audio.generation.condition import Condition
from engram_audio.generation.data import GeneratorData, Sequences
from engram_audio.generation.model import Generator
from engram_audio.generation.residual_rows import in_fold
from engram_audio.generation.sources import sources_of, tables_of

VALIDATION_FRAMES = 8192  # scored at a time


class GeneratorTask:
    """The head's loss of train targets, and the mean score of the choice part, nats per frame."""

    def __init__(
        self, model: Generator, train: GeneratorData, choice: GeneratorData, device: torch.device
    ) -> None:
        """Join model and data.

        Args:
            model: An arm.
            train: Train chunks.
            choice: Chunks of the part that is chosen on.
            device: Where to train.

        Raises:
            ValueError: The linear base looks further back than a chunk's burn-in, or a generator
                that is told something has data that tell nothing.
        """
        settings = model.settings
        if settings.condition is not None and None in (train.conditions, choice.conditions):
            raise ValueError("a generator with a condition needs data that have one")
        if model.head.num_recent > settings.burn_in_frames:
            raise ValueError(
                f"burn_in_frames: {settings.burn_in_frames} are fewer than the "
                f"{model.head.num_recent} frames that the linear base reads; lengthen the burn-in"
            )
        self.model = model.to(device)
        self._device = device
        self._train, self._choice = train, choice
        self._ages = torch.arange(1 - model.head.num_recent, 1, device=device)
        self.frames_per_item = settings.chunk_frames
        self.details: dict[str, float] = {}

    @property
    def num_items(self) -> int:
        """Train chunks."""
        return len(self._train)

    @property
    def train_data(self) -> GeneratorData:
        """The train chunks."""
        return self._train

    def settle(self) -> None:
        """Bring the model into the form that is stored; a plain training has left it there."""

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of the targets of train chunks."""
        for source in sources_of(self.model):
            source.count_step()
        draws = torch.rand(len(items))
        batch = self._train.batch(items, self._device)
        codes = self._codes_read(self._train, batch, draws)
        return self._mean_loss(batch, codes, self._drawn_condition(batch))[0]

    def _drawn_condition(self, batch: Sequences) -> Condition | None:
        """Return what train chunks are told: some nothing, and some of the others no prompt.

        Continuations are told the text alone, so that law is trained too.
        """
        section, conditions = self.model.settings.condition, self._train.conditions
        if section is None or conditions is None:
            return None
        draws, *chances = torch.rand(3, len(batch.rows))
        told = conditions.of(batch.rows, self._device, draws)
        is_untold, is_unprompted = (
            (chance < section.drop_share).to(self._device) for chance in chances
        )
        if section.text is not None:
            told = told.unprompted(is_unprompted)
        return told.dropped(is_untold)

    @torch.no_grad()
    def validate(self) -> float:
        """Return the mean loss of the choice part; leaves the mean gate in `details`."""
        size = max(VALIDATION_FRAMES // self.frames_per_item, 1)
        totals: list[tuple[float, float, int]] = []
        for start in range(0, len(self._choice), size):
            items = torch.arange(start, min(start + size, len(self._choice)))
            batch = self._choice.batch(items, self._device)
            count = int(batch.is_scored[:, 1:].sum())
            codes = self._codes_read(self._choice, batch, None)
            loss, gate = self._mean_loss(batch, codes, _told(self.model, self._choice, batch.rows))
            totals.append((float(loss) * count, gate * count, count))
        loss, gate, count = (sum(column) for column in zip(*totals, strict=True))
        self.details = {"gate": gate / max(count, 1)}
        return loss / max(count, 1)

    def _codes_read(
        self, data: GeneratorData, batch: Sequences, draws: Tensor | None
    ) -> Tensor | None:
        """Return the codes that the memory reads, [B, T]; None where the model finds its own."""
        model = self.model
        if not model.arm.reads_codes:
            return None
        rows = data.foreign_rows(batch.rows, draws) if model.is_foreign else batch.rows
        if model.is_routed:
            return self._foreign_codes(data, rows, draws) if model.is_foreign else None
        is_clean = model.settings.noise.IS_CLEAN or not model.training
        if is_clean or model.settings.key_reads == "clean":
            codes = data.codes(model.key)[rows].to(self._device)
            return self._in_fold(codes, data, rows, draws)
        return self._foreign_codes(data, rows, draws) if model.is_foreign else None

    def _in_fold(
        self, codes: Tensor, data: GeneratorData, rows: Tensor, draws: Tensor | None
    ) -> Tensor:
        """Return codes [B, T] as they are read in training: without the speaker's own fold."""
        if draws is None or self.model.arm.source != "residual_rows":
            return codes
        return in_fold(codes, data.folds(rows).to(codes.device), self.model.key.num_codes)

    def _foreign_codes(self, data: GeneratorData, rows: Tensor, draws: Tensor | None) -> Tensor:
        """Return the codes of donors as the model reads them, noised where it reads noise."""
        donors = data.frames_of(rows, self._device)
        if draws is None:
            return self.model.codes(donors, _told(self.model, data, rows))
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(int(draws[0] * 2**31))  # noise of their own, or keys would tell ours
            told = _told(self.model, data, rows)
            return self.model.codes(self.model.noised(donors), told)

    def _mean_loss(
        self, batch: Sequences, codes: Tensor | None, condition: Condition | None
    ) -> tuple[Tensor, float]:
        """Return the mean loss of a batch's targets, and the mean gate where they are read."""
        contexts, following = batch.frames[:, :-1], batch.frames[:, 1:]
        read = None if codes is None else codes[:, :-1]
        trace = self.model.trace(contexts, read, condition)
        chosen = batch.is_scored[:, 1:]
        place = chosen.flatten().nonzero().squeeze(1)
        head = self.model.head
        loss = (head.loss if self.model.training else head.score)(
            trace.features.flatten(0, 1).index_select(0, place),
            contexts.flatten(0, 1)[place.unsqueeze(1) + self._ages],
            following.flatten(0, 1).index_select(0, place),
        )
        gate = 0.0
        if not self.model.training:
            gates = [own.gate[chosen] for own in trace.readings.values() if own.gate is not None]
            gate = float(torch.cat(gates).mean()) if gates else 0.0
        return loss.sum() / max(len(loss), 1), gate


def _told(model: Generator, data: GeneratorData, rows: Tensor) -> Condition | None:
    """Return all that chunks of rows [B, T] may be told; None for a generator told nothing."""
    if model.settings.condition is None or data.conditions is None:
        return None
    return data.conditions.of(rows, model.mean.device)


@torch.no_grad()
def count_visits(task: GeneratorTask) -> None:
    """Count how often each row is read in one pass over train; foreign arms by a fixed donor."""
    model, data = task.model.eval(), task.train_data
    tables = tables_of(model)
    if not tables:
        return
    for table in tables:
        table.visits.zero_()
    offsets, device = data.offsets.tolist(), model.mean.device
    for number in data.utterances.tolist():
        rows = torch.arange(offsets[number], offsets[number + 1]).unsqueeze(0)
        rows = data.foreign_rows(rows) if model.is_foreign else rows
        if model.is_routed:
            codes = model.codes(data.frames_of(rows, device), _told(model, data, rows))
            model.count_visits(codes)
        else:
            model.count_visits(data.codes(model.key)[rows].to(device))
