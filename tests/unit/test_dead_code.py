"""The search for dead code finds what nothing uses and believes rules, not tests."""

from pathlib import Path

from tests.dead_code import dead_names, used_by_rules

MODULE = """
from pydantic import model_validator
LEFT_OVER = 3
class Settings:
    @model_validator(mode="after")
    def _check(self): return self
    def asked_by_a_rule(self): return Settings
    def asked_by_nobody(self): return 1
"""


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_only_what_neither_code_nor_rules_use_is_dead(tmp_path: Path):
    write(tmp_path, "package/settings.py", MODULE)
    write(tmp_path, "rules/stage.smk", "x = STUDY.asked_by_a_rule()")
    write(tmp_path, "tests/test_settings.py", "Settings().asked_by_nobody()")
    found = dead_names([tmp_path / "package"], used_by_rules(tmp_path))
    assert set(found) == {"LEFT_OVER", "asked_by_nobody"}
    assert found["LEFT_OVER"].endswith("settings.py:3")
