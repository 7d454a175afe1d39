"""Train one head at one lag, one model per event; resumes after a kill with the same bits."""

from functools import partial

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
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
        "train_density",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["model", "history"],
        wildcards=["lag", "seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    head = load_head(arguments)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    arrays, headers, history = {}, {}, []
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        for event in events_trained(lag, section.targets):
            train = partial(train_head, head, run.recipe, material, lag, event, seed, device)
            model, base, state = run.train(event, train)
            spec = density_spec(head, section.window_frames)
            packed, headers[event] = pack_density(event, model, base, spec)
            arrays |= packed
            history += [{"event": event, **record} for record in state.history]
        write_jsonl(arguments.history, history)
        write_bundle(arguments.model, arrays, {**arguments.manifest(seed), "models": headers})


if __name__ == "__main__":
    _cli.run(main)
