"""The layers of docs/architecture.md: who may import whom, and how large things may grow."""

import ast
import re
from pathlib import Path

import pytest

from engram_audio.provenance import ROOT, imported_modules, module_path

PACKAGE = ROOT / "engram_audio"
STAGES = (
    "corpus", "codecs", "latents", "calibration", "keys", "densities", "structure", "prediction",
    "factorizer", "comparison", "memory", "rollout", "audio_scores", "generation", "trust",
    "report",
)  # fmt: skip
# These stand on densities and never on each other. Only settings are checked against earlier
# stages, and plans ask earlier plans.
PEERS = {"prediction", "factorizer", "memory"}
GROUND_FLOOR = (
    "numerics",
    "stats",
    "windows",
    "errors",
    "section",
    "choices",
    "maps",
    "views",
    "quantities",
    "kinds",
)
BELOW_ALL = {*GROUND_FLOOR, "verdicts"}
MATHEMATICS = {*STAGES, "numerics", "stats", "training", "verdicts", "windows"} - {"codecs"}
FILE_MODULES = {"pathlib", "os", "shutil", "tempfile", "logging", "soundfile", "zarr", "pyarrow"}
# Formats that know no stage: codecs read their own fitted weights through them.
GROUND = {
    f"engram_audio.artifacts.{name}"
    for name in ("atomic", "bundle", "checksum", "digest", "json_document", "tensors")
}
# What a published table is: no format, so that stages may declare their own.
DECLARATIONS = "engram_audio.artifacts.columns"
SHARED_COLUMNS = "engram_audio.corpus.columns"
# Modules of a stage that its plan and later plans may ask.
ASKED_BY_PLANS = {
    "config", "cost_config", "plan", "sweep", "ladder", "fitted_config", "method_config", "demands",
    "names", "law_config",
}  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules_of(path: Path) -> set[str]:
    """Modules of the package that a module imports."""
    names = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in names if not _is_package(name)}


def _is_package(name: str) -> bool:
    return (ROOT / Path(*name.split("."))).is_dir()


def imports_of(path: Path) -> set[str]:
    """First names below `engram_audio` that a module imports."""
    modules = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    return {name.split(".")[1] for name in modules if "." in name}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path):
    """A stage imports itself and earlier stages; artifacts and steps are above, config beside."""
    own, imports = layer(path), imports_of(path)
    if own in STAGES:
        earlier = set(STAGES[: STAGES.index(own) + 1])
        if own in PEERS and path.name not in ("config.py", "plan.py"):
            earlier -= PEERS - {own}
        allowed = earlier | BELOW_ALL | ({"training"} if own != "corpus" else set())
        formats = {m for m in modules_of(path) if ".artifacts." in m} - {DECLARATIONS}
        assert imports <= allowed | {"artifacts"}
        assert not formats or own == "codecs", f"{path} imports {formats}"
    elif own == "numerics":
        assert imports <= {"numerics", "windows", "errors"}
    elif own in GROUND_FLOOR:
        assert imports <= {own, "choices", "errors", "quantities", "section"}
    elif own == "verdicts":
        assert imports <= {"verdicts", "artifacts"}
        assert {m for m in modules_of(path) if ".artifacts." in m} <= {DECLARATIONS}
    elif own == "training":
        assert imports <= {"training", "errors", "numerics", "quantities", "section", "stats"}
    elif own == "artifacts":
        assert not imports & {"steps", "config", "plan", "training", "report", "stats"}
    elif own == "steps":
        assert not imports & {"config", "plan", "schema"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_find_their_modules(path: Path):
    """A module that moved is found where it is: also by branches of a step that no test runs."""
    names = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name
    }
    assert [name for name in names if name and module_path(name) is None] == []


def test_plans_are_asked_by_rules_and_by_later_plans_only():
    """`<stage>/plan.py` computes nothing and is no part of what a step runs."""
    for path in MODULES:
        plans = {name for name in modules_of(path) if name.endswith(".plan")}
        asks = path.name == "plan.py" or path.name == "questions.py"
        assert asks or not plans, f"{path} imports {plans}"
        if path.name == "plan.py":
            stages = {name for name in modules_of(path) if name.split(".")[1] in STAGES}
            assert all(name.split(".")[-1] in ASKED_BY_PLANS for name in stages), path


def test_the_configuration_only_composes():
    """Settings and checks stand in their stages: `config.py` defines no model but the whole."""
    tree = ast.parse((PACKAGE / "config.py").read_text(encoding="utf-8"))
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert classes == ["PathvarsSection", "WorkflowConfig"]


def test_declarations_of_tables_know_no_format_and_no_stage():
    """`<stage>/columns.py` and what it declares with: no arrays, nothing of the rest.

    Columns of parts and choices stand in the first stage, because all others have them.
    """
    assert modules_of(PACKAGE / "artifacts" / "columns.py") == {"engram_audio.errors"}
    for path in MODULES:
        if path.name == "columns.py" and layer(path) in STAGES:
            own = {m for m in modules_of(path) if layer(path) in m}
            assert modules_of(path) - own - {SHARED_COLUMNS} == {DECLARATIONS}, path


def test_codecs_read_their_weights_through_formats_that_know_no_stage():
    """Codecs import the ground of artifacts only; the ground imports itself, errors and maps."""
    for path in MODULES:
        if layer(path) == "codecs":
            assert {m for m in modules_of(path) if ".artifacts." in m} <= GROUND, path
        if f"engram_audio.artifacts.{path.stem}" in GROUND and layer(path) == "artifacts":
            assert modules_of(path) <= GROUND | {"engram_audio.errors", "engram_audio.maps"}, path


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if layer(p) in MATHEMATICS],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_mathematics_opens_no_file(path: Path):
    """Mathematics neither imports file or logging modules nor calls open()."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & FILE_MODULES
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in calls


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_sizes_stay_readable(path: Path):
    """Files stay under 400 lines, functions under 80, packages hold a docstring only."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 400
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None and node.end_lineno - node.lineno <= 80, node.name
    if path.name == "__init__.py" and path.parent.name != "steps":  # runs before a step's imports
        assert len(tree.body) == 1
    assert path.name not in ("utils.py", "helpers.py", "misc.py", "common.py")


def test_every_step_has_a_rule_of_its_name():
    """Rule name = step module name, both ways; a rule without a command is a target.

    Rules of jobs with many members have names that `batches` gives them.
    """
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "rules").glob("*.smk")]
    blocks = [block for text in texts for block in text.split("\nrule ")[1:]]
    rules = {block.split(":")[0] for block in blocks if "\n    shell:" in block}
    steps = {p.stem for p in (PACKAGE / "steps").glob("*.py") if not p.stem.startswith("_")}
    assert rules == steps - {"run_members"}


def test_a_reader_who_follows_one_frame_opens_ten_files():
    """docs/architecture.md names them, and each is there."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## One frame, from its shard to the verdict")[1].split("\n## ")[0]
    files = re.findall(r"^\d+\. `([\w/]+\.py)`", section, re.MULTILINE)
    assert 5 <= len(files) <= 10
    assert all((ROOT / "engram_audio" / name).is_file() for name in files)
