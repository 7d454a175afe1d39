"""What the rollout steps read in the same way: the base that takes the steps, methods, guards."""

from pathlib import Path

from torch import nn

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.json_document import read_text
from engram_audio.errors import InputError
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.reference import Reference
from engram_audio.rollout.config import (
    LINEAR_BASE,
    AnyMethod,
    BeliefMethod,
    DirectMethod,
    method_model,
)
from engram_audio.rollout.fit import Frame, build_model, linear_density
from engram_audio.rollout.storage import AnyGuard, load_weights, unpack_guard
from engram_audio.steps._cli import Arguments
from engram_audio.steps._prediction import read_models, read_nulls

STEP_EVENT = "delta"  # at lag 1 one model scores both events


def load_method(arguments: Arguments) -> AnyMethod:
    """Read the method's section."""
    path = arguments.method_section
    return arguments.load_section(path, method_model(read_text(path), path.name))


def open_base(
    settings: AnyMethod, base_model: Path | None, reference: Reference, frame: Frame
) -> nn.Module | None:
    """Return the density that takes a method's steps; None for a forecaster.

    The one place where a kind of base is opened: a head, the linear null.

    Raises:
        InputError: The base needs a file, or the file holds no step of delta.
    """
    if isinstance(settings, BeliefMethod | DirectMethod):
        return None
    if settings.base == LINEAR_BASE:
        return linear_density(frame.rungs)
    if base_model is None:
        raise InputError(f"base {settings.base}: its file is missing; name it with --base-model")
    models = read_models(base_model, "models", reference)
    if STEP_EVENT not in models and "position" not in models:
        raise InputError(f"{base_model}: holds no density of a step; train the head at lag 1")
    return models.get(STEP_EVENT) or models["position"]


def read_frame(nulls: Path, section: PredictionSection) -> tuple[Reference, Frame]:
    """Read the train statistics and linear nulls that every method's structure hangs on."""
    reference, rungs = read_nulls(nulls)
    return reference, Frame(reference.input_scales, rungs, section.window_frames)


def read_method(
    model: Path, settings: AnyMethod, base_model: Path | None, reference: Reference, frame: Frame
) -> tuple[nn.Module, AnyGuard | None]:
    """Read what `train_rollout` wrote: the model and its guard."""
    base = open_base(settings, base_model, reference, frame)
    arrays, _ = read_bundle(model)
    try:
        built = load_weights(build_model(settings, frame, base, 0), arrays)
        return built, unpack_guard(settings, arrays)
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{model}: does not fit its method ({reason}); train it again") from error
