"""CPU seconds of each test file, child processes included: `pytest -p tests.costs ...`.

A clock of the machine would count what else runs on it. What test files share, such as the finished
study, has a line of its own.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

LIMIT_S = 20.0  # a fast file that takes more is slow, or too dear
NAME = "cpu_s"
BEGUN = pytest.StashKey[float]()
SHARED = pytest.StashKey[list[tuple[str, float]]]()  # fixtures of a session that a test has built
_spent: dict[str, float] = defaultdict(float)


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its ended children."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Note when a test begins; the last one of a file ends the file's fixtures too."""
    item.stash[BEGUN], item.stash[SHARED] = cpu_s(), []
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[Any]:
    """Count what a whole session shares apart from the test that needs it first."""
    begun = cpu_s()
    built = yield
    if fixturedef.scope == "session":
        shared = (f"shared: {fixturedef.argname}", cpu_s() - begun)
        request._pyfuncitem.stash[SHARED].append(shared)
    return built


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Write what a test has cost into the report of its end, which reaches the main process."""
    report = yield
    if report.when == "teardown":
        shared = item.stash[SHARED]
        own = cpu_s() - item.stash[BEGUN] - sum(seconds for _, seconds in shared)
        spent = [(item.nodeid.split("::")[0], own), *shared]
        report.user_properties = [*report.user_properties, (NAME, spent)]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up by file."""
    found: Any = dict(report.user_properties).get(NAME, ()) if report.when == "teardown" else ()
    for name, seconds in found:
        _spent[name] += seconds


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the files, the dearest first."""
    terminalreporter.section(
        f"CPU seconds by file (limit {LIMIT_S:g}), {sum(_spent.values()):.0f} in all"
    )
    for name, seconds in sorted(_spent.items(), key=lambda one: -one[1]):
        terminalreporter.line(f"{seconds:8.1f}  {name}")
