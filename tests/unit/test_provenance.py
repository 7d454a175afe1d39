"""Code digests follow mathematics, not prose; closures follow imports."""

import ast
import json

import pytest

from engram_audio import provenance


def digest_of(text: str) -> str:
    return ast.dump(provenance._without_docstrings(ast.parse(text)))


def test_comments_docstrings_and_layout_leave_the_digest():
    before = 'def f(x):\n    """Old."""\n    return x + 1\n'
    after = 'def f(x):\n    """New words."""\n\n    # why\n    return (x + 1)\n'
    assert digest_of(before) == digest_of(after)


def test_a_changed_constant_changes_the_digest():
    assert digest_of("x = 1") != digest_of("x = 2")


def test_the_closure_finds_imports_inside_functions_and_of_names():
    tree = ast.parse(
        "def f():\n    from engram_audio.artifacts import table\n"
        "from engram_audio.windows import delta\nimport numpy\n"
    )
    found = provenance.imported_modules(tree)
    assert "engram_audio.artifacts.table" in found
    assert "engram_audio.windows" in found
    assert all(name.startswith("engram_audio") for name in found)


def test_closure_reaches_through_modules():
    closure = provenance.import_closure(["engram_audio.artifacts.table"])
    assert "engram_audio.artifacts.atomic" in closure
    assert "engram_audio.config" not in closure


def test_a_module_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="not a module"):
        provenance.code_digest("engram_audio.nothing")


def test_canonical_json_is_one_text_for_one_value():
    assert provenance.canonical_json({"b": 1, "a": [1.0, 2]}) == '{"a":[1.0,2],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        provenance.canonical_json({"x": float("nan")})


def test_remembered_digests_equal_fresh_ones_and_stale_or_damaged_ones_do_not_count(
    tmp_path, monkeypatch
):
    """With a cache, with a lying cache, with a broken cache: the same digest."""
    cache = tmp_path / "cache" / "code_digests.json"
    monkeypatch.setattr(provenance, "CACHE", cache)

    def fresh() -> str:
        for function in (provenance._remembered, provenance._parsed, provenance.code_digest):
            function.cache_clear()
        return provenance.code_digest("engram_audio.artifacts.table")

    digest = fresh()
    assert cache.is_file() and fresh() == digest
    stale = {name: ["0" * 64, "f" * 64, []] for name in json.loads(cache.read_text())}
    for content in (json.dumps(stale), "{", "[]", json.dumps(dict.fromkeys(stale, 1))):
        cache.write_text(content)
        assert fresh() == digest
