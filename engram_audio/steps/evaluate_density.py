"""Score one head at one lag on train, val and eval, and roll its mean out."""

from engram_audio.artifacts.table import write_table
from engram_audio.prediction.assess import TABLES, assess, head_entries, roll_out
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._prediction import open_stage, read_models


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_density",
        __doc__,
        inputs=["nulls", "marginal", "model", "splits"],
        optional_inputs=["decoder"],
        input_lists=["shards"],
        outputs=[*TABLES, "rollout"],
        wildcards=["head", "lag", "seed"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    device = resolve_device(arguments.device, uses_torch=True)
    reference, rungs = read_nulls(arguments.nulls)
    frames = open_frames(arguments.shards, arguments.splits)
    stage = open_stage(frames, reference, section, evaluation, device, arguments.decoder)
    models = read_models(arguments.model, "models", reference)
    marginals = read_models(arguments.marginal, "marginals", reference)
    head, lag = arguments.head, int(arguments.lag)
    tables = assess(head_entries(head, lag, models, marginals, stage), stage)
    tables["rollout"] = roll_out(head, lag, models, rungs, stage)
    for name in (*TABLES, "rollout"):
        write_table(getattr(arguments, name), tables[name], arguments.manifest(int(arguments.seed)))


if __name__ == "__main__":
    _cli.run(main)
