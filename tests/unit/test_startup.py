"""What a step may import before it reads its arguments: start-up is paid once for every job."""

import gc
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import engram_audio.steps
from engram_audio.provenance import ROOT
from engram_audio.steps import _cli

STEPS = {path.stem for path in (ROOT / "engram_audio/steps").glob("[!_]*.py")}
NETWORKS = {
    "evaluate_audio", "evaluate_density", "evaluate_factorized", "evaluate_factorizer",
    "evaluate_generators", "evaluate_memory", "evaluate_nulls", "evaluate_rollout",
    "export_states", "fit_marginal", "fit_memory", "fit_ridge_mixture", "price_generators",
    "probe_generators",
    "reencode_generators", "render_resyntheses", "render_rollouts", "score_key_laws",
    *(step for step in STEPS if step.startswith(("train_", "tune_", "refit_"))),
}  # fmt: skip
FIGURES = {"render_report"}
TABLES = {
    "assign_shards", "check_splits", "decide", "download_librispeech", "index_corpus",
    "locate_corpus", "make_splits", "simulate_power",
    *(step for step in STEPS if step.startswith("tabulate_")),
}  # fmt: skip
LATENTS = STEPS - NETWORKS - FIGURES - TABLES
# Steps that read and write no table: from latents to latents, or to a document.
NO_TABLES = {"make_surrogate", "simulate_var", "summarize_latents"}
# Packages that take a start 0.05 s or more, and the steps that load them before they begin. What
# one branch of a step needs is imported in that branch.
MAY_LOAD: dict[str, set[str]] = {
    "torch": NETWORKS,
    "torch._dynamo": set(),
    "torch.utils.tensorboard": set(),
    "transformers": set(),
    "sympy": set(),
    "sklearn": set(),
    "scipy.stats": set(),
    "scipy.optimize": set(),
    "zarr": LATENTS | NETWORKS,
    "matplotlib": FIGURES,
    "jinja2": FIGURES,
}
# One process imports the steps that may load least. Its children go on from there, each with steps
# that may load more, so that what all share is imported once.
BRANCHES = ([LATENTS, NETWORKS], [FIGURES])
PROGRAM = """
import gc, importlib, os, sys
sys.argv = ["test"]
gc.disable()
def walk(steps):
    for step in steps:
        before = set(sys.modules)
        importlib.import_module("engram_audio.steps." + step)
        print(step, *(name for name in {names!r} if name in set(sys.modules) - before), flush=True)
walk({first!r})
for steps in {others!r}:
    if os.fork() == 0:
        walk(steps)
        os._exit(0)
    assert os.wait()[1] == 0, steps
"""


@pytest.fixture(scope="module")
def loaded() -> list[tuple[str, str]]:
    """Pairs of a step and a heavy package that its import was the first to load; ("step", "")."""
    others = [[step for group in branch for step in sorted(group)] for branch in BRANCHES]
    code = PROGRAM.format(names=sorted(MAY_LOAD), first=sorted(TABLES), others=others)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    return [(step, name) for step, *names in rows for name in ("", *names)]


def test_a_step_loads_no_package_that_it_has_no_use_for(loaded: list[tuple[str, str]]):
    """Tables, structure and speech start without torch, and nobody with what one branch needs."""
    assert {step for step, _ in loaded} == STEPS
    assert [pair for pair in loaded if pair[1] and pair[0] not in MAY_LOAD[pair[1]]] == []


def test_every_permission_is_used(loaded: list[tuple[str, str]]):
    """A package that no step loads any more is taken out of the permissions."""
    assert {name for _, name in loaded if name} == {name for name, who in MAY_LOAD.items() if who}


def test_a_step_without_tables_loads_none_of_their_packages():
    """A third of the start of a step that reads latents alone would be pandas and parquet."""
    imports = "\n".join(f"import engram_audio.steps.{step}" for step in sorted(NO_TABLES))
    code = f"import sys\n{imports}\nprint(*{{'pandas', 'pyarrow', 'scipy.fft'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == []


def test_a_starting_step_looks_for_no_garbage(tmp_path: Path):
    """The collector is off while `python -m` imports a step."""
    hook = "lambda event, a: event == 'import' and a[0] == 'pydantic' and print(gc.isenabled())"
    (tmp_path / "sitecustomize.py").write_text(f"import gc, sys\nsys.addaudithook({hook})\n")
    done = subprocess.run(
        [sys.executable, "-m", "engram_audio.steps.download_librispeech", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("False")


def test_importing_a_step_leaves_the_collector_as_it_is():
    """A test, or a program of yours, that imports a step collects garbage as before."""
    assert importlib.reload(engram_audio.steps) and gc.isenabled()


def test_a_step_that_runs_collects_garbage():
    """Cycles that a step makes are freed while it runs."""
    gc.disable()
    try:
        seen: list[bool] = []
        _cli.run(lambda: seen.append(gc.isenabled()))
        assert seen == [True]
    finally:
        gc.enable()
        gc.unfreeze()
