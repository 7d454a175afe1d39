"""What produced an artifact: code digests for reruns, a manifest for readers.

A digest covers the syntax trees of a step and of everything inside the package that it imports,
with docstrings and comments left out: a new comment reruns nothing, new mathematics reruns exactly
the steps that reach it. Modules that are loaded by name at run time (a codec adapter) are passed to
`code_digest` as further roots.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.maps import map_in

PACKAGE = "engram_audio"
ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / PACKAGE / "__pycache__" / "code_digests.json"
_NEW: dict[str, Any] = {}  # parsed by this process and not kept yet
RECORDED_PACKAGES = (
    "numpy", "scipy", "torch", "transformers", "zarr", "soundfile", "soxr",
    "ai-edge-litert", "espeakng-loader", "pocket-tts", "snakemake",
)  # fmt: skip


@functools.cache
def module_path(module: str) -> Path | None:
    """Return the source file of a dotted module name inside the package, or None."""
    base = ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                match node.body:
                    case [ast.Expr(value=ast.Constant()), *rest]:
                        node.body = rest
    return tree


def imported_modules(tree: ast.Module) -> set[str]:
    """Return the modules of this package that a syntax tree imports, wherever the import stands."""
    return {name for name in _imported_names(tree) if module_path(name)}


def _imported_names(tree: ast.Module) -> set[str]:
    """Return dotted names that an import may mean: modules, and names inside modules."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                found.update(f"{module}.{alias.name}" for alias in names)
                found.add(module)
    return {name for name in found if name.split(".")[0] == PACKAGE}


class _Source(NamedTuple):
    """One parsed source: digest of its bytes, digest of its code, package names it may import."""

    key: str
    code: str
    names: tuple[str, ...]


@functools.cache
def _remembered() -> dict[str, Any]:
    """Return what earlier processes parsed, by path inside the package."""
    return map_in(CACHE)


def _remember_new() -> None:
    """Keep parsed sources for later processes, where the folder is writable.

    An entry counts only for the bytes it was made of, so a stale one is never used.
    """
    _remembered().update(_NEW)
    _NEW.clear()
    with contextlib.suppress(OSError):
        CACHE.parent.mkdir(exist_ok=True)
        temporary = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
        temporary.write_text(json.dumps(_remembered()), encoding="utf-8")
        temporary.replace(CACHE)


@functools.cache
def _parsed(path: Path) -> _Source:
    content = path.read_bytes()
    # ast.dump differs between Python versions
    key = hashlib.sha256(platform.python_version().encode() + content).hexdigest()
    known = _remembered().get(str(path.relative_to(ROOT)))
    match known:
        case [str(found), str(code), [*names]] if found == key:
            return _Source(key, code, tuple(names))
    tree = ast.parse(content, filename=str(path))
    names = tuple(sorted(_imported_names(tree)))
    dump = ast.dump(_without_docstrings(tree))
    source = _Source(key, hashlib.sha256(dump.encode()).hexdigest(), names)
    _NEW[str(path.relative_to(ROOT))] = source
    return source


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
        queue.extend(name for name in _parsed(path).names if name not in seen and module_path(name))
    return sorted(seen)


@functools.cache
def code_digest(*modules: str) -> str:
    """Return the SHA-256 (16 hex digits) of the code that `modules` can reach in the package."""
    digest = hashlib.sha256()
    for module, one in module_digests(modules).items():
        digest.update(f"{module}:{one}\n".encode())
    if _NEW:
        _remember_new()
    return digest.hexdigest()[:16]


def module_digests(modules: Iterable[str]) -> dict[str, str]:
    """Return module -> SHA-256 of its code, for all that `modules` can reach, sorted by name."""
    paths = {module: module_path(module) for module in import_closure(modules)}
    return {module: _parsed(path).code for module, path in paths.items() if path is not None}


def foreign_digest(package: str) -> str:
    """Return the digest of another package's Python files, 16 hex digits; it is not imported.

    Args:
        package: Top-level package or module; where its source is not found, a digest of nothing.
    """
    spec = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    if spec is not None and not folders and str(spec.origin).endswith(".py"):
        files = [Path(str(spec.origin))]
    digest = hashlib.sha256()
    for path in files:
        tree = _without_docstrings(ast.parse(path.read_bytes(), filename=str(path)))
        digest.update(f"{path.name}:{ast.dump(tree)}\n".encode())
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


def manifest(
    step: str,
    settings: str,
    code: str,
    sections: dict[str, str],
    seed: int | None = None,
    identity: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return what every artifact carries about its making.

    Args:
        step: Name of the step module, for example `extract_latents`.
        settings: Name of the job's frozen file, `<rule>/<subject>.<digest>`.
        code: Digest of the code that ran.
        sections: Canonical JSON text of each configuration section the step read, by name.
        seed: Seed of the step's random numbers, if it draws any.
        identity: What the artifact is of: representation, lag, head, seed and the like, by name.

    Returns:
        A JSON-ready dict with `step`, `identity`, `settings`, `section_digests`, `code_digest`,
        `seed` and `packages`.
    """
    return {
        "step": step,
        "identity": identity or {},
        "settings": settings,
        "section_digests": {name: text_digest(text) for name, text in sorted(sections.items())},
        "code_digest": code,
        "seed": seed,
        "packages": package_versions(),
    }
