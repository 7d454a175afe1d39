"""No corpus is written where another is read; corpora that are only read may share a folder."""

from pathlib import Path
from typing import Any

import pytest

from engram_audio.config import parse_config
from engram_audio.errors import InputError
from tests import studies
from tests.workflow.tiny_study import add_row

COMMON = {"minimum_duration_s": 3.0, "num_shards": 2}
DEMO = {"kind": "demo_speech", "num_speakers": 24, "num_utterances_per_speaker": 2, "seed": 0}
DIRECTORY = {"kind": "directory"}
DOWNLOADED = {"kind": "librispeech", "subsets": ["dev-clean"], "download": True}
READ = {**DOWNLOADED, "download": False}


def config(one: dict[str, Any], root: str, two: dict[str, Any], other: str) -> dict[str, Any]:
    raw = studies.study()
    base = {name: {**row, "download": False} for name, row in raw["corpora"].items()}
    first, second = {**COMMON, **one, "root": root}, {**COMMON, **two, "root": other}
    raw["corpora"] = {"first": first, "second": second, **base}  # the base writes nothing
    row = {"kind": "codec", "codec": "mimi", "permute_blocks_s": None}
    for name in ("first", "second"):
        add_row(raw, f"of_{name}", {**row, "corpus": name})
    return raw


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `speech`, links to it, and a way into it from a link."""
    (tmp_path / "speech" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("speech")
    (tmp_path / "way").symlink_to("speech/inner")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAME = (
    "speech", "./speech", "speech/", "speech//", "speech/.", "speech/inner/..", "link", "link/",
    "way/..", "{here}/speech", "{here}/link", "../{name}/speech", "speech/inner", "way",
    "speech/new", "link/new/deep", ".", "..", "/",
)  # fmt: skip
WRITERS = [(DEMO, DEMO | {"seed": 1}), (DEMO, DIRECTORY), (READ, DOWNLOADED), (DOWNLOADED, DEMO)]


@pytest.mark.parametrize("spelling", SAME)
def test_a_root_that_is_written_is_nobody_elses_however_it_is_spelt(folder: Path, spelling: str):
    other = spelling.format(here=folder, name=folder.name)
    for one, two in ((DEMO, DIRECTORY), (DIRECTORY, DEMO)):
        with pytest.raises(InputError, match=r"corpora\.second\.root: .*corpora\.first\.root"):
            parse_config(config(one, "speech", two, other))


@pytest.mark.parametrize(("one", "two"), WRITERS)
def test_every_kind_that_is_written_counts(folder: Path, one: Any, two: Any):
    with pytest.raises(
        InputError, match="is written by the workflow; give each a folder of its own"
    ):
        parse_config(config(one, "new", two, "new"))
    parse_config(config(one, "new", two, "new2"))


@pytest.mark.parametrize(("one", "two"), [(DIRECTORY, DIRECTORY), (READ, READ), (READ, DIRECTORY)])
@pytest.mark.parametrize("other", ["speech", "link", "speech/inner", "."])
def test_corpora_that_are_only_read_may_share_a_root(folder: Path, one: Any, two: Any, other: str):
    parse_config(config(one, "speech", two, other))


@pytest.mark.parametrize("other", ["speech2", "spee", "other/speech", "Speech"])
def test_a_name_that_only_begins_the_same_is_another_folder(folder: Path, other: str):
    parse_config(config(DEMO, "speech", DIRECTORY, other))
