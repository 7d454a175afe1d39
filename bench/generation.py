"""A generator's training step and streaming step against a plain PyTorch loop of the same sizes.

    python bench/generation.py [--threads 1] [--steps 40]

The plain loop is what a tutorial gives: `nn.TransformerEncoder` with a causal mask, the loss of
every frame, AdamW, the norm clipped. To generate, the whole context goes through the network for
each frame. Like is compared with like. Both sides have the same widths and frames per step, and the
same law of the next frame: a mixture of the whitened residual of a linear prediction. Beside SM the
plain loop has the same memory: codes by `torch.cdist`, `nn.Embedding`, a gate of the normalised
state. Its rows are dense parameters of AdamW, and it searches codes in every step.

`SM_..._beside_S` has SM beside the plain loop without a memory: what the memory costs is in it.
Where `pocket-tts` is installed, its own backbone takes steps at its published size with random
weights, beside our backbone of the same widths. All take turns and the least CPU time of each
counts: other processes only add to it. Ratios above 1 mean that ours is faster. Prints JSON and
writes bench/generation.json.
"""

import argparse
import functools
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.generation.arms import build_arm
from engram_audio.generation.backbone_config import GeneratorSettings, NoNoise
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head_config import MixtureHeadSettings
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName, MinimalInsertion
from engram_audio.generation.stream import lay_out_for_steps
from engram_audio.generation.task import GeneratorTask
from engram_audio.keys.config import LastFrameKeys
from engram_audio.keys.fitted import EVERY_LAG, FittedKey
from engram_audio.keys.quantizers import KMeans
from engram_audio.steps._training import keep_freed_memory
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import _train_step, build_optimizers
from engram_audio.training.order import ShuffledOrder

CHUNK, BURN_IN, FRAMES, CODES = 64, 8, 40_000, 512
SIZES: dict[str, dict[str, int]] = {
    "small": {"num_dims": 8, "width": 32, "num_blocks": 2, "num_heads": 4, "batch_frames": 768},
    "speech": {"num_dims": 32, "width": 128, "num_blocks": 4, "num_heads": 4, "batch_frames": 2048},
}
COMPONENTS, SIGMAS, ROW_WIDTH = 8, (-7.0, 7.0), 16
POCKET = {"num_dims": 32, "width": 1024, "num_blocks": 6, "num_heads": 16}  # config/english.yaml
STREAMED = 20  # frames of one measurement
ARMS: tuple[ArmName, ...] = ("S", "SM")
CPU = torch.device("cpu")


class Plain(nn.Module):
    """The tutorial's model: frames through `nn.TransformerEncoder`, a mixture of the next one."""

    def __init__(
        self, num_dims: int, width: int, num_blocks: int, num_heads: int, has_memory: bool = False
    ) -> None:
        """Make the layers; the linear prediction's numbers are those of `base_of`."""
        super().__init__()
        self.embed = nn.Linear(num_dims, width)
        layers = [
            nn.TransformerEncoderLayer(
                width, num_heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(num_blocks)
        ]
        self.layers, self.norm = nn.ModuleList(layers), nn.LayerNorm(width)
        self.base = LinearBase(base_of(num_dims))
        self.mixture = GaussianMixture(num_dims, COMPONENTS, SIGMAS)
        self.output = nn.Linear(width, self.mixture.num_parameters)
        self.release = nn.Linear(width, COMPONENTS)
        self.memory = PlainMemory(num_dims, width) if has_memory else None

    def forward(self, frames: Tensor) -> Tensor:
        """Return the state after each frame, [B, T, d]."""
        mask = nn.Transformer.generate_square_subsequent_mask(frames.shape[1])
        hidden = self.embed(frames)
        for number, layer in enumerate(self.layers):
            if number == 1 and self.memory is not None:
                hidden = hidden + self.memory(hidden, frames)
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return self.norm(hidden)

    def law(self, hidden: Tensor, recent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixture's parameters [B, P] and the linear prediction [B, D]."""
        newest = recent[:, -1]
        predicted = self.base.predict(Batch(recent, newest, newest, newest))
        away = self.base.whiten(predicted - self.base.frame_mean)
        shift = -self.release(hidden).unsqueeze(-1) * away.unsqueeze(-2)
        means = nn.functional.pad(shift.flatten(-2), (COMPONENTS, COMPONENTS * self.base.num_dims))
        return self.output(hidden) + means, predicted

    def log_prob(self, frames: Tensor) -> Tensor:
        """Return log densities of all frames but the first few, [B, T - R]."""
        count = self.base.order
        recent = frames.unfold(1, count, 1)[:, :-1].mT.flatten(0, 1)
        hidden = self(frames[:, :-1])[:, count - 1 :].flatten(0, 1)
        parameters, predicted = self.law(hidden, recent)
        z = self.base.whiten(frames[:, count:].flatten(0, 1) - predicted)
        return self.mixture.log_prob(parameters, z) + self.base.log_det

    def sample(self, context: Tensor, draws: torch.Generator) -> Tensor:
        """Draw the frame after a context [B, T, D], [B, D]."""
        parameters, predicted = self.law(self(context)[:, -1], context[:, -self.base.order :])
        return predicted + self.base.unwhiten(self.mixture.sample(parameters, 1, draws)[0])


class PlainMemory(nn.Module):
    """A row for the nearest of some centroids, behind a gate of the normalised state."""

    centroids: Tensor

    def __init__(self, num_dims: int, width: int) -> None:
        """Make table, gate and projection."""
        super().__init__()
        self.register_buffer("centroids", torch.randn(CODES, num_dims))
        self.table = nn.Embedding(CODES, ROW_WIDTH)
        self.norm, self.ask = nn.LayerNorm(width), nn.Linear(width, 1)
        self.value = nn.Linear(ROW_WIDTH, width, bias=False)

    def forward(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """Return what is added, [B, T, d]."""
        codes = torch.cdist(frames.flatten(0, 1), self.centroids).argmin(1).view(frames.shape[:2])
        return torch.sigmoid(self.ask(self.norm(hidden))) * self.value(self.table(codes))


def base_of(num_dims: int) -> BaseArrays:
    """Return a linear prediction from four frames; its numbers do not change the work."""
    zeros = np.zeros(num_dims)
    return BaseArrays(
        "position", zeros, zeros, np.zeros((4 * num_dims, num_dims)), zeros, np.eye(num_dims)
    )


def generator(
    arm: ArmName, num_dims: int, width: int, num_blocks: int, num_heads: int
) -> Generator:
    """Return an untrained arm on random numbers."""
    settings = GeneratorSettings(
        width=width, mlp_units=4 * width, num_blocks=num_blocks, num_heads=num_heads,
        context_frames=CHUNK, chunk_frames=CHUNK, burn_in_frames=BURN_IN,
        short_context_frames=None, dropout=0.0, noise=NoNoise(kind="none"), key_reads="noised",
        head=MixtureHeadSettings(
            kind="gaussian_mixture", num_components=COMPONENTS, log_sigma_range=SIGMAS,
            output_scale=0.1,
        ),
    )  # fmt: skip
    insertion = MinimalInsertion(
        kind="minimal", key="last_frame.raw.kmeans_512", ngram_orders=(1,), num_hashes=1,
        table_rows=None, table_learning_rate_factor=5.0, places=("before_block_2",),
        row_width=ROW_WIDTH,
    )  # fmt: skip
    zeros, ones, rng = np.zeros(num_dims), np.ones(num_dims), np.random.default_rng(0)
    centroids = rng.standard_normal((CODES, num_dims), dtype=np.float32)
    quantizer = KMeans(kind="kmeans", codebook_sizes=(CODES,))
    key = FittedKey(
        insertion.key, EVERY_LAG,
        LastFrameKeys(kind="last_frame", inputs=("raw",), quantizers=(quantizer,)), "raw",
        quantizer, CODES, CODES, 8, 0.0, zeros.astype(np.float32), {},
        {"centroids": centroids, "mean_square": np.array(1.0)},
    )  # fmt: skip
    dimensions = Dimensions(zeros, ones, zeros)
    return build_arm(
        arm,
        settings,
        insertion,
        base_of(num_dims),
        key,
        dimensions,
        torch.Generator().manual_seed(0),
    )


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Least CPU seconds of each, which take turns; the first turn warms up."""
    found = {name: float("inf") for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            own = cpu_s(work)
            found[name] = found[name] if turn == 0 else min(found[name], own)
    return found


def recipe(batch_frames: int) -> TrainingRecipe:
    """Return how both sides are trained."""
    return TrainingRecipe(
        num_steps=1000, batch_frames=batch_frames, learning_rate=1e-3, weight_decay=0.01,
        warmup_steps=0, schedule="constant", final_learning_rate_fraction=1.0, gradient_clip=1.0,
        precision="float32", validation_interval_steps=1000, patience_validations=None,
        maximum_validation_frames=1000, checkpoint_interval_steps=1000,
        is_tensorboard_logged=False,
    )  # fmt: skip


def our_training(arm: ArmName, sizes: dict[str, Any], batch_frames: int) -> Callable[[], object]:
    """Return one training step of an arm, each on other chunks."""
    rng = np.random.default_rng(1)
    frames = torch.from_numpy(rng.standard_normal((FRAMES, sizes["num_dims"]), dtype=np.float32))
    offsets = np.arange(0, FRAMES + 1, CHUNK)
    data = GeneratorData(
        frames, offsets, np.arange(len(offsets) - 1), np.ones(FRAMES, bool), CHUNK, BURN_IN
    )
    task, how = GeneratorTask(generator(arm, **sizes), data, data, CPU), recipe(batch_frames)
    optimizers = build_optimizers(task.model, how, CPU)
    order = ShuffledOrder(task.num_items, batch_frames // CHUNK, 0)
    steps = iter(range(10**9))
    return lambda: _train_step(task, optimizers, how, order, 0, next(steps), CPU)


def plain_training(
    sizes: dict[str, Any], batch_frames: int, has_memory: bool
) -> Callable[[], object]:
    """Return one training step of the plain loop, each on other frames."""
    model = Plain(**sizes, has_memory=has_memory)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    frames = torch.randn(FRAMES // CHUNK, CHUNK, sizes["num_dims"])

    def step() -> None:
        batch = frames[torch.randint(len(frames), (batch_frames // CHUNK,))]
        optimizer.zero_grad()
        loss = -model.log_prob(batch).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


@torch.no_grad()
def _our_stream(model: Generator, num_frames: int) -> None:
    draws = torch.Generator().manual_seed(0)
    features, state = model.extend(model.start(), torch.zeros(1, CHUNK, len(model.mean)))
    newest = features[:, -1]
    for _ in range(num_frames):
        z = model.sample(newest, model.last(state), 1, draws)[0]
        newest, state = model.step(state, z)


@torch.no_grad()
def _plain_stream(model: Plain, num_dims: int, num_frames: int) -> None:
    draws = torch.Generator().manual_seed(0)
    context = torch.zeros(1, CHUNK, num_dims)
    for _ in range(num_frames):
        z = model.sample(context, draws)
        context = torch.cat([context[:, 1:], z.unsqueeze(1)], 1)


def measure(sizes: dict[str, Any], batch_frames: int, steps: int) -> dict[str, float]:
    """Return milliseconds of each side and their ratios."""
    works: dict[str, Callable[[], object]] = {}
    streams: dict[str, Callable[[], object]] = {}
    for arm in ARMS:
        has_memory = arm == "SM"
        works[f"plain_{arm}_step"] = plain_training(sizes, batch_frames, has_memory)
        works[f"{arm}_step"] = our_training(arm, sizes, batch_frames)
        plain, ours = Plain(**sizes, has_memory=has_memory).eval(), generator(arm, **sizes).eval()
        lay_out_for_steps(ours)
        streams[f"plain_{arm}_stream"] = functools.partial(
            _plain_stream, plain, sizes["num_dims"], STREAMED
        )
        streams[f"{arm}_stream"] = functools.partial(_our_stream, ours, STREAMED)
    found = {name: 1e3 * own for name, own in in_turn(works, steps).items()}
    per_frame = in_turn(streams, steps).items()
    found |= {name: 1e3 * own / STREAMED for name, own in per_frame}
    ratios = {}
    for kind in ("step", "stream"):
        for arm in ARMS:
            ratios[f"{arm}_{kind}_speedup"] = found[f"plain_{arm}_{kind}"] / found[f"{arm}_{kind}"]
        ratios[f"SM_{kind}_beside_S"] = found[f"plain_S_{kind}"] / found[f"SM_{kind}"]
    return {f"{name}_ms": own for name, own in found.items()} | ratios


def pocket_steps() -> Callable[[], object]:
    """Return steps of pocket-tts's own backbone after a context: embedding, transformer, norm."""
    from pocket_tts.modules.stateful_module import StatefulModule, increment_steps, init_states
    from pocket_tts.modules.transformer import StreamingTransformer

    width = POCKET["width"]
    model = StreamingTransformer(
        width, POCKET["num_heads"], POCKET["num_blocks"], dim_feedforward=4 * width
    ).eval()
    for name, module in model.named_modules():
        if isinstance(module, StatefulModule):
            module._module_absolute_name = name
    embed, norm = nn.Linear(POCKET["num_dims"], width, bias=False), nn.LayerNorm(width)
    frame = torch.zeros(1, 1, POCKET["num_dims"])

    @torch.no_grad()
    def steps() -> None:
        state = init_states(model, 1, CHUNK + STREAMED)
        model(embed(frame.expand(-1, CHUNK, -1)), state)
        increment_steps(model, state, CHUNK)
        for _ in range(STREAMED):
            norm(model(embed(frame), state))
            increment_steps(model, state)

    return steps


def our_steps() -> Callable[[], object]:
    """Return steps of our backbone of the same size after the same context, without a head."""
    model = generator("S", **POCKET).eval()
    lay_out_for_steps(model)
    frame = torch.zeros(1, POCKET["num_dims"])

    @torch.no_grad()
    def steps() -> None:
        _, state = model.extend(model.start(), torch.zeros(1, CHUNK, POCKET["num_dims"]))
        for _ in range(STREAMED):
            _, state = model.step(state, frame)

    return steps


def measure_pocket(repeats: int) -> dict[str, float]:
    """Return milliseconds of a context and the steps after it, and their ratio."""
    works = {"pocket_steps": pocket_steps(), "our_steps": our_steps()}
    found = {name: 1e3 * own for name, own in in_turn(works, repeats).items()}
    ratio = found["pocket_steps"] / found["our_steps"]
    return {f"{name}_ms": own for name, own in found.items()} | {"steps_speedup": ratio}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the training step does
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    figures = {}
    for name, row in SIZES.items():
        sizes = {key: value for key, value in row.items() if key != "batch_frames"}
        figures[name] = measure(sizes, row["batch_frames"], arguments.steps)
    if importlib.util.find_spec("pocket_tts"):
        figures["pocket"] = measure_pocket(max(arguments.steps // 4, 2))
    text = json.dumps({"threads": arguments.threads, **figures}, indent=1)
    print(text)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
