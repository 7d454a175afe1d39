"""Write the JSON schema of the configuration, for editors and for the test that keeps it in step.

Usage: `python -m engram_audio.schema workflow_config.schema.json`
"""

import sys
from pathlib import Path

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.config import schema_text

if __name__ == "__main__":
    with atomic_path(Path(sys.argv[1])) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")
