"""Frozen files: what is read is what the name promises; the code that runs is the planned one."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from engram_audio import frozen
from engram_audio.errors import InputError
from engram_audio.frozen import (
    Code,
    forget_others,
    frozen_text,
    is_planned,
    keep,
    place_of,
    read_frozen,
    subject_of,
)
from engram_audio.steps._cli import (
    Device,
    Fact,
    Frozen,
    Output,
    Source,
    StepFiles,
    Wildcard,
    Workers,
)

CODE = Code(("engram_audio.steps.make_splits",))
WILDCARDS = {"corpus": "speech", "split_seed": "0"}


def settings(**value: Any) -> dict[str, list[dict[str, Any]]]:
    return {"section": [{"section": "splits", "value": value}]}


def written(folder: Path, wildcards: dict[str, str] = WILDCARDS, **value: Any) -> Path:
    text = frozen_text("make_splits", wildcards, settings(**value), CODE)
    path = place_of(folder, "make_splits", wildcards, text)
    keep(path, text)
    return path


def test_a_file_gives_back_what_was_frozen(tmp_path: Path):
    path = written(tmp_path, eval_fraction=0.25)
    found = read_frozen(path)
    assert found.wildcards == WILDCARDS and found.settings == settings(eval_fraction=0.25)
    assert found.name == f"make_splits/{path.stem}"
    assert found.folder == tmp_path and found.code == CODE.digest
    assert path.name.startswith("corpus=speech,split_seed=0.")


def test_equal_settings_of_two_subjects_are_two_files_and_two_texts(tmp_path: Path):
    one, other = (written(tmp_path, {"split_seed": seed}, a=1) for seed in "01")
    assert one.name != other.name and one.read_bytes() != other.read_bytes()


def test_a_renamed_file_is_refused(tmp_path: Path):
    """Under another subject, another rule, or a digest that is not its own."""
    path = written(tmp_path, a=1)
    content = path.read_bytes()
    for place in (
        "make_splits/corpus=other,split_seed=0",
        "index_corpus/corpus=speech,split_seed=0",
    ):
        other = tmp_path / f"{place}.{path.stem.rpartition('.')[2]}.json"
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(content)
        with pytest.raises(InputError, match="was renamed"):
            read_frozen(other)
    other = path.with_name("corpus=speech,split_seed=0.0123456789abcdef.json")
    other.write_bytes(content)
    with pytest.raises(InputError, match="was changed"):
        read_frozen(other)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[1]", b"null", b'{"rule": 1}'])
def test_other_content_is_one_line(tmp_path: Path, content: bytes):
    path = written(tmp_path, a=1)
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_frozen(path)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_other_code_than_the_planned_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package elsewhere on the path, or an edit since the plan, is not what was digested."""
    path = written(tmp_path, a=1)
    monkeypatch.setattr(frozen, "code_digest", lambda *modules: "f" * 16)
    with pytest.raises(InputError, match="was planned for code"):
        read_frozen(path)


def test_a_file_that_is_there_keeps_its_time_also_when_it_is_mended(tmp_path: Path):
    path = written(tmp_path, a=1)
    os.utime(path, ns=(1_000, 2_000))
    text = path.read_text()
    keep(path, text)
    assert path.stat().st_mtime_ns == 2_000
    path.write_text(text + " ")
    os.utime(path, ns=(1_000, 3_000))
    keep(path, text)
    assert path.read_text() == text and path.stat().st_mtime_ns == 3_000


def test_files_can_be_read_by_others_and_leave_no_rest(tmp_path: Path):
    path = written(tmp_path, a=1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file_system_without_links_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*paths: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert read_frozen(written(tmp_path, a=1)).settings == settings(a=1)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "make_splits").write_text("a file in the way")
    with pytest.raises(InputError, match="cannot be"):
        written(tmp_path, a=1)


def test_only_other_digests_of_the_same_job_are_removed(tmp_path: Path):
    old, new = written(tmp_path, a=1), written(tmp_path, a=2)
    other = written(tmp_path, {"split_seed": "1"}, a=1)
    assert forget_others([new]) == [old]
    assert new.exists() and other.exists() and not old.exists()


def test_what_was_made_with_other_settings_does_not_fit(tmp_path: Path):
    """Known job: only its present file. Unknown job: nothing can be said."""
    old, new = written(tmp_path, a=1), written(tmp_path, a=2)
    assert is_planned(tmp_path, f"make_splits/{old.stem}")
    forget_others([new])
    assert not is_planned(tmp_path, f"make_splits/{old.stem}")
    assert is_planned(tmp_path, f"make_splits/{new.stem}")
    assert is_planned(tmp_path, f"simulate_world/{old.stem}")


def test_long_wildcards_keep_their_own_names():
    """File systems allow 255 bytes; two long subjects never share a name."""
    names = [subject_of({"representation": "x" * 300 + end}) for end in "ab"]
    assert names[0] != names[1] and max(map(len, names)) < 200


class Files(StepFiles):
    lag: Wildcard[int]
    section: Frozen[Any]
    recipe_section: Frozen[Any | None]
    sources: Fact[dict[str, int]]
    model: Path
    decoder: Path | None
    shards: list[Path]
    published: Source
    scores: Output
    device: Device
    num_workers: Workers


def job(folder: Path, *more: str, **changes: Any) -> list[str]:
    """Command line of a job for `Files`."""
    content = {"wildcards": {"lag": "2"}, "facts": {"sources": {"state": 1}}, **changes}
    roles = content.pop("settings", settings(seeds=[0]))
    wildcards = content.pop("wildcards")
    text = frozen_text("make_splits", wildcards, roles, CODE, **content)
    path = place_of(folder / "config", "make_splits", wildcards, text)
    keep(path, text)
    files = {"--model": "a.bin", "--published": "b.json", "--scores": "out/c.parquet"}
    named = [word for flag, name in files.items() for word in (flag, str(folder / name))]
    return ["--settings", str(path), *named, *more]


def test_a_step_gets_what_its_class_declares(tmp_path: Path):
    """Typed; what a rule leaves out is empty; folders of outputs are there."""
    files = Files.parse(job(tmp_path, "--shards", "x", "y"))
    assert (files.lag, files.sources, files.section) == (2, {"state": 1}, {"seeds": [0]})
    assert files.recipe_section is None and files.decoder is None
    assert files.shards == [Path("x"), Path("y")] and Files.parse(job(tmp_path)).shards == []
    assert (files.device, files.num_workers, files.log_folder) == ("auto", 1, None)
    assert files.scores == tmp_path / "out" / "c.parquet" and files.scores.parent.is_dir()
    assert files.section_name(files.section) == "splits" and files.step == "test_frozen"
    assert {name: len(paths) for name, paths in files.input_files.items()} == {
        "model": 1, "decoder": 0, "shards": 2, "published": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wildcards": {}}, "lacks the wildcard 'lag' that test_frozen reads"),
        ({"wildcards": {"lag": "two"}}, "lag: .*integer.*'two'"),
        ({"facts": {}}, "lacks the fact 'sources'"),
        ({"facts": {"sources": {"state": "1"}}}, "sources: state: .*integer"),
        ({"settings": {}}, r"holds 0 section\(s\) in the role 'section'"),
        ({"settings": {"section": [*settings()["section"] * 2]}}, "holds 2 section"),
    ],
)
def test_a_job_without_a_declared_value_is_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
):
    with pytest.raises(InputError, match=message) as caught:
        Files.parse(job(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_manifest_says_what_the_artifact_is_of(tmp_path: Path):
    files = Files.parse(job(tmp_path))
    assert files.manifest(3)["identity"] == {"lag": "2"}
    assert files.manifest(3, representation="a--var")["identity"] == {
        "lag": "2", "representation": "a--var",
    }  # fmt: skip
    assert files.manifest(3)["section_digests"].keys() == {"splits"}


@pytest.mark.parametrize("part", ["inputs", "outputs", "params", "command", "facts", "data"])
def test_all_that_decides_a_job_is_in_its_digest(part: str):
    plain = frozen_text("make_splits", WILDCARDS, {}, CODE)
    changed = frozen_text("make_splits", WILDCARDS, {}, CODE, **{part: {"a": 1}})
    assert frozen.text_digest(plain) != frozen.text_digest(changed)
