"""What settings of SLURM arrays are let through: the plugin's own code then submits every job.

A little cluster offers jobs to the real plugin as Snakemake does: all that are ready, cut down by
`jobs`, by the rate and by a resource. Jobs end in a random order.
"""

import contextlib
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_executor_plugin_slurm import Executor

from engram_audio.cluster import array_rules, most_at_once, refuse_lossy_arrays
from engram_audio.errors import InputError

UNLIMITED = 10**9


@dataclass(eq=False)
class Job:
    """As much of a Snakemake job as the plugin and the check look at."""

    jobid: int
    rule: Any
    needs: list["Job"] = field(default_factory=list)
    gpus: int = 1
    is_local: bool = False
    group: str | None = None
    restart_times: int = 0

    @property
    def scheduler_resources(self) -> dict[str, int]:
        return {"gpu": self.gpus}

    def is_group(self) -> bool:
        return self.group is not None


def workflow_of(jobs: list[Job], arrays: str | None, slots: int = UNLIMITED, gpus: int = UNLIMITED,
                rate: int = UNLIMITED, span_s: float = 1.0, subsample: int | None = None,
                executor: str = "slurm") -> Any:  # fmt: skip
    """As much of a Snakemake workflow as the check looks at."""
    return SimpleNamespace(
        executor_plugin=SimpleNamespace(name=executor),
        executor_settings=SimpleNamespace(array_jobs=arrays),
        nodes=slots,
        scheduling_settings=SimpleNamespace(
            max_jobs_per_timespan=SimpleNamespace(max_jobs=rate, timespan=span_s),
            subsample=subsample,
        ),
        scheduler=SimpleNamespace(global_resources={"_nodes": slots, "gpu": gpus}),
        dag=SimpleNamespace(
            needrun_jobs=lambda: set(jobs),
            dependencies={job: dict.fromkeys(job.needs) for job in jobs},
        ),
    )


def never_submitted(workflow: Any, order: Random) -> int:
    """Run all jobs on the little cluster; return the number of those that the plugin has lost."""
    jobs = sorted(workflow.dag.needrun_jobs(), key=lambda job: job.jobid)
    waiting, queued, lost, done = list(jobs), [], [], set()
    slots, gpus = workflow.nodes, workflow.scheduler.global_resources["gpu"]
    plugin = SimpleNamespace(
        _main_event_loop=None, max_array_size=1000, array_jobs=array_rules(workflow),
        logger=SimpleNamespace(debug=lambda *_: None, warning=lambda *_: None),
        workflow=SimpleNamespace(dag=workflow.dag), _submit_job=queued.append,
        _submit_array_jobs=queued.extend,
    )  # fmt: skip
    while waiting or queued:
        ready = [job for job in waiting if done.issuperset(job.needs)]
        held = [*queued, *lost]
        free = gpus - sum(job.gpus for job in held)
        offered: list[Job] = []
        for job in ready[: workflow.scheduling_settings.subsample]:
            limit = min(
                slots - len(held), workflow.scheduling_settings.max_jobs_per_timespan.max_jobs
            )
            if len(offered) < limit and job.gpus <= free:
                offered.append(job)
                free -= job.gpus
        waiting = [job for job in waiting if job not in offered]
        workflow.dag.ready_jobs = set(ready) - set(offered)  # the offered ones count as running
        before = set(queued)
        Executor.run_jobs(plugin, offered)  # type: ignore[arg-type]
        lost += [job for job in offered if job not in queued or job in before]
        if not queued and not offered:
            break  # the driver waits for ever
        for _ in range(order.randint(0, len(queued))):
            done.add(queued.pop(order.randrange(len(queued))))
    return len(waiting) + len(lost)


def shards(number: int, rule: str = "extract_latents", **more: Any) -> list[Job]:
    """Independent jobs of one rule."""
    return [Job(place, SimpleNamespace(name=rule), **more) for place in range(number)]


def plan(order: Random) -> list[Job]:
    """Jobs of three rules, each in need of up to two of the earlier ones."""
    jobs: list[Job] = []
    for place in range(order.randint(1, 14)):
        needs = order.sample(jobs, min(len(jobs), order.randint(0, 2)))
        name = order.choice(["extract_latents", "add_noise", "train_codec"])
        jobs.append(Job(place, SimpleNamespace(name=name), needs, gpus=order.randint(0, 1)))
    return jobs


def test_the_little_cluster_loses_what_a_real_driver_lost():
    """Of 30 shards at ten a second 20 were submitted; of 24 with `--jobs 8` none."""
    order = Random(0)
    assert never_submitted(workflow_of(shards(30), "extract_latents", rate=10), order) == 10
    assert never_submitted(workflow_of(shards(24), "extract_latents", slots=8), order) == 24
    assert never_submitted(workflow_of(shards(24), None, slots=8, rate=3), order) == 0


@pytest.mark.parametrize("seed", range(20))
def test_settings_that_are_let_through_lose_no_job(seed: int):
    """A hundred plans under limits near their size: some are refused, and some let through."""
    order, let_through = Random(seed), 0
    for _ in range(100):
        limits: dict[str, Any] = {name: order.choice([order.randint(1, 14), UNLIMITED])
                  for name in ("slots", "gpus", "rate", "subsample")}  # fmt: skip
        arrays = order.choice(["all", "extract_latents", "extract_latents, add_noise"])
        workflow = workflow_of(plan(order), arrays, **limits)
        with contextlib.suppress(InputError):
            refuse_lossy_arrays(workflow)
            let_through += 1
            assert never_submitted(workflow, order) == 0
    assert 10 < let_through < 90


@pytest.mark.parametrize("seed", range(100))
def test_no_more_jobs_stand_ready_than_the_bound_says(seed: int):
    order = Random(seed)
    jobs = plan(order)
    bound = most_at_once(jobs, {job: job.needs for job in jobs})
    done: set[Job] = set()
    while len(done) < len(jobs):
        ready = [job for job in jobs if job not in done and done.issuperset(job.needs)]
        assert len(ready) <= bound <= len(jobs)
        done.update(order.sample(ready, order.randint(1, len(ready))))


def test_a_chain_is_one_job_at_a_time_and_shards_that_share_an_input_all_of_them():
    first, *others = shards(25)
    for job in others:
        job.needs.append(first)
    last = Job(25, SimpleNamespace(name="all"), others)
    jobs = [first, *others, last]
    assert most_at_once(jobs, {job: job.needs for job in jobs}) == 24
    chain = shards(9)
    assert most_at_once(chain, dict(zip(chain, [[], *([job] for job in chain)], strict=False))) == 1


@pytest.mark.parametrize(
    ("number", "settings", "names"),
    [
        (30, {"rate": 10}, "max-jobs-per-timespan 10/1s (allow at least 30/1s)"),
        (150, {"rate": 100}, "max-jobs-per-timespan 100/1s (allow at least 150/1s)"),
        (24, {"slots": 8}, "jobs 8 (allow at least 24, as many may be ready at a time)"),
        (24, {"gpus": 4}, "resources gpu=4 (allow at least 24, as all jobs need)"),
        (30, {"rate": 10, "slots": 9}, "timespan 10/1s (allow at least 30/1s), with jobs 9 (allow"),
        (24, {"subsample": 5}, "scheduler-subsample 5 (allow at least 24"),
    ],
)
@pytest.mark.parametrize("arrays", ["extract_latents", "all", "add_noise; extract_latents ,"])
def test_a_refusal_names_the_setting_and_the_least_that_is_allowed(
    number: int, settings: dict[str, Any], names: str, arrays: str
):
    with pytest.raises(InputError) as refused:
        refuse_lossy_arrays(workflow_of(shards(number), arrays, **settings))
    (line,) = str(refused.value).splitlines()
    assert names in line and "slurm-array-jobs" in line and "docs/cluster.md" in line


@pytest.mark.parametrize("number", [24, 99, 100])
def test_enough_room_and_snakemakes_own_rate_are_let_through(number: int):
    refuse_lossy_arrays(workflow_of(shards(number), "all", slots=number, gpus=number, rate=100))


def test_over_a_longer_time_each_try_counts():
    jobs = shards(24, restart_times=2)
    refuse_lossy_arrays(workflow_of(jobs, "all", rate=24, span_s=1.0))
    with pytest.raises(InputError, match="allow at least 72/60s"):
        refuse_lossy_arrays(workflow_of(jobs, "all", rate=24, span_s=60.0))


@pytest.mark.parametrize(
    ("jobs", "arrays", "executor"),
    [
        (shards(24), None, "slurm"),
        (shards(24), "", "slurm"),
        (shards(24), "make_surrogate", "slurm"),
        (shards(24), "all", "slurm-jobstep"),
        (shards(24), "all", "local"),
        (shards(24, is_local=True), "all", "slurm"),
        (shards(24, group="shards"), "all", "slurm"),
        (shards(2), "all", "slurm"),
    ],
)
def test_what_no_array_can_lose_is_let_through(jobs: list[Job], arrays: str | None, executor: str):
    """No array, no SLURM, jobs beside the driver, groups, and so few jobs that none is dropped."""
    refuse_lossy_arrays(workflow_of(jobs, arrays, slots=1, rate=1, executor=executor))
