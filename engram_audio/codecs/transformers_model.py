"""Load a pinned checkpoint through transformers: offline, float32, every weight accounted for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engram_audio.artifacts.checksum import require_checksum
from engram_audio.codecs.config import HubCodecSettings
from engram_audio.codecs.receptive_field import Layer, seanet_layers
from engram_audio.codecs.weights import file_sha256, require_file
from engram_audio.errors import InputError, one_line

WEIGHTS, CONFIG = "model.safetensors", "config.json"
ATTENTION, NO_ATTENTION = "sdpa", "eager"  # convolutional models know no other name


def pinned_sha256(weights: Path, settings: HubCodecSettings) -> str:
    """Return the SHA-256 of a weight file.

    Raises:
        InputError: It is not the pinned one.
    """
    sha256 = file_sha256([weights])
    if settings.weights_sha256 not in (None, sha256):
        raise InputError(
            f"{weights}: SHA-256 is {sha256}, but {settings.weights_sha256} is pinned in "
            "weights_sha256; delete the file and download it again, or change the pin"
        )
    return sha256


def load_model(
    class_name: str, settings: HubCodecSettings, files: Sequence[Path], attention: str = ATTENTION
) -> Any:
    """Load a model class of transformers from the folder of `files`; nothing is downloaded.

    Args:
        class_name: For example `MimiModel`.
        settings: The codec's section.
        files: model.safetensors and config.json.
        attention: Implementation of attention.

    Returns:
        The model and the SHA-256 of its weights.

    Raises:
        InputError: A file is missing or damaged, the weights are not the pinned ones, belong to
            another model, or this version of transformers lacks the class.
    """
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, on a GPU as well

    weights = require_file(files, WEIGHTS, settings.kind)
    config = require_file(files, CONFIG, settings.kind)
    sha256 = pinned_sha256(weights, settings)
    if not settings.is_local:
        require_checksum(config, "delete it and rerun download_codec")
    if not hasattr(transformers, class_name):
        raise InputError(
            f"codecs (kind {settings.kind}): transformers {transformers.__version__} has no "
            f"{class_name}; pip install 'transformers>=5.23,<6'"
        )
    try:
        loaded: Any = getattr(transformers, class_name).from_pretrained(
            config.parent,
            dtype=torch.float32,
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        model, report = loaded
    except Exception as error:  # of transformers, safetensors, huggingface_hub and torch
        raise InputError(
            f"{weights}: cannot be loaded as {class_name} ({one_line(error)}); fetch it again, "
            "or correct the codec's kind"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"{weights}: lacks {len(missing)} weights of {class_name}, for example {missing[0]}; "
            "fetch it again, or correct the codec's kind"
        )
    return model, sha256


def seanet_of(config: Any) -> list[Layer]:
    """Return the convolutions of the SEANet encoder that a transformers configuration describes."""
    return seanet_layers(
        kernel=int(config.kernel_size),
        ratios=list(reversed(config.upsampling_ratios)),
        num_residual_layers=int(config.num_residual_layers),
        dilation_growth=int(config.dilation_growth_rate),
        residual_kernel=int(config.residual_kernel_size),
        last_kernel=int(config.last_kernel_size),
    )
