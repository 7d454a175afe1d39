"""`make why`: values that contain its own words, and files that somebody damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from engram_audio import provenance
from engram_audio.reruns import PLACES, changed_values, explain

TITLES = ("a now: b", "before: x now: y; ", "reason: z", "\nrule all:\n", " -> ", "é\u2028")


def content(title: str) -> dict[str, Any]:
    part = {"section": "report", "value": {"title": title}}
    places: dict[str, Any] = dict.fromkeys(PLACES, {})
    return {**places, "settings": {"section": [part]}, "code": {"digest": "d", "modules": []}}


def planned(folder: Path, before: str, now: str) -> str:
    """Frozen files of a job as it ran and as it is planned; what a dry run says of it."""
    rule = folder / "config" / "render_report"
    rule.mkdir(parents=True)
    (rule / f"all.{'0' * 16}.json").write_text(before)
    path = rule / f"all.{'1' * 16}.json"
    path.write_text(now)
    return f"rule render_report:\n    input: {path}\n    reason: Missing output files: r.html\n"


@pytest.mark.parametrize("title", TITLES)
def test_a_title_may_hold_any_words(tmp_path: Path, title: str):
    """The values are read from the files of the jobs, not from between words of a log."""
    text = planned(tmp_path, json.dumps(content(title)), json.dumps(content("new")))
    causes, jobs = explain(text)
    assert causes["value"] == [f'report.title: {json.dumps(title)} -> "new"']
    assert jobs == {"render_report": 1} and not causes["other"]
    line = next(changed_values({"title": title}, {"title": "new"}, "report"))
    assert "\n" not in line


@pytest.mark.parametrize("damaged", ["[]", "", "{", "null", "[" * 9000, '{"settings": {}}', "7"])
def test_a_damaged_file_is_named(tmp_path: Path, damaged: str):
    causes, _ = explain(planned(tmp_path, damaged, json.dumps(content("new"))))
    assert len(causes["other"]) == 1 and "is damaged; a real run writes it" in causes["other"][0]


@pytest.mark.parametrize("damaged", ["[]", "", "{", "[1]", '"x"'])
def test_damaged_digests_of_modules_are_no_digests(tmp_path: Path, damaged: str):
    before = content("same")
    before["code"] = {"digest": "old", "modules": []}
    text = planned(tmp_path, json.dumps(before), json.dumps(content("same")))
    (tmp_path / "config" / "code").mkdir()
    (tmp_path / "config" / "code" / "old.json").write_text(damaged)
    assert explain(text)[0]["code"] == ["render_report: some module that it uses"]


@pytest.mark.parametrize("entry", [[], [1], {}, None, "x", ["x", "y"], ["x", "y", [], 4]])
def test_a_damaged_cache_of_digests_is_passed_over(monkeypatch: pytest.MonkeyPatch, entry: object):
    path = provenance.ROOT / "engram_audio" / "errors.py"
    good = provenance._parsed.__wrapped__(path)
    if isinstance(entry, list) and entry:
        entry = [good.key, *entry[1:]]
    remembered = {str(path.relative_to(provenance.ROOT)): entry}
    monkeypatch.setattr(provenance, "_remembered", lambda: remembered)
    assert provenance._parsed.__wrapped__(path) == good
