"""The cost law of each rule: how its work grows. What a unit costs is measured (`units.py`).

A law names quantities. CPU seconds of a job are the start of its process, plus each quantity times
what one of it costs. `flop` costs the same in every rule and is what a GPU speeds up. Laws count
the leading term: constants belong to the measured units.

Quantities: frames N, dimensions D, window W, cells K.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engram_audio.cost.study import Piece
from engram_audio.cost.work import (
    cells_of_family,
    cells_of_oracle,
    generator_bytes,
    linear_flops,
    network_flops,
    num_affordable,
    num_runs,
    num_steps,
    rollout_floats,
    scored_frames,
)

Quantity = Callable[[Piece], float]
FLOP = "flop"
ARRAYS = {"float", "component", "comparison"}  # work on arrays, element by element
JOB = "job"  # what every job of a rule costs beside its start; in no law, fitted where jobs differ


def _none(piece: Piece) -> str:
    del piece
    return ""


def _zero(piece: Piece) -> float:
    del piece
    return 0.0


@dataclass(frozen=True)
class Law:
    """How the work of a rule's jobs grows.

    Attributes:
        work: Quantity by the name of its unit.
        kind: Whether jobs of a kind have units of their own; a word that tells them apart.
        memory: Bytes that grow with the data, beside what every process holds.
        disk: Bytes that its outputs grow with, beside what every job writes.
        like: Rule whose units stand in where none of this rule were measured.
    """

    work: Mapping[str, Quantity] = field(default_factory=dict)
    kind: Callable[[Piece], str] = _none
    memory: Quantity = _zero
    disk: Quantity = _zero
    like: str = ""


# Quantities.


def _floats(piece: Piece) -> float:
    return piece.size.floats


def _bytes(piece: Piece) -> float:
    return 4.0 * piece.size.floats


def _shard_bytes(piece: Piece) -> float:
    return _bytes(piece) + 20.0 * piece.size.frames


def _seconds(piece: Piece) -> float:
    return piece.seconds


def _inputs(piece: Piece) -> float:
    return float(len(piece.job.inputs))


def _resident(piece: Piece) -> float:
    """What a training step holds: all latents, or what its configuration allows."""
    allowed = piece.section().get("resident_memory_gib", 16.0) * 2**30
    return min(_bytes(piece), allowed)


def _blocks(piece: Piece) -> float:
    """What a stream over blocks holds: blocks of 65,536 frames, and 70 bytes of each frame."""
    section = piece.section()
    block = section.get("block_frames", 65536)
    fit = section.get("fit_memory_gib", 0.0) * 2**30
    whole = _bytes(piece)
    return 3 * min(4.0 * block * piece.size.dims, whole) + min(fit, whole) + 70 * piece.size.frames


def _squares(piece: Piece) -> float:
    """Covariances of a window: (W D)^2 in double precision, twice."""
    window = piece.section().get("window_frames", 8)
    return 2 * 8.0 * (window * piece.size.dims) ** 2


def _analysis(piece: Piece) -> float:
    return _blocks(piece) + _squares(piece)


def _coded(piece: Piece) -> float:
    """The same, and 80 bytes of each frame for its codes under keys and controls."""
    return _analysis(piece) + 80 * piece.size.frames


def _scored(piece: Piece) -> float:
    return scored_frames(piece) * piece.size.dims


def _path_scored(piece: Piece) -> float:
    """Return the numbers that bounds of arms over z_dyn score, each seed once."""
    return _scored(piece) * len(piece.job.facts.get("arms", (1,)))


def _stored(piece: Piece) -> float:
    most = piece.section("evaluation_section").get("maximum_stored_frames", 0)
    lines = 2 * min(most, piece.size.frames)  # two parts, two targets, half of the columns
    return 12.0 * lines


def _head(piece: Piece) -> str:
    return piece.job.wildcards.get("head", "")


def _codec(piece: Piece) -> str:
    return str(piece.section("codec_section").get("kind", ""))


def _base(piece: Piece) -> str:
    return piece.job.wildcards.get("base", "")


def _is_oracle(piece: Piece) -> str:
    return "oracle" if piece.section("oracle_section") else ""


def _method(piece: Piece) -> str:
    return str(piece.section("method_section").get("kind", ""))


def _steps(piece: Piece) -> float:
    return num_runs(piece) * num_steps(piece)


def _trained_flops(piece: Piece) -> float:
    return _steps(piece) * network_flops(piece)


def _training(like: str = "", kind: Callable[[Piece], str] = _none) -> Law:
    return Law({"step": _steps, FLOP: _trained_flops}, kind, _resident, like=like)


def _table(like: str = "") -> Law:
    return Law({"input": _inputs}, like=like)


def _marginal(piece: Piece) -> float:
    head = piece.section("head_section").get("marginal") or piece.section("null_section")
    frames = min(head.get("maximum_frames", 0), piece.size.frames)
    return frames * piece.size.dims * head.get("maximum_components", 1)


def _law_floats(piece: Piece) -> float:
    frames = min(piece.section().get("maximum_frames", 0), piece.size.frames)
    keys = len(piece.job.facts.get("keys", ())) or 1
    return frames * piece.size.dims * keys


def _law_bytes(piece: Piece) -> float:
    return min(_bytes(piece), piece.section().get("memory_gib", 8.0) * 2**30)


def _bank(piece: Piece) -> float:
    bank = piece.section("bank_section")
    frames = min(bank.get("maximum_frames", 0), piece.size.frames)
    sizes = sum(bank.get("num_components", ()))
    return frames * piece.size.dims * sizes * bank.get("iterations", 0)


def _var_flops(piece: Piece) -> float:
    order = piece.section().get("var_order", 1)
    width = order * piece.size.dims
    return 2.0 * (order + 1) * piece.size.frames * piece.size.dims**2 + width**3


def _keyed(piece: Piece) -> float:
    lags = len(piece.section().get("lags_frames", ()) or (1,))
    return piece.size.floats * num_affordable(piece) * lags


def _lookups(piece: Piece) -> float:
    memory = piece.section("memory_section")
    grid = 1
    for name in ("strengths", "shrinkages_frames", "spread_shrinkages_frames", "temperatures"):
        grid *= len(memory.get(name, (1,)))
    return piece.size.floats * grid * memory.get("num_neighbors", 1)


def _neighbours(piece: Piece) -> float:
    controls = piece.section("controls_section")
    pairs = controls.get("datastore_frames", 0) * controls.get("datastore_queries", 0)
    return 2.0 * pairs * piece.size.dims


def _studies(piece: Piece) -> float:
    return float(piece.section().get("num_studies", 0))


def _played(piece: Piece) -> float:
    report = piece.section("report_section")
    return report.get("num_players", 0) * report.get("player_duration_s", 0.0)


def _reconstructed(piece: Piece) -> float:
    section = piece.section()
    most = section.get("num_utterances", 0) * section.get("maximum_duration_s", 0.0)
    return most


# What the networks take for a second of sound, over what scoring a round trip takes.
HEARD = 7.5


def _heard(piece: Piece) -> float:
    """Seconds of round trips that would take as long to score as all clips of the utterances."""
    section = piece.section()
    true = 3  # original, round trip, noise
    clips = true + len(section["arms"]) * (1 + len(section["injections_frames"]))
    return section["num_utterances"] * section["maximum_duration_s"] * clips * HEARD


# Arithmetic of a codec's encoder for a second of sound.
CODEC_FLOPS = {
    "mimi": 3.0e9, "pocket_tts": 3.5e9, "encodec": 2.0e9, "dac": 3.0e10, "lyra": 1.0e9,
    "vibevoice": 3.0e10,
}  # fmt: skip


def _encoded(piece: Piece) -> float:
    return piece.seconds * CODEC_FLOPS.get(_codec(piece), 0.0)


FIT_KEYS = Law(
    {
        "float": _keyed,
        "comparison": lambda p: cells_of_family(p).comparisons,
        FLOP: lambda p: cells_of_family(p).flops,
    },
    memory=_blocks,
)
SCORE_KEYS = Law(
    {
        "float": _keyed,
        "comparison": lambda p: cells_of_oracle(p).comparisons,
        FLOP: lambda p: cells_of_oracle(p).flops + linear_flops(p),
    },
    _is_oracle,
    _coded,
)
KEY_PREDICTOR = Law({"step": _steps, "float": _bank, FLOP: _trained_flops}, memory=_resident)
KEY_LAWS = Law({"float": _law_floats, "component": _bank}, memory=_law_bytes)
_LATENTS = {"memory": lambda p: 4 * _bytes(p), "disk": _shard_bytes}

LAWS: dict[str, Law] = {
    # corpus
    "download_librispeech": Law(),
    "locate_corpus": Law({"second": _seconds}, like="index_corpus"),
    "synthesize_demo_speech": Law({"second": _seconds}, disk=lambda p: 32000.0 * p.seconds),
    "index_corpus": Law({"second": _seconds}),
    "assign_shards": Law({"second": _seconds}),
    "make_splits": Law({"second": _seconds}),
    "check_splits": Law({"second": _seconds}),
    # codecs and latents
    "download_codec": Law(),
    "fit_codec": Law({"second": _seconds}),
    "train_codec": _training(like="train_factorizer"),
    "extract_latents": Law(
        {"second": _seconds, FLOP: _encoded}, _codec, lambda p: 4 * _bytes(p), _shard_bytes
    ),
    "index_arrays": Law({"float": _floats}, like="import_arrays"),
    "import_arrays": Law(
        {"float": _floats}, **_LATENTS, like="make_surrogate"
    ),
    "resample_latents": Law(
        {"float": _floats}, **_LATENTS, like="make_surrogate"
    ),
    "fit_noise_scale": Law({"float": _floats}, memory=_blocks, like="summarize_latents"),
    "add_noise": Law(
        {"float": _floats}, **_LATENTS, like="make_surrogate"
    ),
    "make_surrogate": Law(
        {"float": _floats}, **_LATENTS
    ),
    "fit_var": Law({"float": _floats, FLOP: _var_flops}, memory=_analysis),
    "simulate_var": Law({"float": _floats}, **_LATENTS),
    "summarize_latents": Law({"float": _floats}, memory=_blocks),
    "export_states": Law({"float": _floats}, **_LATENTS),
    "render_round_trips": Law({"second": _played}),
    # worlds and trust
    "simulate_world": Law({"float": _floats}, **_LATENTS),
    "inject_oracle": Law({"float": _floats}, memory=_bytes),
    "simulate_power": Law({"study": _studies}),
    "simulate_sabotage": Law({"study": lambda p: 1.0}),
    # keys and structure
    "fit_keys": FIT_KEYS,
    "fit_calibration_keys": replace(FIT_KEYS, like="fit_keys"),
    "score_structure_keys": SCORE_KEYS,
    "score_calibration_keys": replace(SCORE_KEYS, like="score_structure_keys"),
    "score_linear_baselines": Law({"float": _floats, FLOP: linear_flops}, memory=_analysis),
    "score_calibration_linear": Law(
        {"float": _floats, FLOP: linear_flops}, memory=_analysis, like="score_linear_baselines"
    ),
    "train_key_predictor": KEY_PREDICTOR,
    "train_calibration_predictor": replace(KEY_PREDICTOR, like="train_key_predictor"),
    "train_learned_keys": _training(),
    "train_calibration_learned_keys": _training(like="train_learned_keys"),
    "score_key_laws": KEY_LAWS,
    "score_calibration_laws": replace(KEY_LAWS, like="score_key_laws"),
    # prediction
    "fit_linear_nulls": Law({"float": _floats, FLOP: linear_flops}, memory=_analysis),
    "fit_marginal": Law({"float": _marginal, "step": _steps}, _head, _blocks),
    "fit_ridge_mixture": Law({"float": _marginal, FLOP: linear_flops}, memory=_analysis),
    "tune_density": _training("train_density", _head),
    "train_density": _training(kind=_head),
    "train_fold_density": _training("train_density", _head),
    "evaluate_density": Law({"float": _scored}, _head, _blocks, _stored),
    "evaluate_nulls": Law({"float": _scored, FLOP: linear_flops}, memory=_blocks, disk=_stored),
    # factoriser
    "train_factorizer": _training(),
    "evaluate_factorizer": Law({"float": _scored}, memory=_blocks),
    "render_resyntheses": Law({"second": _played}),
    # memory
    "fit_memory": Law({"float": _lookups}, memory=_blocks),
    "tune_memory": _training("train_memory"),
    "train_memory": _training(),
    "tune_matched": _training("train_matched"),
    "train_matched": _training(),
    "tune_curve": _training("train_curve"),
    "train_curve": _training(),
    "evaluate_memory": Law({"float": _scored, FLOP: _neighbours}, _base, _blocks),
    # codecs side by side
    "evaluate_reconstruction": Law({"second": _reconstructed}),
    # rollout
    "train_rollout": _training(kind=_method),
    "refit_memory": Law({"float": _lookups}, memory=_blocks, like="fit_memory"),
    "evaluate_rollout": Law({"float": rollout_floats}, memory=_blocks),
    "render_rollouts": Law({"second": _played}),
    # generation
    "train_generators": Law(
        {"step": _steps, FLOP: _trained_flops},
        memory=lambda p: _resident(p) + generator_bytes(p),
    ),
    "evaluate_generators": Law({"float": _scored}, memory=_blocks),
    "evaluate_factorized": Law(
        {"float": _path_scored}, memory=_blocks, like="evaluate_factorizer"
    ),
    "price_generators": Law({"float": _scored}, memory=_blocks, like="evaluate_generators"),
    "probe_generators": Law({"float": _scored}, memory=_resident, like="evaluate_generators"),
    "reencode_generators": Law({"second": _played}, like="render_rollouts"),
    "evaluate_audio": Law({"second": _heard}, like="evaluate_reconstruction"),
    # tables and pages
    "tabulate_prediction": Law(
        {"input": _inputs}, memory=lambda p: 300.0 * _inputs(p)
    ),
    **{
        name: _table(like)
        for name, like in {
            "tabulate_calibration": "", "tabulate_calibration_structure": "tabulate_structure",
            "tabulate_codecs": "", "tabulate_corpus": "", "tabulate_diagnostics": "",
            "tabulate_factorizer": "", "tabulate_generation": "", "tabulate_keys": "",
            "tabulate_memory": "", "tabulate_rollout": "", "tabulate_states": "",
            "tabulate_structure": "", "tabulate_verdicts": "", "decide": "",
            "tabulate_question_verdicts": "tabulate_verdicts", "render_report": "",
            "render_question": "render_report", "verify_study": "",
            "tabulate_structure_before_states": "tabulate_structure",
            "tabulate_corpus_before_states": "tabulate_corpus",
            "tabulate_prediction_before_states": "tabulate_prediction",
            "tabulate_diagnostics_before_states": "tabulate_diagnostics",
            "tabulate_codecs_before_states": "tabulate_codecs",
            "decide_before_states": "decide",
        }.items()
    },
}  # fmt: skip
