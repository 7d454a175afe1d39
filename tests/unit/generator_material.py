"""Small generators and data for tests of generation."""

from typing import Any, get_args

import numpy as np
import torch
from pydantic import TypeAdapter

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.arms import build_arm
from engram_audio.generation.backbone_config import GeneratorSettings
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import AnyInsertion, ArmName, InsertionSettings
from engram_audio.keys.fitted import FittedKey
from tests.unit.key_material import family, keys_section

INSERTION: TypeAdapter[AnyInsertion] = TypeAdapter(InsertionSettings)
SETTINGS: dict[str, Any] = {
    "width": 16, "mlp_units": 32, "num_blocks": 2, "num_heads": 2, "context_frames": 8,
    "chunk_frames": 12, "burn_in_frames": 4, "short_context_frames": None, "dropout": 0.0,
    "noise": {"kind": "none"}, "key_reads": "noised",
    "head": {
        "kind": "gaussian_mixture", "num_components": 3, "log_sigma_range": [-7.0, 7.0],
        "output_scale": 0.1,
    },
}  # fmt: skip
HEADS: dict[str, dict[str, Any]] = {
    "gaussian_mixture": SETTINGS["head"],
    "energy": {"kind": "energy", "num_draws": 4, "width": 12, "num_layers": 2, "noise_dims": 8},
    "flow": {
        "kind": "flow", "num_draws": 3, "width": 12, "num_layers": 2, "distilled_share": 0.5,
        "matching_weight": 0.75, "time_mean": 0.4, "time_sd": 1.0, "num_steps": 2,
    },
}  # fmt: skip
MINIMAL: dict[str, Any] = {
    "kind": "minimal", "key": "f.raw.kmeans_6", "ngram_orders": [1], "num_hashes": 1,
    "table_rows": None, "table_learning_rate_factor": 5.0, "places": ["before_block_2"],
    "row_width": 4,
}  # fmt: skip
NGRAM: dict[str, Any] = {**MINIMAL, "ngram_orders": [1, 2], "num_hashes": 2, "table_rows": 31}
ENGRAM: dict[str, Any] = {
    **NGRAM, "kind": "engram", "gate": "paper", "kernel_frames": 3, "dilation_frames": 2,
    "places": ["input", "head"],
}  # fmt: skip
SIGNED: dict[str, Any] = {**NGRAM, "has_signs": True, "table_moments": "row"}
LATENT: dict[str, Any] = {
    "kind": "latent_ngrams", "key": "f.raw.kmeans_6", "ngram_orders": [1, 2],
    "table_learning_rate_factor": 5.0, "places": ["before_block_2", "head"], "num_routes": 3,
    "num_bits": 2, "row_width": 4, "num_heads": 4, "num_value_heads": 2, "head_width": 4,
    "first_open_share": 0.5, "router_share": 1.0,
}  # fmt: skip
NUM_DIMS = 3
# Every arm in the plain form, whose code its controls share; each other form for the memory itself.
OTHER_FORMS = ("n-grams", "engram", "latent", "signed")
OF_LATENT: tuple[ArmName, ...] = ("SMx", "SM1", "SMm", "SMf", "SMn", "SMnx", "SMr", "SMu")
OF_NGRAMS: tuple[ArmName, ...] = ("SMr", "SMu")  # arms that a memory of one code has not
ARMS_AND_FORMS: list[tuple[ArmName, str]] = [
    *((name, "minimal") for name in get_args(ArmName) if name not in OF_NGRAMS),
    *(("SM", form) for form in OTHER_FORMS),
    ("SMu", "n-grams"),
    *((name, "latent") for name in OF_LATENT),
]
FORMS = {"minimal": MINIMAL, "n-grams": NGRAM, "engram": ENGRAM, "latent": LATENT,
         "signed": SIGNED}  # fmt: skip


def settings(**changes: Any) -> GeneratorSettings:
    return GeneratorSettings.model_validate({**SETTINGS, **changes}, strict=False)


def insertion(values: dict[str, Any] = MINIMAL, **changes: Any) -> AnyInsertion:
    return INSERTION.validate_python({**values, **changes}, strict=False)


def dimensions(num_dims: int = NUM_DIMS) -> Dimensions:
    rng = np.random.default_rng(4)
    return Dimensions(rng.normal(size=num_dims), 1 + rng.random(num_dims), np.zeros(num_dims))


def linear_base(num_dims: int = NUM_DIMS, order: int = 2, target: str = "position") -> BaseArrays:
    rng = np.random.default_rng(5)
    root = np.eye(num_dims) + 0.1 * rng.normal(size=(num_dims, num_dims))
    return BaseArrays(
        target=target, frame_mean=rng.normal(size=num_dims), intercept=rng.normal(size=num_dims),
        weight=0.3 * rng.normal(size=(order * num_dims, num_dims)),
        speaker_weight=np.zeros(num_dims), scale=root @ root.T,
    )  # fmt: skip


def key(num_codes: int = 6, num_dims: int = NUM_DIMS, state_frames: int = 1) -> FittedKey:
    """A k-means key of the newest frame, or of the flattened newest frames."""
    rng = np.random.default_rng(6)
    kind, width, features = "last_frame", num_dims, {}
    if state_frames > 1:
        kind, width = "pca", 3
        components = rng.normal(size=(state_frames, num_dims, width))
        features = {"components": components.astype(np.float32)}
    quantizer = {"kind": "kmeans", "codebook_sizes": [num_codes]}
    section = family(kind, [quantizer], inputs=("raw",))
    centroids = rng.normal(size=(num_codes, width)).astype(np.float32)
    return FittedKey(
        name=f"f.raw.kmeans_{num_codes}", lag_frames=0, family=section, key_input="raw",
        quantizer=section.quantizers[0], num_codes=num_codes, num_fitted=num_codes,
        window_frames=state_frames, pseudo_frames=keys_section().speaker_pseudo_frames,
        train_mean=np.zeros(num_dims, np.float32), features=features,
        cells={"centroids": centroids, "mean_square": np.array(1.0)},
    )  # fmt: skip


def arm(
    name: ArmName,
    own: GeneratorSettings | None = None,
    memory: AnyInsertion | None = None,
    of: FittedKey | None = None,
    seed: int = 0,
    is_stirred: bool = True,
    dims: int = NUM_DIMS,
) -> Generator:
    """Build an arm; stirred weights leave none at its start, where much is zero."""
    generator = torch.Generator().manual_seed(seed)
    model = build_arm(
        name, own or settings(), memory or insertion(), linear_base(dims), of or key(),
        dimensions(dims), generator,
    )  # fmt: skip
    if is_stirred:
        noise = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model.eval()


def frames(num_sequences: int = 2, length: int = 30, seed: int = 0) -> torch.Tensor:
    return torch.randn(
        num_sequences, length, NUM_DIMS, generator=torch.Generator().manual_seed(seed)
    )


def foreign_codes(model: Generator, own: torch.Tensor) -> torch.Tensor | None:
    """Codes of the other sequences of a batch, for an arm that needs them."""
    return model.codes(own).roll(1, 0) if model.is_foreign else None


def data(num_utterances: int = 6, length: int = 30, seed: int = 1) -> GeneratorData:
    rng = np.random.default_rng(seed)
    lengths = length + np.arange(num_utterances)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = torch.from_numpy(rng.normal(size=(offsets[-1], NUM_DIMS)).astype(np.float32))
    own = settings()
    return GeneratorData(
        rows, offsets, np.arange(num_utterances), np.ones(len(rows), bool), own.chunk_frames,
        own.burn_in_frames, None, np.array([f"s{number % 3}" for number in range(num_utterances)]),
    )  # fmt: skip
