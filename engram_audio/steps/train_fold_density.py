"""Train one head without one fold of speakers, for the residuals that a memory stores."""

from functools import partial

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.memory.config import MemoryStageSection
from engram_audio.memory.folds import fold_material
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import events_trained, train_head
from engram_audio.prediction.storage import density_spec, pack_density
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_head, load_material
from engram_audio.steps._training import TrainingRun


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_fold_density",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["model"],
        wildcards=["lag", "seed", "fold"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    memory = arguments.load_section("memory_section", MemoryStageSection)
    head = load_head(arguments)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed, fold = int(arguments.lag), int(arguments.seed), int(arguments.fold)
    frames = open_frames(arguments.shards, arguments.splits)
    event = events_trained(lag, (memory.target,))[0]
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        with _cli.blame(arguments.splits):
            held = fold_material(material, fold, memory.num_folds, lag, event)
        train = partial(train_head, head, run.recipe, held, lag, event, seed, device)
        model, base, state = run.train(f"fold-{fold}", train)
        spec = density_spec(head, section.window_frames)
        arrays, header = pack_density(event, model, base, spec)
        manifest = {**arguments.manifest(seed), "models": {event: header}}
        write_bundle(arguments.model, arrays, {**manifest, "val_nll": state.best_score})


if __name__ == "__main__":
    _cli.run(main)
