"""Training throughput against the matrix-multiply rate of the same machine in the same run.

    python bench/training.py [--threads 2] [--steps 12]

The first experiment's network (W = 8, D = 512, width 1024, K = 8, batch 256): floating-point
operations per second of whole training steps, as a share of the rate of the step's own matrix
products alone (`>= 0.8` is the target in float32 on a CPU), and of a square sgemm of 2,048, the
best of before and after, which batches of 256 rows do not reach even alone; batch assembly
(context, previous frame, target, speaker mean) against a map-style dataset that is asked for one
sample at a time and collated, as `DataLoader` does it (`>= 3x`), and as a share of the step
(`< 2 %`); the contexts alone, a strided view against a loop of slices, which both stand against the
memory's own speed. Every assembly draws other rows, as training does, so that neither side lives in
the cache. Prints JSON and writes
bench/training.json. Run it on a machine that does nothing else.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from engram_audio.densities.base import LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import TrunkSettings
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.densities.reference import InputScales
from engram_audio.densities.task import DensityTask
from engram_audio.densities.trunks import build_trunk
from engram_audio.steps._training import keep_freed_memory
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import _train_step, build_optimizers
from engram_audio.training.order import ShuffledOrder

WINDOW, DIMS, WIDTH, COMPONENTS, BATCH, FRAMES = 8, 512, 1024, 8, 256, 40_000


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Best wall-clock time of `repeats` runs: the least disturbed one."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def per_batch(order: ShuffledOrder, work: Callable[[torch.Tensor], object]) -> float:
    """Median wall-clock time over 100 different batches."""
    batches = [order.batch(step) for step in range(100)]
    return float(np.median([seconds(lambda items=items: work(items), 1) for items in batches]))


def sgemm_rate() -> float:
    """Multiply-add rate of a square float32 product, FLOP/s."""
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / seconds(lambda: a @ b, 8)


def layer_seconds(sizes: list[int]) -> float:
    """Time of a step's own matrix products alone: forward, input and weight gradients."""
    total = 0.0
    for place, (n, m) in enumerate(itertools.pairwise(sizes)):
        inputs, weights, gradient = (
            torch.randn(shape) for shape in ((BATCH, n), (m, n), (BATCH, m))
        )
        outputs = [torch.empty(shape) for shape in ((BATCH, m), (BATCH, n), (m, n))]
        products = [(inputs, weights.t()), (gradient, weights), (gradient.t(), inputs)]
        for number, ((a, b), out) in enumerate(zip(products, outputs, strict=True)):
            if number != 1 or place > 0:  # the first layer needs no input gradient
                total += seconds(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), 8)
    return total


def step_flops(sizes: list[int]) -> float:
    """FLOP of forward and backward of the linear layers; the first needs no input gradient."""
    forward = [2 * BATCH * n * m for n, m in itertools.pairwise(sizes)]
    return 3 * sum(forward) - forward[0]


def num_weights(sizes: list[int]) -> int:
    """Return the weights of the linear layers, without biases."""
    return sum(n * m for n, m in itertools.pairwise(sizes))


def task_of() -> DensityTask:
    """Return the preset on random frames."""
    generator = np.random.default_rng(0)
    frames = torch.from_numpy(generator.standard_normal((FRAMES, DIMS), dtype=np.float32))
    targets = np.arange(WINDOW, FRAMES)
    data = WindowData(
        frames, targets, 1, WINDOW, torch.zeros(1, DIMS), np.zeros(len(targets), np.int64)
    )
    ones, zeros = np.ones(DIMS), np.zeros(DIMS)
    base = BaseArrays("delta", zeros, zeros, np.zeros((0, DIMS)), zeros, np.diag(ones))
    settings = TrunkSettings.model_validate(
        {
            "kind": "mlp", "width": WIDTH, "num_layers": 2, "frame_width": 4, "dropout": 0.0,
            "context": "raw", "input_clip": None, "output_scale": 1.0,
        }
    )  # fmt: skip
    head = GaussianMixture(DIMS, COMPONENTS, (-7.0, 7.0))
    start = head.initial_parameters(torch.Generator().manual_seed(0))
    trunk = build_trunk(settings, WINDOW, start, InputScales(zeros, ones, ones))
    model = ConditionalDensity(LinearBase(base), trunk, head)
    return DensityTask(model, data, data, torch.device("cpu"))


def python_loop(frames: np.ndarray, newest: np.ndarray) -> np.ndarray:
    """The plain recipe: one slice per sample, stacked."""
    return np.stack([frames[t - WINDOW + 1 : t + 1] for t in newest])


def collated_loop(data: WindowData, items: torch.Tensor) -> list[torch.Tensor]:
    """The plain recipe for a whole batch: one `__getitem__` per sample, then `default_collate`."""
    frames, samples = data.frames, []
    for item in items.tolist():
        target = int(data.targets[item])
        context = frames[target - WINDOW : target]
        speaker = data._speaker_means[int(data._utterances[item])]
        samples.append((context, frames[target - 1], frames[target], speaker))
    return default_collate(samples)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the training step does
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device("cpu")
    task = task_of()
    recipe = TrainingRecipe.model_validate(
        {
            "num_steps": 100, "batch_frames": BATCH, "learning_rate": 1e-3, "weight_decay": 1e-4,
            "warmup_steps": 0, "schedule": "constant", "final_learning_rate_fraction": 1.0,
            "gradient_clip": 1.0, "precision": "float32", "validation_interval_steps": 100,
            "patience_validations": None, "maximum_validation_frames": 256,
            "checkpoint_interval_steps": 100, "is_tensorboard_logged": False,
        }
    )  # fmt: skip
    optimizers = build_optimizers(task.model, recipe, device)
    order = ShuffledOrder(task.num_items, BATCH, 0)
    rates = [sgemm_rate()]
    step = seconds(
        lambda: _train_step(task, optimizers, recipe, order, 0, 0, device), arguments.steps
    )
    data = task._train
    frames = data.frames.numpy()
    ours = per_batch(order, lambda items: data.batch(items, device))
    loop = per_batch(order, lambda items: python_loop(frames, (data.targets[items] - 1).numpy()))
    context = per_batch(order, lambda items: data._windows.index_select(0, data._starts[items]))
    collated = per_batch(order, lambda items: collated_loop(data, items))
    rates.append(sgemm_rate())
    sizes = [WINDOW * DIMS, WIDTH, WIDTH, COMPONENTS * (1 + 2 * DIMS)]
    flops = step_flops(sizes)
    products = layer_seconds(sizes)
    result = {
        "threads": arguments.threads,
        "sgemm_gflops": max(rates) / 1e9,
        "step_ms": 1e3 * step,
        "step_gflops": flops / step / 1e9,
        "share_of_sgemm": flops / step / max(rates),
        # the usual six FLOP per weight and sample count an input gradient that nobody needs
        "share_of_sgemm_at_six_flop": 6 * BATCH * num_weights(sizes) / step / max(rates),
        "products_gflops": flops / products / 1e9,
        "share_of_products": products / step,
        "contexts_ms": 1e3 * context,
        "contexts_python_loop_ms": 1e3 * loop,
        "contexts_speedup": loop / context,
        "batch_ms": 1e3 * ours,
        "batch_python_loop_ms": 1e3 * collated,
        "batch_speedup": collated / ours,
        "batch_share_of_step": ours / step,
    }
    text = json.dumps(result, indent=1)
    print(text)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
