"""Sound and pictures small enough to live inside a page, as base64."""

import base64
import io
from typing import Any

import numpy as np
import soundfile
from PIL import Image

AUDIO_FORMATS = {
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
}
PICTURE_QUALITY = 60


def _embedded(media_type: str, content: bytes) -> dict[str, Any]:
    return {
        "media_type": media_type,
        "num_bytes": len(content),
        "base64": base64.b64encode(content).decode("ascii"),
    }


def embed_audio(waveform: np.ndarray, sample_rate_hz: int, kind: str = "mp3") -> dict[str, Any]:
    """Return a mono waveform, [S] within -1..1, as `media_type`, `num_bytes`, `base64`.

    MP3 plays in every browser and takes a third of FLAC's bytes.
    """
    container, subtype, media_type = AUDIO_FORMATS[kind]
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, sample_rate_hz, format=container, subtype=subtype)
    return _embedded(media_type, buffer.getvalue())


def embed_picture(levels: np.ndarray) -> dict[str, Any]:
    """Return a grey picture, shape [height, width], uint8, as WebP; 255 is ink on paper's side."""
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="WEBP", quality=PICTURE_QUALITY, method=6)
    return {
        **_embedded("image/webp", buffer.getvalue()),
        "width": int(levels.shape[1]),
        "height": int(levels.shape[0]),
    }
