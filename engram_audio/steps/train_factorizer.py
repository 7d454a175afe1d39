"""Train one factoriser; resumes after a kill with the same bits, fails when it has collapsed."""

from functools import partial

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.factorizer.config import FactorizerHealthSection, FactorizerSection
from engram_audio.factorizer.fit import noise_floor, train_factorizer
from engram_audio.factorizer.health import collapse_reason
from engram_audio.factorizer.storage import pack_factorizer
from engram_audio.prediction.config import PredictionSection
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_components
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun


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
    limits = arguments.load_section("health_section", FactorizerHealthSection)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    seed = int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    components = read_components(arguments.decoder)
    if settings.loss.feature_weight and components is None:
        raise InputError(
            f"{arguments.section_name('variant_section')}: loss.feature_weight needs a codec whose "
            "decoder to log-mel is linear (mel_pca); set it to 0 for this representation"
        )
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        train = partial(train_factorizer, settings, run.recipe, material, components, seed, device)
        with _cli.blame(arguments.splits, "shorten the chunk or the burn-in"):
            task, state = run.train("factorizer", train)
        model = task.model.model
        reason = collapse_reason(task.details, model, limits)
        if reason is not None and limits.action == "fail":
            raise InputError(
                f"{arguments.model}: the run has collapsed: {reason}; change the variant, or set "
                "factorizer.health.action to `report` to keep it and flag it"
            )
        arrays, header = pack_factorizer(model, noise_floor(material))
        found = {"factorizer": header, "health": task.details, "collapse": reason or ""}
        write_jsonl(arguments.history, state.history)
        write_bundle(arguments.model, arrays, {**arguments.manifest(seed), **found})


if __name__ == "__main__":
    _cli.run(main)
