"""From files on disk to splits, through the steps: a messy tree, a changed one, an empty one."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from engram_audio.artifacts.audio import write_flac
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json
from engram_audio.steps import (
    assign_shards,
    index_corpus,
    locate_corpus,
    make_splits,
    synthesize_demo_speech,
)
from tests.frozen_argv import run_step

RATE = 16000
SENTENCES = Path(synthesize_demo_speech.__file__).parents[1] / "corpus" / "demo_sentences.txt"


def noise(seconds: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(-3000, 3000, int(seconds * RATE)).astype(np.int16)


def add(root: Path, speaker: str, number: int, seconds: float = 4.0, subset: str = "s") -> Path:
    """Write one good utterance, with its own samples, and a transcript line."""
    folder = root / subset / speaker / f"{speaker}1"
    path = folder / f"{speaker}-{speaker}1-{number:04d}.flac"
    write_flac(path, noise(seconds, seed=1000 * int(speaker) + number), RATE)
    with open(folder / f"{speaker}-{speaker}1.trans.txt", "a", encoding="utf-8") as lines:
        lines.write(f"{path.stem} TEXT OF {number}\n")
    return path


def good_tree(root: Path) -> None:
    """Six speakers of three utterances, all of them usable."""
    for speaker in range(1, 7):
        for number in range(3):
            add(root, str(speaker), number)
    rows = "".join(f"{s} | {'FM'[s % 2]} | s | 1 | Name\n" for s in range(1, 7))
    (root / "SPEAKERS.TXT").write_text("; comment\n" + rows)


def section(folder: Path, root: Path, **changes: Any) -> Path:
    settings = {"kind": "directory", "root": str(root), "minimum_duration_s": 3.0, "num_shards": 2}
    path = folder / "corpora.x.json"
    path.write_text(canonical_json({**settings, **changes}))
    return path


def locate(folder: Path, root: Path, **changes: Any) -> Path:
    source = folder / "source.json"
    path = section(folder, root, **changes)
    run_step(locate_corpus, ["--section", str(path), "--source", str(source)])
    return source


def index(folder: Path, workers: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    utterances, exclusions = folder / "utterances.parquet", folder / "exclusions.parquet"
    run_step(
        index_corpus,
        [
            "--section",
            str(folder / "corpora.x.json"),
            "--source",
            str(folder / "source.json"),
            "--utterances",
            str(utterances),
            "--exclusions",
            str(exclusions),
            "--corpus",
            "x",
            "--num-workers",
            str(workers),
        ],
    )
    return pd.read_parquet(utterances), pd.read_parquet(exclusions)


def test_a_good_tree_becomes_tables_shards_and_splits(tmp_path: Path):
    root = tmp_path / "root"
    good_tree(root)
    locate(tmp_path, root)
    utterances, exclusions = index(tmp_path)
    assert len(utterances) == 18 and len(exclusions) == 0
    assert utterances["transcript"].tolist()[:2] == ["TEXT OF 0", "TEXT OF 1"]
    assert utterances.groupby("speaker_id")["sex"].first().tolist() == list("MFMFMF")
    assert all(Path(path).is_file() for path in utterances["audio_path"])
    table = str(tmp_path / "utterances.parquet")
    run_step(
        assign_shards,
        [
            "--section",
            str(tmp_path / "corpora.x.json"),
            "--utterances",
            table,
            "--shards",
            str(tmp_path / "shards.parquet"),
            "--corpus",
            "x",
        ],
    )
    shards = pd.read_parquet(tmp_path / "shards.parquet")
    assert shards.groupby("shard")["speaker_id"].nunique().to_dict() == {"000": 3, "001": 3}
    splits_section = tmp_path / "splits.json"
    splits_section.write_text(
        '{"seeds":[0],"eval_fraction":0.34,"val_fraction":0.1,"select_fraction":0.1}'
    )
    run_step(
        make_splits,
        [
            "--section",
            str(splits_section),
            "--utterances",
            table,
            "--split-seed",
            "0",
            "--corpus",
            "own",
            "--splits",
            str(tmp_path / "splits.parquet"),
        ],
    )
    splits = pd.read_parquet(tmp_path / "splits.parquet")
    assert splits["split"].value_counts().to_dict() == {"train": 8, "eval": 6, "val": 4}


def test_a_messy_tree_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Every audio file of a tree is an utterance or an exclusion with the right reason."""
    root = tmp_path / "root"
    good_tree(root)
    expected: dict[str, str] = {}

    def spoil(name: str, reason: str, content: bytes | None = None, **audio: Any) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        else:
            samples = audio.get("samples", noise(4, seed=len(expected) + 90_000))
            soundfile.write(path, samples, audio.get("rate", RATE), format="FLAC")
        expected[name] = reason

    good = (root / "s/1/11/1-11-0000.flac").read_bytes()
    spoil("s/1/11/1-11-0100.flac", "empty", b"")
    spoil("s/1/11/1-11-0101.flac", "unreadable", b"nothing like audio" * 9)
    spoil("s/1/11/1-11-0102.flac", "truncated", good[: len(good) // 2])
    spoil("s/1/11/1-11-0103.flac", "too_short", samples=noise(1, 1))
    spoil("s/1/11/1-11-0104.flac", "wrong_rate", rate=22050)
    spoil("s/1/11/1-11-0105.flac", "stereo", samples=np.stack([noise(4, 2), noise(4, 3)], 1))
    spoil("s/1/11/1-11-0106.flac", "duplicate", good)
    spoil("s/1/11/1-11-0107.flac", "silent", samples=np.zeros(4 * RATE, np.int16))
    spoil("s/2/21/1-11-0001.flac", "duplicate_id")
    spoil("s/2/21/né.flac", "non_ascii_name")
    spoil("s/2/21/a'b\"<i>;$(x).flac", "unsafe_name")
    spoil("s/2/21/a..b.flac", "unsafe_name")
    spoil("s/2/21/2-21-0100.wav", "not_flac", b"RIFF")
    spoil("s/2/21/2-21-0101.FLAC", "duplicate", good)
    spoil("s/2/stray.flac", "misplaced", good)
    spoil("s/2/21/deep/er/stray.flac", "misplaced", good)
    with open(root / "s/3/31/3-31.trans.txt", "a", encoding="utf-8") as lines:
        lines.write("3-31-0999 NOBODY READ THIS\n")
    expected["s/3/31/3-31.trans.txt"] = "missing_audio"
    (root / "s/4/41/4-41.trans.txt").write_bytes(b"4-41-0000 \xff\xfe\n")
    expected["s/4/41/4-41.trans.txt"] = "unreadable_transcript"
    add(root, "9", 0)
    expected["SPEAKERS.TXT"] = "no_speaker_entry"
    line_name = "s/2/21/line\nbreak.flac"
    (root / line_name).write_bytes(good)
    expected[r"s/2/21/line\nbreak.flac"] = "unsafe_name"

    caplog.set_level(logging.INFO)
    locate(tmp_path, root)
    utterances, exclusions = index(tmp_path)
    assert dict(zip(exclusions["path"], exclusions["reason"], strict=True)) == expected
    assert len(utterances) == 18 + 1
    audio = [p for p in root.rglob("*") if p.suffix.lower() in (".flac", ".wav")]
    lost = exclusions[~exclusions["is_kept"] & (exclusions["reason"] != "missing_audio")]
    assert len(audio) == len(utterances) + len(lost)
    assert "duplicate 2" in caplog.text and "unsafe_name 3" in caplog.text
    kept = exclusions.loc[exclusions["is_kept"], "reason"]
    assert set(kept) == {"no_speaker_entry", "unreadable_transcript"}


def test_workers_do_not_change_the_tables(tmp_path: Path):
    root = tmp_path / "root"
    for speaker in ("1", "2"):
        for number in range(20):
            add(root, speaker, number, seconds=3.2)
    locate(tmp_path, root)
    one, two = index(tmp_path, workers=1), index(tmp_path, workers=2)
    pd.testing.assert_frame_equal(one[0], two[0])
    pd.testing.assert_frame_equal(one[1], two[1])


def test_audio_deleted_or_changed_by_hand_is_said(tmp_path: Path):
    root = tmp_path / "root"
    good_tree(root)
    locate(tmp_path, root)
    path = root / "s/1/11/1-11-0001.flac"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(
        InputError, match=r"1 file\(s\) gone and 0 changed .*1-11-0001.flac \(gone\)"
    ):
        index(tmp_path)
    write_flac(path, noise(5, 7), RATE)
    with pytest.raises(InputError, match=r"0 file\(s\) gone and 1 changed .*\(changed\)"):
        index(tmp_path)
    path.write_bytes(content)
    (root / "SPEAKERS.TXT").write_text("")
    with pytest.raises(InputError, match=r"SPEAKERS\.TXT: changed"):
        index(tmp_path)


def test_one_subset_is_one_subset(tmp_path: Path):
    """LibriSpeech takes the named subsets only; a directory takes all; a missing one is named."""
    root = tmp_path / "root"
    good_tree(root)
    add(root, "8", 0, subset="dev-clean")
    libri = {"kind": "librispeech", "subsets": ["dev-clean"], "download": False}
    locate(tmp_path, root, **libri)
    assert set(index(tmp_path)[0]["speaker_id"]) == {"8"}
    locate(tmp_path, root)
    assert set(index(tmp_path)[0]["speaker_id"]) == set("1234568")
    with pytest.raises(InputError, match="test-clean: no such folder; set `download: true`"):
        locate(tmp_path, root, **{**libri, "subsets": ["test-clean"]})


def test_a_corpus_without_speakers_file_keeps_everyone(tmp_path: Path):
    root = tmp_path / "root"
    good_tree(root)
    (root / "SPEAKERS.TXT").unlink()
    locate(tmp_path, root)
    utterances, exclusions = index(tmp_path)
    assert set(utterances["sex"]) == {"unknown"} and len(utterances) == 18
    assert exclusions["reason"].tolist() == ["no_speaker_entry"] * 6


def test_an_empty_corpus_is_one_line(tmp_path: Path):
    root = tmp_path / "root"
    with pytest.raises(InputError, match="no such folder"):
        locate(tmp_path, root)
    root.mkdir()
    with pytest.raises(InputError, match=r"no audio in <subset>/<speaker>/<chapter>/\*\.flac"):
        locate(tmp_path, root)
    add(root, "1", 0, seconds=1.0)
    locate(tmp_path, root)
    with pytest.raises(InputError, match=r"corpora\.x\.root: .*too_short 1") as caught:
        index(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "utterances.parquet").exists()


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path):
    good_tree(tmp_path / "real")
    root = tmp_path / "root"
    root.mkdir()
    (root / "s").symlink_to(tmp_path / "real" / "s")
    (root / "SPEAKERS.TXT").symlink_to(tmp_path / "real" / "SPEAKERS.TXT")
    (tmp_path / "real" / "s" / "1" / "loop").symlink_to(tmp_path / "real" / "s")
    locate(tmp_path, root)
    utterances, exclusions = index(tmp_path)
    assert len(utterances) == 18
    assert exclusions["path"].tolist() == ["s/1/loop"]
    assert exclusions["reason"].tolist() == ["link_cycle"]


def speak(folder: Path, root: Path, workers: int) -> dict[str, Any]:
    settings = {
        "kind": "demo_speech", "root": str(root), "minimum_duration_s": 3.0, "num_shards": 2,
        "num_speakers": 24, "num_utterances_per_speaker": 2, "seed": 0,
    }  # fmt: skip
    path = folder / "corpora.x.json"
    path.write_text(canonical_json(settings))
    source = folder / "source.json"
    run_step(
        synthesize_demo_speech,
        [
            "--section",
            str(path),
            "--sentences",
            str(SENTENCES),
            "--source",
            str(source),
            "--num-workers",
            str(workers),
        ],
    )
    return json.loads(source.read_text())


def test_demo_speech_is_the_same_with_one_worker_and_two(tmp_path: Path):
    """Other processes, another order, another time: the same bytes in every file."""
    one = speak(tmp_path, tmp_path / "one", workers=1)
    two = speak(tmp_path, tmp_path / "two", workers=3)
    assert one["files"] == two["files"] and len(one["files"]) == 2 * 24 + 24 + 1
    utterances, exclusions = index(tmp_path)
    assert len(utterances) == 48 and len(exclusions) == 0
    assert not any(utterances["transcript"].isna().tolist())
    assert utterances.groupby("sex")["speaker_id"].nunique().to_dict() == {"F": 12, "M": 12}


def test_real_speech_is_taken_whole(shared_data: Path, tmp_path: Path):
    root = shared_data / "real-speech"
    if not root.is_dir():
        pytest.skip("no real speech beside the repository")
    locate(tmp_path, root)
    utterances, exclusions = index(tmp_path)
    assert len(utterances) == 298 and len(set(utterances["speaker_id"])) == 51
    assert len(exclusions) == 0 and not any(utterances["transcript"].isna().tolist())
    assert utterances.groupby("sex")["speaker_id"].nunique().to_dict() == {"F": 26, "M": 25}
