"""What the log of a job says about its failure."""

from pathlib import Path


def error_in(log: Path | None) -> str:
    """Return the line of a log that says what went wrong; "" where none does."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log else []
    except OSError:
        return ""
    errors = [line for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1]
    return lines[-1] if any(line.startswith("Traceback ") for line in lines) else ""
