"""Publish exported z_dyn beside the latents they came from, metric by metric."""

from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.factorizer.columns import FACTORIZER_STATES
from engram_audio.factorizer.state_comparison import comparison_table, sources_named
from engram_audio.prediction.columns import PREDICTION
from engram_audio.steps import _cli
from engram_audio.structure.columns import LINEAR, STRUCTURE


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "tabulate_states",
        __doc__,
        inputs=["structure", "linear"],
        optional_inputs=["prediction"],
        input_lists=["summaries", "pairs"],
        outputs=["factorizer_states"],
        argv=argv,
    )
    table = comparison_table(
        sources_named(arguments.pairs),
        {path.parent.name: read_json(path) for path in arguments.summaries},
        read_csv(arguments.structure, STRUCTURE),
        read_csv(arguments.linear, LINEAR),
        read_csv(arguments.prediction, PREDICTION) if arguments.prediction else None,
    )
    write_csv(arguments.factorizer_states, table, FACTORIZER_STATES, arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
