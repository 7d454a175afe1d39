"""A folder of audio that is not LibriSpeech: from files to the index, each fault in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from engram_audio.artifacts.audio import read_indexed
from engram_audio.config import parse_config
from engram_audio.corpus.config import DirectoryCorpus
from engram_audio.corpus.demands import Demands
from engram_audio.corpus.utterances import indexed_audio
from engram_audio.errors import InputError
from engram_audio.latents.config import CodecRepresentation
from engram_audio.provenance import canonical_json
from engram_audio.steps import assign_shards, check_splits, index_corpus, locate_corpus, make_splits
from tests import studies
from tests.frozen_argv import run_step
from tests.unit.test_demands import demand

RATE = 16000
SPEAKERS = tuple(f"spk{n:02d}" for n in range(12))
DEPTHS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def noise(seed: int, seconds: float = 1.5, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * rate))


def write_folder(root: Path, rate: int = RATE) -> Path:
    """Twelve speakers of two files with the same names, in every depth, WAV and FLAC."""
    for number, speaker in enumerate(SPEAKERS):
        (root / speaker / "day").mkdir(parents=True)
        depth = DEPTHS[number % len(DEPTHS)]
        wave = noise(2 * number, rate=rate)
        soundfile.write(root / speaker / "take1.wav", wave, rate, subtype=depth)
        soundfile.write(
            root / speaker / "day" / "take2.flac", noise(2 * number + 1, rate=rate), rate
        )
    return root


def write_table(root: Path, head: str = "file,speaker_id,sex") -> list[str]:
    rows = [
        f"{path.relative_to(root)},{path.relative_to(root).parts[0]},{'Female' if n < 10 else 'M'}"
        for n, path in enumerate(sorted(p for p in root.rglob("take*") if p.is_file()))
    ]
    (root / "people.csv").write_text("\n".join([head, *rows]) + "\n")
    return rows


def run(folder: Path, root: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Locate and index; utterances and exclusions."""
    settings = {
        "kind": "directory", "root": str(root), "minimum_duration_s": 1.0, "num_shards": 2,
        "layout": "folders", **changes,
    }  # fmt: skip
    section, source = folder / "section.json", folder / "source.json"
    section.write_text(canonical_json(settings))
    utterances, exclusions = folder / "utterances.parquet", folder / "exclusions.parquet"
    common = ["--section", str(section), "--source", str(source)]
    run_step(locate_corpus, common)
    tables = ["--utterances", str(utterances), "--exclusions", str(exclusions)]
    run_step(index_corpus, [*common, *tables, "--corpus", "x"])
    return pd.read_parquet(utterances), pd.read_parquet(exclusions)


def by_table(folder: Path, root: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return run(folder, root, layout="table", table="people.csv", **changes)


def reasons(exclusions: pd.DataFrame) -> dict[str, str]:
    return dict(zip(exclusions["path"], exclusions["reason"], strict=True))


def test_speakers_are_folders_and_every_depth_is_read(tmp_path: Path):
    utterances, exclusions = run(tmp_path, write_folder(tmp_path / "root"))
    assert set(utterances["speaker_id"]) == set(SPEAKERS) and len(utterances) == 24
    assert len(exclusions) == 0
    assert utterances["utterance_id"].tolist()[:2] == ["spk00-day-take2", "spk00-take1"]
    for audio in indexed_audio(utterances):
        waveform, _ = read_indexed(audio)
        speaker, name = Path(audio.audio_path).relative_to(tmp_path / "root").parts[:2]
        seed = 2 * SPEAKERS.index(speaker) + (name == "day")
        np.testing.assert_allclose(waveform, noise(seed), atol=2.0**-7)


def test_a_folder_goes_on_to_shards_and_splits(tmp_path: Path):
    run(tmp_path, write_folder(tmp_path / "root", rate=11025))
    table = str(tmp_path / "utterances.parquet")
    shards = ["--section", str(tmp_path / "section.json"), "--shards", str(tmp_path / "s.parquet")]
    run_step(assign_shards, [*shards, "--utterances", table, "--corpus", "x"])
    section = tmp_path / "splits.json"
    section.write_text(
        '{"seeds":[0],"eval_fraction":0.34,"val_fraction":0.3,"select_fraction":0.1}'
    )
    splits = ["--section", str(section), "--splits", str(tmp_path / "splits.parquet")]
    run_step(make_splits, [*splits, "--utterances", table, "--split-seed", "0", "--corpus", "own"])
    found = pd.read_parquet(tmp_path / "splits.parquet")
    assert set(found["split"]) == {"train", "val", "eval"} and len(found) == 24
    check = ["--utterances", table, "--splits", str(tmp_path / "splits.parquet"), "--corpus", "own"]
    checked = tmp_path / "checked.json"
    for reach, is_enough in ((99, False), (14, True)):
        demands = tmp_path / "demands.json"
        demands.write_text(Demands(demands=(demand(reach_frames=reach),)).model_dump_json())
        words = [*check, "--section", str(demands), "--checked", str(checked)]
        if is_enough:
            run_step(check_splits, words)
        else:
            with pytest.raises(InputError, match=r"a\.b: no train utterance of x has 100 frames"):
                run_step(check_splits, words)
        assert checked.is_file() == is_enough


def test_a_table_gives_speakers_and_sexes(tmp_path: Path):
    """Also with Common Voice's titles, parted by tabs, with `./` and backslashes in front."""
    root = write_folder(tmp_path / "root")
    rows = write_table(root)
    utterances, exclusions = by_table(tmp_path, root)
    assert set(utterances["speaker_id"]) == set(SPEAKERS) and len(exclusions) == 0
    sexes = utterances.groupby("speaker_id")["sex"].first().tolist()
    assert sexes == ["F"] * 5 + ["M"] * 7
    cells = [row.split(",") for row in rows]
    lines = [f".\\{file}\t{who}\t30\t{sex}".replace("/", "\\") for file, who, sex in cells]
    other = "\n".join(["path\tclient_id\tage\tgender", *lines])
    (root / "people.csv").write_text(other, encoding="utf-8-sig")
    again, _ = by_table(tmp_path, root)
    pd.testing.assert_frame_equal(utterances, again)


def test_rows_without_file_and_files_without_row_are_listed(tmp_path: Path):
    root = write_folder(tmp_path / "root")
    rows = write_table(root)
    soundfile.write(root / "stray.wav", noise(99), RATE)
    soundfile.write(tmp_path / "outside.wav", noise(98), RATE)
    (root / "old.mp3").write_bytes(b"x")
    lost = ("gone.wav", "stray.mp3", "../outside.wav", f"{tmp_path}/outside.wav", "old.mp3")
    more = [f"{name},spk00,F" for name in lost]
    bad = rows[0].replace("spk00,", "a b,")
    (root / "people.csv").write_text("\n".join(["file,speaker_id,sex", bad, *rows[1:], *more]))
    utterances, exclusions = by_table(tmp_path, root)
    assert len(utterances) == 23
    assert reasons(exclusions) == {
        "stray.wav": "no_table_row", "gone.wav": "missing_audio", "stray.mp3": "missing_audio",
        "old.mp3": "other_format",
        "../outside.wav": "outside_folder", f"{tmp_path}/outside.wav": "outside_folder",
        "spk00/day/take2.flac": "unsafe_name",
    }  # fmt: skip
    details = dict(zip(exclusions["path"], exclusions["detail"], strict=True))
    assert "row 26" in details["gone.wav"] and "(stray.wav is there); " in details["stray.mp3"]


@pytest.mark.parametrize(
    ("written", "is_outside"),
    [
        ("{stem}.mp3", False), ("DAY/{STEM}.WAV", False), ("{stem}", False),
        ("C:\\data\\{stem}.wav", True), ("file:///data/{stem}.wav", True),
    ],
)  # fmt: skip
def test_a_row_without_file_names_the_file_that_is_likely_meant(
    tmp_path: Path, written: str, is_outside: bool
):
    root = write_folder(tmp_path / "root")
    rows = write_table(root)
    soundfile.write(root / "spk00" / "only_one.wav", noise(99), RATE)
    lost = written.format(stem="only_one", STEM="ONLY_ONE")
    table = "\n".join(["file,speaker_id,sex", *rows, f"{lost},spk00,F"])
    (root / "people.csv").write_text(table)
    _, exclusions = by_table(tmp_path, root)
    reason = "outside_folder" if is_outside else "missing_audio"
    (detail,) = exclusions.loc[exclusions["reason"] == reason, "detail"]
    assert "(spk00/only_one.wav is there); write `file` like that" in detail
    (root / "people.csv").write_text(f"file,speaker_id\n{lost},spk00\n{lost}x,spk01\n")
    with pytest.raises(InputError, match=r"first .*row 2: .*only_one.wav is there"):
        by_table(tmp_path, root)


def test_one_recording_under_two_names_has_the_speaker_of_its_file(tmp_path: Path):
    """A link into another speaker's folder; a copy there cannot be told from its original."""
    root = write_folder(tmp_path / "root")
    (root / "spk00" / "aaa.wav").symlink_to(root / "spk01" / "take1.wav")
    (root / "spk02" / "copy.wav").write_bytes((root / "spk01" / "day" / "take2.flac").read_bytes())
    utterances, exclusions = run(tmp_path, root)
    assert len(utterances) == 24 and set(exclusions["reason"]) == {"duplicate"}
    details = dict(zip(exclusions["path"], exclusions["detail"], strict=True))
    assert "a link to a file that is listed as spk01/take1.wav" in details["spk00/aaa.wav"]
    assert "under another speaker; keep the one" in details["spk02/copy.wav"]


def test_a_second_microphone_is_no_second_utterance(tmp_path: Path):
    """VCTK records each sentence twice; the copy would lie in val where its twin is in train."""
    root = tmp_path / "root"
    for number, speaker in enumerate(SPEAKERS):
        (root / speaker).mkdir(parents=True)
        for take in (1, 2):
            for microphone in (1, 2) if number or take == 1 else (2,):
                wave = noise(100 * number + 10 * take + microphone)
                soundfile.write(root / speaker / f"{take}_mic{microphone}.flac", wave, RATE)
    utterances, exclusions = run(tmp_path, root)
    assert len(utterances) == 24 and set(exclusions["reason"]) == {"duplicate"}
    assert "spk00-2_mic2" in set(utterances["utterance_id"])  # the only one of its take
    assert exclusions["detail"].str.contains("by another microphone; keep one").all()
    assert exclusions["path"].str.endswith("_mic2.flac").all() and len(exclusions) == 23


def test_sentences_of_common_voice_may_hold_quotation_marks(tmp_path: Path):
    """Its TSV quotes nothing; a table program quotes everything. Both are read."""
    root = write_folder(tmp_path / "root")
    cells = [row.split(",") for row in write_table(root)]
    for mark, sentence in (("", '"Never, he said'), ("", 'a "b"'), ('"', "c")):
        lines = [
            "\t".join(f"{mark}{cell}{mark}" for cell in (who, file, sentence, "female_feminine"))
            for file, who, _ in cells
        ]
        (root / "people.csv").write_text("\n".join(["client_id\tpath\tsentence\tgender", *lines]))
        utterances, exclusions = by_table(tmp_path, root)
        assert len(utterances) == 24 and len(exclusions) == 0
        assert set(utterances["sex"]) == {"F"}


def test_unusable_files_are_listed_and_the_rest_is_used(tmp_path: Path):
    root = write_folder(tmp_path / "root")
    stereo = np.stack([noise(50), noise(51)], axis=1)
    bad = np.full(2 * RATE, np.nan)
    for name, wave, rate, subtype in (
        ("a_stereo.wav", stereo, RATE, "PCM_16"), ("b_nan.wav", bad, RATE, "FLOAT"),
        ("c_still.wav", np.zeros(2 * RATE), RATE, "PCM_16"), ("d_short.wav", noise(52, 0.5), RATE,
        "PCM_16"), ("e_rate.wav", noise(53), 44100, "PCM_16"),
        ("f_loud.wav", 1000 * noise(54), RATE, "FLOAT"),
    ):  # fmt: skip
        soundfile.write(root / "spk00" / name, wave, rate, subtype=subtype)
    (root / "spk00" / "g_empty.wav").write_bytes(b"")
    (root / "spk00" / "h_text.wav").write_text("no audio")
    (root / "spk00" / "i_cut.wav").write_bytes((root / "spk01" / "take1.wav").read_bytes()[:-99])
    soundfile.write(root / "misplaced.wav", noise(55), RATE)
    soundfile.write(root / "spk00" / "j.mp3", noise(56), RATE)
    utterances, exclusions = run(tmp_path, root)
    expected = {
        "a_stereo.wav": "mixed_down", "b_nan.wav": "not_finite", "c_still.wav": "silent",
        "d_short.wav": "too_short", "e_rate.wav": "wrong_rate", "f_loud.wav": "out_of_range",
        "g_empty.wav": "empty", "h_text.wav": "unreadable", "i_cut.wav": "truncated",
        "j.mp3": "other_format",
    }  # fmt: skip
    found = reasons(exclusions)
    assert found.pop("misplaced.wav") == "misplaced"
    assert found == {f"spk00/{name}": reason for name, reason in expected.items()}
    assert sum(exclusions["is_kept"].tolist()) == 1 and len(utterances) == 25
    assert all(detail and detail.isprintable() for detail in exclusions["detail"])
    mixed = next(a for a in indexed_audio(utterances) if a.audio_path.endswith("a_stereo.wav"))
    np.testing.assert_allclose(read_indexed(mixed)[0], stereo.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    "suffix", ["w64", "caf", "aifc", "spx", "3gp", "raw", "RAW", "amr", "webm"]
)
def test_audio_of_another_format_is_never_passed_over(tmp_path: Path, suffix: str):
    root = write_folder(tmp_path / "root")
    (root / "spk00" / f"x.{suffix}").write_bytes(b"x")
    _, exclusions = run(tmp_path, root)
    assert reasons(exclusions) == {f"spk00/x.{suffix}": "other_format"}
    assert exclusions["detail"].tolist()[0].endswith("; convert it")


def test_wav_of_every_kind_is_read_and_leftovers_of_macos_are_named(tmp_path: Path):
    """Extensible and RF64 headers, five channels, other names of the suffix, bytes at the end."""
    root = write_folder(tmp_path / "root")
    wave = noise(60)
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("a.wav", {"format": "WAVEX", "subtype": "PCM_24"}), ("b.wav", {"format": "RF64"}),
        ("c.WAV", {}), ("d.Wave", {"format": "WAV"}), ("e.wav", {"format": "WAV"}),
    )  # fmt: skip
    for name, more in kinds:
        wave = wave + 1e-3  # no two alike
        soundfile.write(root / "spk00" / name, wave, RATE, **more)
    five = np.random.default_rng(1).uniform(-0.3, 0.3, (2 * RATE, 5))
    soundfile.write(root / "spk00" / "f.wav", five, RATE)
    with (root / "spk00" / "e.wav").open("ab") as file:
        file.write(b"junk")
    (root / "spk00" / "._a.wav").write_bytes(b"\0\5\x16\7")
    utterances, exclusions = run(tmp_path, root)
    assert len(utterances) == 30
    assert reasons(exclusions) == {
        "spk00/._a.wav": "unsafe_name", "spk00/f.wav": "mixed_down",
    }  # fmt: skip
    assert exclusions["detail"].tolist()[0].endswith("; delete it")


def test_the_speaker_may_be_a_deeper_folder(tmp_path: Path):
    """As in LibriTTS, `train-clean-100/<speaker>/<chapter>`, and with its list of sexes."""
    root = tmp_path / "root"
    write_folder(root / "train-clean-100")
    lines = [f"{name}\t{'FM'[n % 2]}" for n, name in enumerate(SPEAKERS[:-1])]
    (root / "speakers.tsv").write_text("\n".join(["READER\tGENDER", *lines]))
    utterances, exclusions = run(tmp_path, root, speaker_level=2)
    assert set(utterances["speaker_id"]) == set(SPEAKERS)
    assert utterances.groupby("speaker_id")["sex"].first().tolist()[:3] == ["F", "M", "F"]
    assert exclusions["reason"].tolist() == ["no_speaker_entry"]
    with pytest.raises(
        InputError, match=r"all 24 files are of one speaker, train-clean-100.*level"
    ):
        run(tmp_path, root)


def edited(text: str) -> Callable[[Path], object]:
    return lambda root: (root / "people.csv").write_text(text)


def one_speaker(root: Path) -> None:
    (root / "people.csv").write_text("file,speaker_id\nspk00/take1.wav,a\nspk01/take1.wav,a\n")


ROW = "spk00/take1.wav,a,F\n"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no table": (lambda root: (root / "people.csv").unlink(), r"people\.csv: no such file; it"),
    "no column": (edited("file,speaker\n"), r"has no rows"),
    "no speaker column": (edited("file,who\na,b\n"), r"lacks the column speaker_id; add it"),
    "no file column": (edited("name,speaker_id\na,b\n"), r"lacks the column file"),
    "two columns in one": (edited("file,path,speaker_id\na,a,b\n"), r"'file' and 'path' are both"),
    "an empty cell": (edited("file,speaker_id\nspk00/take1.wav,\n"), r"row 2 has no speaker_id"),
    "too many cells": (edited(f"file,speaker_id\n{ROW}"), r"row 2 has 3 cells, the header "),
    "a file twice": (edited(f"file,speaker_id,sex\n{ROW}{ROW}"), r"row 3 lists .* again, row 2"),
    "two sexes": (edited(f"file,speaker_id,sex\n{ROW}spk01/take1.wav,a,M\nspk02/take1.wav,b,\n"),
                  r"row 3 gives speaker a another sex"),
    "two spellings": (edited("file,speaker_id\nspk00/take1.wav,a1\nspk01/take1.wav,a01\n"),
                      r"'a01' and 'a1' are one id"),
    "one speaker": (one_speaker, r"all 2 files are of one speaker, a; a split needs several"),
    "no row fits": (edited("file,speaker_id\nx.wav,a\ny.wav,b\n"), r"no audio .* relative to `ro"),
    "no text": (lambda root: (root / "people.csv").write_bytes(b"\xff\0"), "not UTF-8"),
    "an open quote": (edited('file,speaker_id\n"x,a\n'), r"not a readable CSV table \(row"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_table_is_one_line(tmp_path: Path, name: str):
    root = write_folder(tmp_path / "root")
    write_table(root)
    damage, message = FAULTS[name]
    damage(root)
    with pytest.raises(InputError, match=message) as caught:
        by_table(tmp_path, root)
    assert str(caught.value).isprintable()
    assert not (tmp_path / "utterances.parquet").exists()


def test_an_empty_folder_names_what_is_missing(tmp_path: Path):
    (tmp_path / "root").mkdir()
    with pytest.raises(
        InputError, match=r"no audio \(\.wav, \.flac\) in <speaker>/\*\* \(nothing\)"
    ):
        run(tmp_path, tmp_path / "root")
    with pytest.raises(InputError, match="no such folder"):
        run(tmp_path, tmp_path / "nowhere")


def test_wav_files_in_librispeechs_layout_name_the_layouts(tmp_path: Path):
    root = write_folder(tmp_path / "root")
    with pytest.raises(InputError, match=r"`layout: folders` or `layout: table`"):
        run(tmp_path, root, layout="librispeech")


@pytest.mark.parametrize(
    "changes",
    [{"layout": "table"}, {"layout": "folders", "table": "a.csv"}, {"table": "a.csv"},
     {"layout": "table", "table": "../a.csv"}, {"layout": "table", "table": "/a.csv"},
     {"layout": "folders", "speaker_level": 0}, {"layout": "other"}],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any]):
    section = {"kind": "directory", "root": "x", "minimum_duration_s": 1.0, "num_shards": 2}
    DirectoryCorpus.model_validate(section)
    with pytest.raises(ValueError, match=r"table|speaker_level|layout"):
        DirectoryCorpus.model_validate({**section, **changes})


def test_the_study_of_a_folder_names_what_it_runs_on():
    """Two overlays: that of arrays, and over it the folder and its codec."""
    config = parse_config(studies.study("arrays", "audio_folder"))
    corpus = config.corpora["speech"]
    assert isinstance(corpus, DirectoryCorpus) and corpus.layout == "folders"
    latents = config.representations.library["mel_pca"]
    assert isinstance(latents, CodecRepresentation) and latents.corpus == "speech"
    assert config.prediction.representations == ("mel_pca",)
