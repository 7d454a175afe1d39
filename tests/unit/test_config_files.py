"""What a file says is what is taken: nothing given twice, no number in another base, one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engram_audio import config_files
from engram_audio.config import parse_config
from engram_audio.config_files import check_files, mistakes_of, typed
from engram_audio.errors import InputError
from tests.studies import study

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "studies" / "demo.yaml").read_text(encoding="utf-8")

# Text of a file, and the end of its one line.
MISTAKES = {
    "twice": ("a: 1\nb: 2\na: 3\n", "line 3: a is given twice, first in line 1; only the last"),
    "twice in a line": ("a: {b: 1, b: 2}\n", "line 1: a.b is given twice, first in line 1; only"),
    "twice by quotes": ('a: {b: 1}\n"a": 2\n', "line 2: a is given twice, first in line 1; only"),
    "deep": ("a:\n  - b: {}\n  - c:\n      d: 1\n      d: 1\n", "line 5: a.1.c.d is given twice"),
    "in an anchor": ("a: &x\n  b: 1\n  b: 2\nc: *x\n", "line 3: a.b is given twice, first in"),
    "beside a merge": ("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n  b: 3\n", "line 5: c.b is given tw"),
    "merged twice": ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x\n", "line 4: c.<< is given twice, fi"),
    "a template's keys": ("__use_yte__: true\n?if a: 1\n?if a: 2\n", "line 3: ?if a is given tw"),
    "octal": ("seeds: [1, 010]\n", "line 1: seeds.1: 010 is a number of base 8 in YAML; leave"),
    "octal, negative": ("a: -0_17\n", "line 1: a: -0_17 is a number of base 8 in YAML"),
    "sexagesimal": ("title: 12:30\n", "line 1: title: 12:30 is a number of base 60 in YAML; put"),
    "sexagesimal fraction": ("a: 1:30.5\n", "line 1: a: 1:30.5 is a number of base 60 in YAML"),
    "boolean key": ("a: {no: 1}\n", "line 1: the key a.no is read as bool, not as text"),
    "null key": ("~: 1\n", "line 1: the key ~ is read as null, not as text"),
    "number key": ("3: 1\n", "line 1: the key 3 is read as int, not as text"),
    "date key": ("2001-01-01: 1\n", "the key 2001-01-01 is read as timestamp, not as text"),
    "list key": ("? [a]\n: 1\n", "line 1: the key (no name) is read as seq, not as text"),
}
# Bytes of a file that is no map of YAML.
UNREADABLE = {
    "tab": (b"a:\n\tb: 1\n", "line 2: is no YAML (while scanning for the next token"),
    "unclosed": (b"a: [1\nb: 2\n", "line 2: is no YAML (while parsing a flow sequence"),
    "two documents": (b"a: 1\n---\nb: 2\n", "line 2: is no YAML (expected a single document"),
    "unknown alias": (b"a: *x\n", "line 1: is no YAML (found undefined alias"),
    "control character": (b'a: "\x01"\n', "is no YAML (unacceptable character"),
    "Latin-1": (b"a: \xe9\n", "byte 3 is not UTF-8; save the file as UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "byte 0 is not UTF-8; save the file as UTF-8"),
    "deep": (b"a: " + b"[" * 5000, "is nested too deeply to be read; flatten it"),
    "empty": (b"", "holds nothing; write lines of `key: value` at its top level"),
    "comment": (b"# a: 1\n", "holds nothing; write lines of `key: value` at its top level"),
    "list": (b"- a\n", "holds a list; write lines of `key: value` at its top level"),
    "text": (b"hello\n", "holds a text; write lines of `key: value` at its top level"),
}
CLEAN = {
    "override of a merge": "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3\n",
    "override before a merge": "a: &x {b: 1}\nd:\n  b: 3\n  <<: *x\n",
    "several merges": "a: &x {b: 1}\nc: &y {b: 2}\nd:\n  <<: [*x, *y]\n",
    "one name in two maps": "a: {b: 1}\nc: {b: 1}\n",
    "numbers": "a: [0, -0, 1_000, 0x1F, 0.5, 1.0e-3, 10]\n",
    "quoted": "a: ['010', \"12:30\", '2001-01-01', 'no']\n'no': 1\n",
    "a mark of byte order": "\ufeffa: 1\n",
    "laughs": "a0: &a0 [x, x]\n" + "".join(  # 2 ** 60 values: each node is looked at once
        f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60)
    ),
}  # fmt: skip


def written(folder: Path, content: str | bytes, name: str = "study.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_file_line_and_key(tmp_path: Path, case: str):
    text, expected = MISTAKES[case]
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        check_files([path, path])
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and expected in message
    assert "\n" not in message


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_is_no_map_is_one_line(tmp_path: Path, case: str):
    content, expected = UNREADABLE[case]
    with pytest.raises(InputError) as refused:
        mistakes_of(written(tmp_path, content))
    assert expected in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("case", CLEAN)
def test_what_yaml_takes_as_it_stands_passes(tmp_path: Path, case: str):
    assert mistakes_of(written(tmp_path, CLEAN[case])) == []


@pytest.mark.parametrize("case", [*MISTAKES, *CLEAN])
def test_the_fast_parser_says_what_pythons_own_says(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
):
    path = written(tmp_path, CLEAN.get(case) or MISTAKES[case][0])
    found = mistakes_of(path)
    monkeypatch.setattr(config_files, "FAST", yaml.SafeLoader)
    assert mistakes_of(path) == found


def test_json_may_be_indented_by_tabs_and_gives_no_key_twice(tmp_path: Path):
    text = '{\n\t"a": 1,\n\t"b": {"c": 1e-3,\n\t\t"c": 2}}'
    assert json.loads(text) == {"a": 1, "b": {"c": 2}}
    (mistake,) = mistakes_of(written(tmp_path, text))
    assert "line 4: b.c is given twice, first in line 3" in mistake
    assert mistakes_of(written(tmp_path, text.replace('"c": 2', '"d": 2'))) == []


def test_the_files_that_are_shipped_are_clean():
    folders = ("", "demo", "slurm", "studies", "envs", "tests", "tests/workflow")
    paths = [path for name in folders for path in sorted((ROOT / name).glob("*.yaml"))]
    assert len(paths) >= 5
    assert [mistake for path in paths for mistake in mistakes_of(path)] == []


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path):
    one = written(tmp_path, "a: 1\na: 2\nb: 010\n", "one.yaml")
    other = written(tmp_path, "c: 1\nc: 2\n", "other.yaml")
    with pytest.raises(InputError) as refused:
        check_files([one, other])
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        str(one), str(one), str(other),
    ]  # fmt: skip


def test_a_pipe_is_not_read_twice(tmp_path: Path):
    """A FIFO without a writer would never open."""
    os.mkfifo(tmp_path / "pipe")
    check_files([tmp_path / "pipe", tmp_path / "absent.yaml"])


def test_the_command_names_what_snakemake_cannot_read(tmp_path: Path):
    paths = [written(tmp_path, content, f"{n}.yaml") for n, (content, _) in
             enumerate(UNREADABLE.values())]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "engram_audio.config_files", *map(str, paths)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [str(p) for p in paths]


# As Snakemake parses `--config x=...`: scalars inside of a map or a list are text.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25), ("1", 1), ("-3", -3), ("1e-3", 1e-3), ("true", True), ("False", False),
        ("null", None), ("010", "010"), ("no", "no"), ("", ""), ("a.b", "a.b"), ("[1", "[1"),
        ("1_000", "1_000"), ("12:30", "12:30"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_text_of_the_command_line_is_what_json_says(text: str, value: Any):
    found = typed({"a": {"b": [text, {"c": text}]}})
    assert found == {"a": {"b": [value, {"c": value}]}}
    assert type(found["a"]["b"][0]) is type(value)


def test_what_snakemake_has_typed_stays():
    given = {"a": 1, "b": 0.5, "c": True, "d": None, "e": "text"}
    assert typed(given) == given


def demo_with(**changes: Any) -> dict[str, Any]:
    return {**study("demo"), **changes}


REPORT = study("demo")["report"]
# A section of the demo, and the one line that it earns.
VALUES: list[tuple[str, Any, str]] = [
    ("report", {**REPORT, "title": "\ud800"}, "report.title: holds U+D800, which no text may"),
    ("report", {**REPORT, "title": "x" * 99 + "\udfff"}, "report.title: holds U+DFFF, which no"),
    ("report", {**REPORT, "title": "a\0b"}, "report.title: holds U+0000, which no text may hold"),
    ("report", {**REPORT, "\udcff": 1}, "report.'\\udcff': holds U+DCFF, which no text may hold"),
    ("report", {**REPORT, "title": yaml.safe_load("2001-01-01")}, "report.title: found the date"),
    ("report", {**REPORT, "title": yaml.safe_load("!!binary eA==")}, "report.title: found a byt"),
    ("report", {**REPORT, "title": yaml.safe_load("!!set {a}")}, "report.title: found a set; use"),
    ("report", {**REPORT, "title": yaml.safe_load("no")}, "report.title: should be a(n) string, f"),
    ("report", {**REPORT, "title": 3}, "report.title: should be a(n) string, found 3 (put text in"),
    ("report", {**REPORT, "num_players": "1e-3"}, "report.num_players: should be a(n) integer"),
    ("report", {**REPORT, "player_duration_s": "1e1"}, "report.player_duration_s: should be a(n)"),
    ("report", {**REPORT, "player_duration_s": float("nan")}, "report.player_duration_s: should"),
    ("report", {**REPORT, True: 1}, "report.True: a key must be text, found True (yes, no, on"),
    ("report", {**REPORT, None: 1}, "report.None: a key must be text, found None; put it in quot"),
    ("report", {**REPORT, 1.5: 1}, "report.1.5: a key must be text, found 1.5; put it in quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "value", "expected"), VALUES)
def test_a_value_that_yaml_makes_something_else_of_is_one_short_line(
    section: str, value: Any, expected: str
):
    with pytest.raises(InputError) as refused:
        parse_config(demo_with(**{section: value}))
    message = str(refused.value)
    assert message.startswith(expected)
    assert "\n" not in message and len(message) < 250
    message.encode()


def test_characters_beyond_the_first_plane_pass():
    report = {**REPORT, "title": "\U0001f600 é"}
    assert parse_config(demo_with(report=report)).report.title == "\U0001f600 é"


@pytest.mark.parametrize("target", ["study", "cost", "doctor"])
def test_make_reads_a_configuration_before_snakemake_does(target: str):
    """Snakemake answers a file that it cannot read by a traceback, before any code of ours."""
    done = subprocess.run(
        # Inside of `make test` a second make would announce its folder.
        ["make", "-n", "--no-print-directory", target, "STUDY=a.yaml b.yaml"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()[-2:]
    assert lines[0].endswith("-m engram_audio.config_files a.yaml b.yaml")
    assert lines[1].rstrip().endswith("--configfile a.yaml b.yaml")
