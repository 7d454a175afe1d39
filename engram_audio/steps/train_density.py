"""Train one head at one lag, one model per event; resumes after a kill with the same bits."""

from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.fit import events_trained
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.steps._cli import Output, run
from engram_audio.steps._density_training import DensityFiles, workshop
from engram_audio.steps._tuned import HEAD, frozen_setting


class Files(DensityFiles):
    tuning: Path | None
    model: Output
    history: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    arrays, headers, history = {}, {}, []
    head, recipe = frozen_setting(files.tuning, HEAD, files.head_section, files.recipe_section)
    spec = density_spec(head, files.section.window_frames)
    with workshop(files) as shop:
        for event in events_trained(files.lag, files.section.targets):
            model, base, state = shop.train(event, head, recipe, event)
            packed, headers[event] = pack_density(event, model, base, spec)
            arrays |= packed
            history += [{"event": event, **record} for record in state.history]
        write_jsonl(files.history, history)
        write_bundle(files.model, arrays, {**files.manifest(files.seed), "models": headers})


if __name__ == "__main__":
    run(main)
