"""Train one factoriser; resumes after a kill with the same bits, fails when it has collapsed."""

import sys
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.factorizer.config import FactorizerHealthSection, FactorizerSection
from engram_audio.factorizer.fit import noise_floor, train_factorizer
from engram_audio.factorizer.health import collapse_reason
from engram_audio.factorizer.storage import pack_factorizer
from engram_audio.prediction.config import PredictionSection
from engram_audio.provenance import text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_components
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import (
    INTERRUPTED_EXIT_CODE,
    Checkpoint,
    StopFlag,
    callbacks,
    keep_freed_memory,
)
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Interrupted


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_factorizer",
        __doc__,
        inputs=["nulls", "splits"],
        optional_inputs=["decoder"],
        input_lists=["shards"],
        outputs=["model", "history"],
        wildcards=["seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    settings = arguments.load_section("variant_section", FactorizerSection)
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    limits = arguments.load_section("health_section", FactorizerHealthSection)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    seed = int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    components = read_components(arguments.decoder)
    if settings.loss.feature_weight and components is None:
        raise InputError(
            f"{arguments.section_name('variant_section')}: loss.feature_weight needs a codec whose "
            "decoder to log-mel is linear (mel_pca); set it to 0 for this representation"
        )
    checkpoint = _checkpoint(arguments, seed)
    stop = StopFlag()
    keep_freed_memory()
    wired = callbacks(checkpoint, stop, recipe, "factorizer", Path(arguments.tensorboard))
    try:
        task, state = train_factorizer(
            settings, recipe, material, components, seed, device, checkpoint.load(), wired
        )
    except Interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except ValueError as error:
        raise InputError(
            f"{arguments.splits}: {error}; shorten the chunk or the burn-in"
        ) from error
    checkpoint.save(state)
    model = task.model.model
    reason = collapse_reason(task.details, model, limits)
    if reason is not None and limits.action == "fail":
        raise InputError(
            f"{arguments.model}: the run has collapsed: {reason}; change the variant, or set "
            "factorizer_health.action to `report` to keep it and flag it"
        )
    floor = noise_floor(material)
    release()
    arrays, header = pack_factorizer(model, floor)
    write_jsonl(arguments.history, state.history)
    write_bundle(
        arguments.model,
        arrays,
        {
            **arguments.manifest(seed),
            "factorizer": header,
            "health": task.details,
            "collapse": reason or "",
        },
    )
    checkpoint.remove()


def _checkpoint(arguments: _cli.Arguments, seed: int) -> Checkpoint:
    inputs = [arguments.nulls, arguments.splits, *arguments.shards]
    inputs += [arguments.decoder] if arguments.decoder else []
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs), str(seed)]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    return Checkpoint(arguments.model.parent / ".checkpoint-factorizer.safetensors", key)


if __name__ == "__main__":
    _cli.run(main)
