"""Train all keys of a learned family: cells of predicted laws, and the methods beside them."""

from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.keys.config import KeysSection, LearnedKeys
from engram_audio.keys.law_config import LawPredictorSection, LawSection
from engram_audio.keys.law_training import LawMaterial
from engram_audio.keys.learned_fit import Training, fit_learned
from engram_audio.keys.storage import pack_family
from engram_audio.steps._cli import Device, Frozen, LogFolder, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._laws import open_targets, read_ceiling
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    family: Wildcard[str]
    keys_section: Frozen[KeysSection]
    family_section: Frozen[LearnedKeys]
    section: Frozen[LawSection]
    predictor_section: Frozen[LawPredictorSection]
    recipe_section: Frozen[TrainingRecipe]
    recipe_sections: Frozen[dict[str, TrainingRecipe]]
    predictor: Path
    splits: Path
    shards: list[Path]
    key_file: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section, family = files.section, files.family_section
    device = torch.device(resolve_device(files.device, uses_torch=True))
    ceiling = read_ceiling(files.predictor)
    recipes = {name.removeprefix("recipes."): row for name, row in files.recipe_sections.items()}
    with (
        TrainingRun(files, files.recipe_section) as run,
        open_targets(files.shards, files.splits, section, family.lag_frames) as (_, targets),
    ):
        material = LawMaterial(
            targets, ceiling.whitening.y(targets), ceiling.bank,
            ceiling.whitening.centre.astype("float32"), ceiling.scale, device,
        )  # fmt: skip
        how = Training(
            files.predictor_section, recipes, run.train, section.seed,
            files.keys_section.minimum_cell_frames, section.window_frames,
        )  # fmt: skip
        found = fit_learned(files.family, family, material, ceiling.network, how)
        arrays, header = pack_family(found.fitted)
        write_jsonl(files.history, found.history)
        manifest = files.manifest(section.seed)
        more = {"fitted": header, "agreement": found.agreement}
        write_bundle(files.key_file, arrays, {**manifest, **more})


if __name__ == "__main__":
    run(main)
