"""Train and score the nets of a curve of nats against size."""

from pathlib import Path

import pandas as pd

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.memory.curve import curve_heads
from engram_audio.steps._cli import Output, blame, run
from engram_audio.steps._density_training import MemoryNetFiles, workshop
from engram_audio.steps._tuned import frozen_setting


class Files(MemoryNetFiles):
    tuning: Path | None
    sizes: Output
    scores: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    with blame(files.section_name(files.controls_section)):
        heads = curve_heads(files.head_section, files.controls_section.curve_widths)
    sizes, tables = {}, []
    with workshop(files) as shop:
        judge = shop.judge()
        for label, plain in heads.items():
            head, recipe = frozen_setting(files.tuning, label, plain, files.recipe_section)
            model, _, _ = shop.train(label, head, recipe, files.event)
            sizes[label] = model.budget()._asdict() | {"width": head.trunk.width}
            tables.append(judge(model).assign(model=label))
        scores = pd.concat(tables, ignore_index=True)
        write_table(files.scores, scores, files.manifest(files.seed))
        write_json(files.sizes, {**files.manifest(files.seed), "nets": sizes})


if __name__ == "__main__":
    run(main)
