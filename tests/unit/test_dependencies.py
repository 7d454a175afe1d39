"""What is imported is declared, what is declared is used, and what is pinned is what runs here."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Used without an import of ours, and how.
USED_OTHERWISE = {
    "snakemake": "runs the workflow",
    "snakemake-executor-plugin-slurm": "is found by snakemake",
    "pygments": "is imported by snakemake --report",
    "mutmut": "is run by `make wide-net`",
    "tensorboard": "is imported by torch.utils.tensorboard",
    "torchaudio": "is imported by models of transformers, on a GPU",
}
TOOLS = {"pytest-timeout", "pytest-xdist", "ruff", "snakefmt", "pyright", "codespell"}
# Where the distribution is not installed, as it is optional: nothing tells whose module it is.
OPTIONAL = {"pesq": "pesq"}
# Of wheels that are pinned by hash and installed without what they ask for: envs/audio.txt.
EVALUATORS = {"moonshine-voice"}
OURS = {"engram-audio", "tests", "bench", "verify", "mutants"}


def declared(*groups: str) -> dict[str, Requirement]:
    """Requirements by name; without groups those that everybody installs."""
    lines = [*PROJECT["dependencies"]] if not groups else []
    lines += [line for group in groups for line in PROJECT["optional-dependencies"][group]]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def imported(*folders: str) -> set[str]:
    """Distributions that modules below these folders import, also inside functions."""
    modules: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    owners = importlib.metadata.packages_distributions()
    names = {owner for top in tops for owner in owners.get(top, [OPTIONAL.get(top, top)])}
    return {str(canonicalize_name(name)) for name in names} - OURS


def locked() -> dict[str, str]:
    text = (ROOT / "envs" / "lock.txt").read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version
        for name, version in re.findall(
            r"^([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", text, re.M
        )
    }


def pinned() -> dict[str, str]:
    environment = yaml.safe_load((ROOT / "envs" / "engram.yaml").read_text(encoding="utf-8"))
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    return {canonicalize_name(n): v for n, v in (line.split("==") for line in pip)}


def test_what_the_package_imports_is_declared():
    """Not by way of another package: `yaml` came with snakemake, and `PIL` with matplotlib."""
    extras = set(PROJECT["optional-dependencies"]) - {"dev"}
    assert imported("engram_audio") - EVALUATORS <= {*declared(), *declared(*extras)}
    pins = (ROOT / "envs" / "audio.txt").read_text(encoding="utf-8")
    assert all(f"\n{name}==" in pins for name in EVALUATORS)


def test_what_is_declared_is_used():
    extras = set(PROJECT["optional-dependencies"]) - {"dev"}
    assert {*declared(), *declared(*extras)} <= imported("engram_audio") | set(USED_OTHERWISE)


def test_tests_and_bench_import_what_they_may():
    known = {*declared(), *declared("dev"), "packaging"}  # packaging: of pytest itself
    assert imported("tests", "bench") <= known
    used = imported("tests", "bench", "engram_audio")
    assert set(declared("dev")) <= used | TOOLS


def test_the_conda_environment_pins_everything_that_is_installed_for_all():
    """And what optional codecs need, as far as it is there; no version outside what is allowed."""
    assert set(declared()) <= set(pinned())
    every = {**declared("dev"), **declared()}
    for name, version in pinned().items():
        assert version in every[name].specifier, (name, version)


def test_pins_and_lock_say_one_thing():
    lock = locked()
    text = (ROOT / "envs" / "lock.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len(lock) > 100 and "://" not in text
    assert "torch" not in lock
    assert {n: v for n, v in pinned().items() if n != "torch"}.items() <= lock.items()
    assert set(declared("dev")) | set(declared()) <= {*lock, "torch"}


def test_the_tests_run_with_what_is_pinned():
    """Versions here are those of the lock: `make lock` after an upgrade, and mend the pins."""
    head = (ROOT / "envs" / "lock.txt").read_text(encoding="utf-8").splitlines()[0]
    if "CPython {}.{},".format(*sys.version_info[:2]) not in head or sys.platform != "linux":
        pytest.skip(f"the lock is for another Python or machine: {head}")
    if not (Path(sys.prefix) / "locked").exists():
        pytest.skip("`make` could not install envs/lock.txt here, or did not make this environment")
    other = {}
    for name, version in {**locked(), **pinned()}.items():
        found = importlib.metadata.version(name).partition("+")[0]
        if found != version:
            other[name] = (version, found)
    assert not other, "pinned and found differ: run `make lock` and mend envs/engram.yaml"
