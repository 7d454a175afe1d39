"""Arithmetic of the stages, to leading order: passes of k-means, steps and sizes of networks.

Shapes: N frames, D dimensions, W window, K cells, P parameters of a density.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from engram_audio.cost.study import Piece
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.sizes import step_bytes, trained_flops
from engram_audio.structure.oracle import FRAMES_PER_CELL, ITERATIONS

FITTED_SHARE, SCORED_SHARE = 0.72, 0.35  # of all frames: fitted on, and scored (eval and val)
# Frames of all slices together over those of one: all, speech, medial, initial and final.
SLICES = {"all": 1.0, "speech": 0.8, "medial": 0.66, "initial": 0.17, "final": 0.17}
RESTART_POINTS, RESTARTED, CANDIDATES = 20, 1024, 5  # numerics/kmeans.py
DECOMPOSITION = 2.5  # operations of the eigenvectors of a matrix, over the cube of its width
LLOYD_PASSES = 40  # until k-means stops by itself: 17 to 47 on speech, 64 to 1024 cells
PASSES = 3  # of training: forward, gradient of inputs, gradient of weights
WIDER_SIZES = 3  # S, SM and F in a wider backbone
WIDEST = 4096  # of a net that matches a memory, where its section does not say


class CellWork(NamedTuple):
    """Work of k-means: comparisons of a frame with a cell, and operations."""

    comparisons: float
    flops: float


def cells_of_family(piece: Piece) -> CellWork:
    """Return the work of fitting a family's cells on train frames."""
    family, keys = piece.section("family_section"), piece.section()
    fitted = FITTED_SHARE * piece.size.frames
    width = family.get("num_components", piece.size.dims)
    total = 0.0
    for quantizer in family.get("quantizers", ()):
        for size in _codebooks(quantizer):
            if keys.get("minimum_cell_frames", 1) * size <= fitted:
                total += _lloyd(size, fitted, keys)
    comparisons = total * len(family.get("inputs", (1,)))
    is_linear = family.get("kind") in ("pca", "predictive")
    flops = 2.0 * width * comparisons + (products(piece) if is_linear else 0.0)
    return CellWork(comparisons, flops)


def _codebooks(quantizer: Mapping[str, Any]) -> tuple[int, ...]:
    if quantizer.get("kind") == "product":
        return (quantizer["num_codes"],) * quantizer["num_groups"]
    return tuple(quantizer.get("codebook_sizes", ()))


def _lloyd(size: int, frames: float, keys: Mapping[str, Any]) -> float:
    restarts = keys.get("kmeans_restarts", 1) if size <= RESTARTED else 1
    sample = min(frames, max(RESTART_POINTS * size, 8192))
    passes = min(keys.get("kmeans_iterations", 10), LLOYD_PASSES)
    return size * (passes * frames + restarts * (CANDIDATES + 10) * sample)


def cells_of_oracle(piece: Piece) -> CellWork:
    """Return the work of cells of the target itself, on every slice and lag."""
    section = piece.section()
    fitted = FITTED_SHARE * piece.size.frames
    total = 0.0
    for size in piece.section("oracle_section").get("codebook_sizes", ()):
        if section.get("minimum_cell_frames", 1) * size <= fitted:
            sample = min(fitted, FRAMES_PER_CELL * size)
            total += size * (ITERATIONS * sample + piece.size.frames)
    comparisons = total * _places(piece)
    return CellWork(comparisons, 2.0 * piece.size.dims * comparisons)


def _places(piece: Piece) -> float:
    """Return frames of all slices and lags, over the frames of the representation."""
    section = piece.section()
    slices = section.get("slices") or ("all",)
    return sum(SLICES.get(name, 1.0) for name in slices) * len(section.get("lags_frames") or (1,))


def products(piece: Piece) -> float:
    """Return the operations of the covariances of a window, lag by lag of frames within it."""
    window = piece.section().get("window_frames", 8)
    return 2.0 * window * piece.size.frames * piece.size.dims**2


def linear_flops(piece: Piece) -> float:
    """Return the operations of the linear models of all slices and lags."""
    section = piece.section()
    nulls = piece.section("nulls_section")
    width = section.get("window_frames", 8) * piece.size.dims
    ridges = len(section.get("linear_ridges") or nulls.get("ridges") or (1,))
    lags, slices = (len(section.get(name) or (1,)) for name in ("lags_frames", "slices"))
    is_joint = bool(piece.key_cells and not piece.section("oracle_section"))
    decompositions = DECOMPOSITION * slices * (2 if is_joint else 1)
    solutions = ridges * 2.0 * width**2 * piece.size.dims + decompositions * width**3
    return lags * (products(piece) + solutions)


def num_affordable(piece: Piece) -> int:
    """Return how many keys of a family have frames enough for their cells; no other is tried."""
    least = piece.section().get("minimum_cell_frames", 1)
    fitted = FITTED_SHARE * piece.size.frames
    return sum(least * cells <= fitted for cells in piece.key_cells)


def num_steps(piece: Piece) -> float:
    """Return the training steps of all recipes that a job reads, if none stops early.

    Those of the network of a guard count as well.
    """
    recipes = piece.job.settings.get("recipe_section", [])
    more = piece.job.settings.get("recipe_sections", [])
    codec = piece.section().get("recipe")
    own = [codec] if isinstance(codec, dict) else []
    guard = piece.section("method_section").get("guard") or {}
    guarded = guard.get("num_steps", 0) * guard.get("num_rounds", 1)
    return float(sum(recipe["num_steps"] for recipe in (*recipes, *more, *own)) + guarded)


def num_runs(piece: Piece) -> float:
    """Return how many networks a job trains."""
    rule, controls = piece.job.rule, piece.section("controls_section")
    runs = {"train_memory": 2, "train_matched": 2}.get(rule, 1)
    if rule in ("train_curve", "tune_curve"):
        runs = len(controls.get("curve_widths", (1,))) + 1
    if rule.startswith("tune_"):
        grid = piece.section("recipe_section").get("tuning") or {}
        tries = len(grid.get("points", (1,))) + len(grid.get("last_learning_rate_factors", ()))
        runs *= tries
    if rule == "train_generators":
        protocol = piece.section("protocol_section")
        arms = len(piece.job.facts.get("arms", (1,)))
        runs = arms * (len(protocol["seeds"]) + len(protocol["points"]) - 1)
        runs += len(protocol["seeds"]) * len(protocol.get("shorter_steps", ())) * arms
        runs += _num_sizes(protocol) * (len(protocol["seeds"]) + len(protocol["points"]) - 1)
    return float(runs)


def generator_of(piece: Piece) -> GeneratorSettings | None:
    """Return the generator that a job trains; None where it trains none."""
    model = piece.section("generator_section").get("model")
    return None if model is None else GeneratorSettings.model_validate(model, strict=False)


def generator_bytes(piece: Piece) -> float:
    """Return what a training step of a generator holds beside the latents."""
    model, recipe = generator_of(piece), piece.section("recipe_section")
    if model is None:
        return 0.0
    numbers = row_numbers(piece.section("generator_section")["insertion"], model, piece.key_codes)
    is_half = recipe.get("precision") == "bfloat16" and bool(piece.job.resources.get("gpu"))
    batch = recipe.get("batch_frames", 0)
    return step_bytes(model, piece.size.dims, batch, is_half, numbers)


def row_numbers(memory: Mapping[str, Any], model: GeneratorSettings, num_codes: int) -> int:
    """Return the numbers of a memory's rows.

    Args:
        memory: Its section.
        model: The generator that it stands in.
        num_codes: Codes of its key; without `table_rows` each has a row, and so has no key at all.
    """
    num_places = len(memory.get("places", ("shared",)))
    if memory["kind"] == "latent_ngrams":
        rows = sum(2 ** (memory["num_bits"] * order) for order in memory["ngram_orders"])
        return rows * memory["num_routes"] * num_places * memory["row_width"]
    full = model.width // (model.num_heads if memory["kind"] == "value" else 1)
    hashed = (memory["table_rows"] or 0) * memory["num_hashes"] * len(memory["ngram_orders"])
    return (
        num_places
        * (hashed or num_codes + 1)
        * memory.get("row_width", memory.get("num_components", full))
    )


def _num_sizes(protocol: Mapping[str, Any]) -> float:
    """Return what a generator's further sizes work, in trainings of its arms."""
    ladder, sweep, wider = (protocol.get(name) for name in ("ladder", "share_sweep", "wider"))
    work = sum(ladder["work_factors"]) if ladder else 0.0
    work += len(sweep["held"]) * (1 + len(sweep["shares"])) if sweep else 0.0
    return work + (WIDER_SIZES * wider["width_factor"] ** 2 if wider else 0.0)


def network_flops(piece: Piece) -> float:
    """Return the operations of one training step."""
    batch = piece.section("recipe_section").get("batch_frames", 0)
    generator = generator_of(piece)
    if generator is not None:
        return batch * trained_flops(generator, piece.size.dims)
    return 2.0 * PASSES * batch * _weights(piece)


def _weights(piece: Piece) -> float:
    """Return the weights that one target is multiplied with."""
    if piece.section("head_section"):
        return _head_weights(piece)
    dims = piece.size.dims
    window = piece.section().get("window_frames", 8)
    variant = piece.section("variant_section")
    if variant:
        width = variant["encoder"]["width"] + variant["decoder"]["width"]
        return width * (2 * dims + 3 * width)
    width = piece.section("predictor_section").get("width") or piece.section("method_section").get(
        "width", 256
    )
    horizon = piece.section("method_section").get("horizon_frames", 1)
    return horizon * (window * dims * width + 2 * width**2 + width * 16 * dims)


def _head_weights(piece: Piece) -> float:
    head, dims = piece.section("head_section"), piece.size.dims
    trunk = head["trunk"]
    window = piece.section().get("window_frames", 8)
    width = _width(piece, trunk["width"])
    outputs = num_parameters(head, dims)
    skip = window * dims**2 if head.get("is_linear_skip") else 0
    if trunk["kind"] == "mlp":
        inputs = window * dims * width
    else:
        inputs = 2 * window * dims * trunk["frame_width"] + window * trunk["frame_width"] * width
    return inputs + (trunk["num_layers"] - 1) * width**2 + width * outputs + skip + dims**2


def _width(piece: Piece, own: int) -> int:
    """Return the width of a net; one that matches a memory may be as wide as is allowed."""
    if "matched" in piece.job.rule:
        return int(piece.section("controls_section").get("maximum_width", WIDEST))
    return own


def num_parameters(head: Mapping[str, Any], dims: int) -> float:
    """Return P: what a density of D dimensions is told by."""
    count = head.get("num_components", 1)
    if head["kind"] == "low_rank_mixture":
        return count * (dims * (2 + head["rank"]) + 1)
    if head["kind"] == "flow":
        return head["num_transforms"] * 4 * head["hidden_features"] * dims / 64
    return count * (2 * dims + 1)


def scored_frames(piece: Piece) -> float:
    """Return the frames that an evaluation scores, sampled ones as often as they are sampled."""
    section = piece.section("evaluation_section") or piece.section("prediction_evaluation_section")
    frames = piece.size.frames
    train = min(section.get("maximum_train_frames", 0), FITTED_SHARE * frames)
    sampled = min(section.get("maximum_sampled_frames", 0), SCORED_SHARE * frames)
    return SCORED_SHARE * frames + train + sampled * section.get("num_samples", 0)


def rollout_floats(piece: Piece) -> float:
    """Return the numbers that free runs draw."""
    section = piece.section("rollout_section")
    paths = section["num_starts"] * section["num_samples"]
    return float(paths * section["forecast_horizon_frames"] * piece.size.dims)
