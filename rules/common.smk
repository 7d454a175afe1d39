"""Wildcard constraints, the validated configuration and the functions that rules share."""

import functools
import os
from pathlib import Path

from humanfriendly import parse_timespan
import snakemake.common
import snakemake.rules
from snakemake.dag import DAG
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.output_index import OutputIndex
from snakemake.utils import update_config

from engram_audio import ancient_inputs, batches, config_files, exact_outputs, partitions, plan
from engram_audio import planning
from engram_audio import progress, quick_planning
from engram_audio import questions, start, stray_processes, user_files
from engram_audio import config as workflow_config
from engram_audio.artifacts.data_stamp import data_stamp
from engram_audio.artifacts.pinned import pinned_digests
from engram_audio.artifacts.registered import stamp
from engram_audio.corpus.plan import pattern
from engram_audio.corpus_checks import synthesized_roots
from engram_audio.errors import InputError
from engram_audio.planning import Needs, Planner
from engram_audio.rule_stages import stages_of_rules


wildcard_constraints:
    corpus=r"[a-z][a-z0-9_]*",
    codec=r"[a-z][a-z0-9_]*",
    representation=r"[a-z][a-z0-9_]*(--[a-z_]+)?",
    family=r"[a-z][a-z0-9_]*",
    shard=r"\d{3}",
    split_seed=r"\d+",
    subset=r"[a-z0-9-]+",


planning.let_jobs_import(HOME)
stray_processes.mark_jobs()
ancient_inputs.look_behind(DAG)
exact_outputs.ask_no_others(OutputIndex)
quick_planning.ask_parameters_once(snakemake.common, snakemake.rules)
quick_planning.collect_rarely()

# Jobs share cores: idle OpenMP threads must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

WRITTEN = (*start.WRITTEN, ".snakemake")
STAGES_OF_RULES = stages_of_rules(Path(HOME) / "rules")
RESULTS = Path(workflow.pathvars.apply("<results>"))
MODIFIER = workflow.modifier  # of rule names, where another workflow takes this one as a module
IS_MODULE = MODIFIER.parent_modifier is not None  # `is_module` is true of the main workflow too

# CPU analysis runs beside the driver, or on the profile's CPU partition: docs/cluster.md.
ANALYSIS_IS_LOCAL = os.environ.get("ENGRAM_ANALYSIS", "local") != "partition"


def rule_named(name: str):
    """Return a rule by its name here; as part of another workflow it may have another."""
    return workflow.get_rule(MODIFIER.modify_rulename(name))


try:
    config_files.check_files(workflow.overwrite_configfiles)
    if IS_MODULE:
        # Snakemake does not read the base of a module that is given a configuration.
        study = {}
        update_config(study, load_configfile(BASE))  # into copies: aliases of YAML share one map
        update_config(study, config)
    else:
        update_config(config, config_files.typed(workflow.config_settings.config))
        study = config
    PLAN = plan.Plan(workflow_config.parse_config(study))
    user_files.require_user_files(PLAN.config, PLAN.codecs.files_of_user)
    PLANNER = Planner(
        PLAN.document,
        rule_named,
        Path(workflow.pathvars.apply("<results>/config")),
        os.path.relpath(HOME),
        PLAN.code_of,
        lambda path: workflow.iocache.exists_local.update({path: True}),
    )
except InputError as error:
    raise StudyError(str(error)) from None


def begin():
    """What happens before the first job of a real run."""
    try:
        start.check_start(workflow, Path(HOME), RESULTS, synthesized_roots(PLAN.config.corpora))
        PLANNER.settle()
        stamp(RESULTS, PLAN.sections["decision"])
    except InputError as error:
        raise StudyError(str(error)) from None
    # It imports more than a job of the cluster should load.
    from engram_audio.cost.totals import seconds_of_jobs

    progress.show_stages(logger, workflow, STAGES_OF_RULES, seconds_of_jobs(workflow))


onstart:
    begin()


if IS_MODULE:
    # Snakemake calls the hooks of the main workflow only.
    workflow._onstart = start.after(workflow._onstart, begin)


onsuccess:
    # It imports more than a job of the cluster should load.
    from engram_audio import end_message

    for page in end_message.pages(workflow):
        logger.info("\n".join(["", *end_message.end_message(page)]))


onerror:
    logger.error('`make status`, with ARGS="the options of this run", says what failed and why.')


def growing(first: int | str):
    """Resource function: MB or a time such as "4h", times the number of the attempt."""
    amount = first if isinstance(first, int) else round(parse_timespan(first) / 60)  # minutes

    def asked(wildcards, attempt: int) -> int:
        return attempt * amount

    return asked


def settings(rule: str, step="", kinds=(), loads=None, data=None, facts=None, **sections):
    """Input function: the frozen file of a job of `rule`, with all that its step reads from it.

    `kinds` are the roles whose sections name a module that the step loads.
    """
    needs = Needs(rule, step or rule, sections, kinds, loads, data, facts or {})
    return frozen_of(needs)


def settings_as(original: str, rule: str):
    """Input function: the frozen file of a job of `rule`, with the needs of another rule's jobs."""
    return frozen_of(PLANNER.needs[original]._replace(rule=rule))


def frozen_of(needs: Needs):
    """Input function: the frozen file of a job with these needs."""
    PLANNER.needs[needs.rule] = needs

    def frozen(wildcards) -> str:
        try:
            return PLANNER.frozen_path(needs, wildcards)
        except InputError as error:
            raise WorkflowError(str(error)) from None

    return frozen


def files(wildcards, input, output) -> str:
    """The words of a step's command: each input and output by its name."""
    return planning.command_words(input, output)


def corpus_stamp(wildcards) -> dict[str, str]:
    """A stamp of a corpus of the user's own: a changed file is listed again.

    What a rule downloads changes by that rule, and its files are compared when they are read.
    """
    root = PLAN.corpus.user_root(wildcards.corpus)
    return {"files": user_stamp(root)} if root is not None else {}


def array_stamp(wildcards) -> dict[str, str]:
    """A stamp of a user's arrays and of their table."""
    row = PLAN.latents.arrays(wildcards.representation)
    return {"arrays": user_stamp(row.path), "table": user_stamp(row.table)}


@functools.cache  # one look at a folder for each plan, however many shards are made of it
def user_stamp(path: str) -> str:
    """A stamp of a user's files, without what this workflow writes below them."""
    return data_stamp(Path(path), [Path(workflow.pathvars.apply(name)) for name in WRITTEN])


@functools.cache
def pinned_weights(codec: str) -> dict[str, dict[str, str]]:
    """Digests of weights that a user's path names: pinned when they are first planned with."""
    record = Path(workflow.pathvars.apply(f"<results>/config/pinned/{codec}.json"))
    return {"weights": pinned_digests(record, PLAN.codecs.files_of_user(codec))}


def representation_weights(wildcards) -> dict[str, dict[str, str]]:
    """The same of the representation's codec."""
    return pinned_weights(PLAN.latents.codec_of(wildcards.representation))


def root_weights(wildcards) -> dict[str, dict[str, str]]:
    """Pinned digests of a compared codec's weights, where a user's path names them."""
    return pinned_weights(PLAN.comparison.root_codec(wildcards))


def batches_of_study() -> list:
    """All jobs that do what many jobs of one rule would; their rules belong to that one's stage."""
    walk = batches.Walk(workflow.rules, MODIFIER.modify_rulename, workflow.pathvars.apply)
    found = walk.batches(rule_named("all"), lambda rule: frozen_of(PLANNER.needs[rule]))
    STAGES_OF_RULES.update({one.name: STAGES_OF_RULES[one.rule] for one in found})
    return found


def once(places):
    """Input function: files that have to be there, and whose times count for nothing."""

    def found(wildcards) -> list[str]:
        return [ancient(path) for path in places(wildcards)]

    return found


def compared_structure(wildcards) -> str:
    """The published keys; stops a study that asks for codecs.csv and compares nothing."""
    try:
        return PLAN.comparison.structure_table()
    except InputError as error:
        raise WorkflowError(str(error)) from None
