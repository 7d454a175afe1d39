"""What produced an artifact: code digests for reruns, a manifest for readers.

A digest covers the syntax trees of a step and of everything inside the package that it imports,
with docstrings and comments left out: a new comment reruns nothing, new mathematics reruns exactly
the steps that reach it. Modules that are loaded by name at run time (a codec adapter) are passed to
`code_digest` as further roots.
"""

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGE = "engram_audio"
ROOT = Path(__file__).resolve().parent.parent
RECORDED_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "torch", "transformers", "zarr", "soundfile", "soxr",
    "ai-edge-litert", "espeakng-loader", "snakemake",
)  # fmt: skip


def module_path(module: str) -> Path | None:
    """Return the source file of a dotted module name inside the package, or None."""
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:]
    return tree


def imported_modules(tree: ast.Module) -> set[str]:
    """Return the modules of this package that a syntax tree imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        found |= {n for n in names if n.split(".")[0] == PACKAGE and module_path(n)}
    return found


@functools.cache
def _parsed(path: Path) -> tuple[str, frozenset[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imports = frozenset(imported_modules(tree))
    dump = ast.dump(_without_docstrings(tree))
    return hashlib.sha256(dump.encode()).hexdigest(), imports


def import_closure(modules: Iterable[str]) -> list[str]:
    """Return the sorted names of all package modules reachable from `modules`."""
    seen: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        path = module_path(module)
        if path is None:
            raise ValueError(f"{module} is not a module of {PACKAGE}")
        seen.add(module)
        queue.extend(_parsed(path)[1] - seen)
    return sorted(seen)


@functools.cache
def code_digest(*modules: str) -> str:
    """Return the SHA-256 (16 hex digits) of the code that `modules` can reach in the package."""
    digest = hashlib.sha256()
    for module in import_closure(modules):
        path = module_path(module)
        assert path is not None
        digest.update(f"{module}:{_parsed(path)[0]}\n".encode())
    return digest.hexdigest()[:16]


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spare blanks; NaN and infinity are refused."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def text_digest(text: str) -> str:
    """Return the SHA-256 (16 hex digits) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers, and of Python."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def manifest(step: str, sections: dict[str, str], seed: int | None = None) -> dict[str, Any]:
    """Return what every artifact carries about its making.

    Args:
        step: Name of the step module, for example `extract_latents`.
        sections: Canonical JSON text of each configuration section the step read, by name.
        seed: Seed of the step's random numbers, if it draws any.

    Returns:
        A JSON-ready dict with `step`, `section_digests`, `code_digest`, `seed` and `packages`.
    """
    return {
        "step": step,
        "section_digests": {name: text_digest(text) for name, text in sorted(sections.items())},
        "code_digest": code_digest(f"{PACKAGE}.steps.{step}"),
        "seed": seed,
        "packages": package_versions(),
    }
