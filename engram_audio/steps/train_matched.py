"""Train the parametric models that a memory has to beat: as many parameters, and as much work."""

from functools import partial
from operator import attrgetter

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
from engram_audio.memory.matching import Matched, match_width, memory_budget
from engram_audio.prediction.config import AnyHead, PredictionSection
from engram_audio.prediction.fit import Material, events_trained, head_task, train_head
from engram_audio.prediction.storage import density_spec, pack_density
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._memory import read_memory
from engram_audio.steps._prediction import load_head, load_material
from engram_audio.steps._training import TrainingRun

MEASURES = {"matched_parameters": "parameters", "matched_flops": "flops"}
FEW_FRAMES = 256


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_matched",
        __doc__,
        inputs=["memory", "nulls", "splits"],
        optional_inputs=["base_model"],
        input_lists=["shards"],
        outputs=["matched"],
        wildcards=["lag", "seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    stage = arguments.load_section("stage_section", MemoryStageSection)
    controls = arguments.load_section("controls_section", MemoryControlsSection)
    head = load_head(arguments)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    event = events_trained(lag, (stage.target,))[0]
    arrays, headers = {}, {}
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        with _cli.blame(arguments.section_name("controls_section")):
            matched = _matched(arguments, controls, material, head, lag, stage.target, seed)
        for label, own in matched.items():
            train = partial(train_head, own.head, run.recipe, material, lag, event, seed, device)
            model, base, _ = run.train(label, train)
            spec = density_spec(own.head, section.window_frames)
            packed, header = pack_density(label, model, base, spec)
            arrays |= packed
            size = {"budget": own.budget._asdict(), "is_capped": own.is_capped}
            headers[label] = {**header, **size}
        write_bundle(arguments.matched, arrays, {**arguments.manifest(seed), "models": headers})


def _matched(
    arguments: _cli.Arguments,
    controls: MemoryControlsSection,
    material: Material,
    head: AnyHead,
    lag: int,
    event: str,
    seed: int,
) -> dict[str, Matched]:
    """Return the heads that match the memory's parameters and its work."""
    stored = read_memory(
        arguments.memory, material.rungs, lag, arguments.base_model, material.reference
    )
    budget = memory_budget(stored.models["memory"])

    def build(settings: AnyHead):
        task, _ = head_task(settings, material, lag, event, seed, FEW_FRAMES, torch.device("cpu"))
        return task.model

    return {
        label: match_width(
            head, build, getattr(budget, measure), attrgetter(measure), controls.maximum_width
        )
        for label, measure in MEASURES.items()
    }


if __name__ == "__main__":
    _cli.run(main)
