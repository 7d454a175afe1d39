"""A feature, a quantiser and an input of other packages, exactly as docs/extend.md shows them.

Law: a key that is made of them is fitted, stored and read like one of ours, and a context has the
code that its row has in the stream. Nothing of this package names them.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engram_audio import plugins, windows
from engram_audio.config import parse_config
from engram_audio.errors import InputError
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.fitted import FittedFamily, stream_cells
from engram_audio.keys.storage import pack_family, unpack_family
from engram_audio.plan import Plan
from tests import studies
from tests.plugin_packages import MODULES, install, shown_section
from tests.unit.key_material import FAMILY, blocks_of, cycle, keys_section

NAMES = [
    f"steps.{key_input}.{quantizer}"
    for key_input in ("raw", "second_differences")
    for quantizer in ("kmeans_16", "signs")
]
BLOCKS, PART_OF = blocks_of(cycle)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield install(tmp_path_factory.mktemp("keys") / "site", patch)
    for name in MODULES:
        sys.modules.pop(name, None)


def fitted() -> FittedFamily:
    section = FAMILY.validate_python(shown_section("keys"), strict=False)
    material = KeyMaterial(lambda: iter(BLOCKS), PART_OF, keys_section())
    return fit_family("steps", section, (1,), material)


def test_a_context_has_the_code_that_its_row_has_in_the_stream(site: Path):
    found = fitted()
    assert [key.name for key in found.keys] == NAMES and not found.missing
    arrays, header = pack_family(found)
    again = unpack_family(arrays, header)
    rows = windows.target_rows(BLOCKS[0].offsets, 4, 1)
    contexts = BLOCKS[0].frames[rows[:, None] + np.arange(-4, 0)]
    for key in again.keys:
        (stream,) = stream_cells([key], lambda: iter(BLOCKS[:1]), [rows], 1)
        assert len(np.unique(stream.cells)) > 2
        assert np.mean(key.codes(contexts) != stream.cells) < 0.01  # ties of rounded sums
        encoded = KeyEncoder(key).codes(torch.from_numpy(contexts), 1)[:, 0].numpy()
        assert np.mean(encoded != stream.cells) < 0.01
        assert key.num_codes == (16 if key.name.endswith("16") else 2 ** BLOCKS[0].frames.shape[1])


def study(**changes: Any) -> dict[str, Any]:
    document = studies.changed(
        studies.study(), "keys.library.steps", {**shown_section("keys"), **changes}
    )
    return studies.changed(document, "memory.library.robust.key", NAMES[0])


def test_a_study_may_name_such_a_key_and_an_edit_fits_it_again(site: Path):
    plan = Plan(parse_config(study()))
    assert "steps" in plan.config.keys.library
    wildcards, ours = SimpleNamespace(family="steps"), SimpleNamespace(family="last_frame")
    modules, first = plan.key_code(wildcards)
    assert modules == () and first.count("-0.1-") == 3 and plan.key_code(ours) == ((), "")
    for module in ("signs_quantizer", "newest_step", "second_differences"):
        path = site / f"{module}.py"
        path.write_text(path.read_text() + "\nEDITED = 1\n")
        second = plugins.code_of_keys(plan.config.keys.library["steps"])
        assert second != first
        first = second


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plugin": "oldest_step"}, "no installed package offers 'oldest_step'"),
        ({"settings": {"scale": "x"}}, r"plugin, newest_step\): settings.scale: "),
        ({"inputs": ["second_difference"]}, "did you mean 'second_differences'"),
        ({"quantizers": [{"kind": "plugin", "plugin": "sign", "settings": {}}]}, "offered: signs"),
        ({"quantizers": [{"kind": "plugin", "plugin": "signs", "settings": {"a": 1}}]},
         r"plugin, signs\): settings.a: "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(site: Path, changes: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words) as refused:
        parse_config(study(**changes))
    assert "\n" not in str(refused.value)


def test_settings_that_are_no_quantiser_are_refused(site: Path):
    (site / "signs_quantizer.py").write_text(
        "from engram_audio.section import Section\n\n\nclass Settings(Section):\n    b: int\n"
    )
    sys.modules.pop("signs_quantizer", None)
    with pytest.raises(InputError, match=r"its Settings is no .*keys\.quantizers\.Quantizer"):
        FAMILY.validate_python(
            {
                **shown_section("keys"),
                "quantizers": [{"kind": "plugin", "plugin": "signs", "settings": {"b": 1}}],
            },
            strict=False,
        )
