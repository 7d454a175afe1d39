"""A wide net: every comparison, sign, constant and `not` of some folders, changed one at a time."""

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from mutants.table import ROOT, Mutant

PACKAGE = "engram_audio"
# Folder of the package -> the fast tests that know it best.
TESTS = {
    "stats": ("test_stats_estimate", "test_stats_bootstrap", "test_stats_robust"),
    "verdicts": ("test_verdict_judge", "test_headline", "test_answers"),
    "keys": ("test_keys", "test_structure_kernels", "test_extended_keys"),
    "densities": ("test_prediction_linear", "test_prediction_heads", "test_ridge_mixture"),
}
SWAPPED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node with one operator or number changed; a `not` is dropped."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        new = copy.deepcopy(node)
        new.ops[0] = SWAPPED[type(node.ops[0])]()
        yield new
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPPED:
        new = copy.deepcopy(node)
        new.op = SWAPPED[type(node.op)]()
        yield new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        more: Any = node.value
        yield ast.copy_location(ast.Constant(more + 1), node)


def wide_mutants(folders: Sequence[str]) -> list[Mutant]:
    """Return every change of the modules below some folders of the package.

    Raises:
        ValueError: No tests are known for a folder.
    """
    found = []
    for folder in folders or TESTS:
        if folder not in TESTS:
            raise ValueError(f"{folder}: no tests are named for it; choose of {', '.join(TESTS)}")
        tests = tuple(f"tests/unit/{name}.py" for name in TESTS[folder])
        for path in sorted((ROOT / PACKAGE / folder).rglob("*.py")):
            name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
            nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.expr)]
            changes = ((node, new) for node in nodes for new in variants(node))
            for number, (node, new) in enumerate(changes):
                old = ast.get_source_segment(text, node) or ""
                line = text.splitlines()[node.lineno - 1]
                words = f"`{old}` -> `{ast.unparse(new)}`"
                changed = line.replace(old, f"({ast.unparse(new)})", 1)
                if "\n" in old or text.count(line) != 1 or line == changed:
                    continue  # a text that stands once is all that a mutant can name
                label = f"{folder}-{path.stem}-{node.lineno}-{number}"
                found.append(Mutant(label, folder, words, name, line, changed, tests))
    return list(itertools.chain(found))
