"""Seconds that a job of each rule takes, from the benchmark files of a finished study.

`python bench/rule_seconds.py RESULTS` writes rule_seconds.csv beside this file. A run uses the
ratios between rules to say how much time is left (`engram_audio/progress.py`). How fast a machine
is does not matter there.
"""

import csv
import datetime
import json
import platform
import sys
from collections import defaultdict
from pathlib import Path

from engram_audio.artifacts.published import list_benchmarks, read_benchmark
from engram_audio.report.timings import JobTiming, gather_timings

TARGET = Path(__file__).with_suffix(".csv")


def measured(results: Path) -> dict[str, float]:
    """Return the mean seconds of a job by rule.

    Args:
        results: Folder of a study whose page was rendered: its frozen file names the benchmarks.
    """
    frozen = max((results / "config" / "render_report").glob("*.json"), key=_age)
    facts = json.loads(frozen.read_text(encoding="utf-8"))["facts"]
    folder = Path(facts["benchmarks"])
    jobs = [
        JobTiming(path.as_posix(), *found)
        for path in list_benchmarks(folder)
        if (found := read_benchmark(path)) is not None
    ]
    table = gather_timings(facts["rule_benchmarks"], jobs)
    table = table.loc[(table["status"] == "ok") & ~table["rule"].str.startswith("(")]
    return dict(sorted(zip(table["rule"], table["total_s"] / table["num_jobs"], strict=True)))


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def main() -> None:
    """Measure and write. Later studies add rules that the earlier ones lack."""
    found: dict[str, float] = defaultdict(float)
    for results in map(Path, sys.argv[1:]):
        found.update({rule: s for rule, s in measured(results).items() if rule not in found})
    when = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    with TARGET.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {when}, {platform.machine()}, two cores: {' '.join(sys.argv[1:])}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rule", "seconds"])
        writer.writerows([rule, f"{seconds:.2f}"] for rule, seconds in sorted(found.items()))


if __name__ == "__main__":
    main()
