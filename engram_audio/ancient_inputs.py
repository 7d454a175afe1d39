"""Mends how Snakemake plans what follows an `ancient` input.

Snakemake 9.27 looks for reasons to run a job again only where no job before it runs again: it takes
for granted that the job will follow. A job whose inputs from there are all ancient does not follow.
So a changed setting of that job was passed over in silence. Here such a job is looked at too.
"""

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def look_behind(dag_class: Any) -> None:
    """Let the plan look for reasons of jobs that stand behind ancient inputs only.

    Args:
        dag_class: `snakemake.dag.DAG`.
    """
    planned = dag_class.update_needrun
    if hasattr(planned, "__wrapped__"):  # by an earlier study in this process
        return

    @functools.wraps(planned)
    async def update_needrun(self: Any, *arguments: Any, **options: Any) -> None:
        self.bfs = followers  # what it asks, only there: which jobs need no look of their own
        try:
            await planned(self, *arguments, **options)
        finally:
            del self.bfs

    dag_class.update_needrun = update_needrun


def followers(depending: Mapping[Any, Mapping[Any, Iterable[Any]]], *jobs: Any) -> Iterator[Any]:
    """Yield some jobs, and every job that runs again because one of them does.

    Args:
        depending: Jobs that depend on a job, each with the files that it takes from it.
        jobs: Where to start.
    """
    queue = deque(jobs)
    visited = set(queue)
    while queue:
        job = queue.popleft()
        yield job
        for other, files in depending[job].items():
            if other not in visited and not all(file.is_ancient for file in files):
                queue.append(other)
                visited.add(other)
