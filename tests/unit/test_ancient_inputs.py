"""Which jobs run again because another one does: all behind it, but for ancient inputs.

Law: a job that does not follow by itself is asked for reasons of its own.
"""

from types import SimpleNamespace

from engram_audio.ancient_inputs import followers

OLD, NEW = SimpleNamespace(is_ancient=True), SimpleNamespace(is_ancient=False)
DEPENDING = {
    "check": {"extract": [OLD], "tables": [OLD, NEW]},
    "extract": {"score": [NEW]},
    "tables": {"score": [NEW]},
    "score": {},
}


def test_a_job_behind_ancient_inputs_only_does_not_follow():
    assert list(followers(DEPENDING, "check")) == ["check", "tables", "score"]


def test_every_job_follows_by_one_input_that_counts():
    assert set(followers(DEPENDING, "extract", "check")) == set(DEPENDING)
