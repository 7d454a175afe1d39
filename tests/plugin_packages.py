"""The packages of docs/extend.md, put where Python finds them as pip would."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from engram_audio.provenance import ROOT

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
MODULES = dict(re.findall(r"`(\w+)\.py`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))


def entry_points() -> dict[str, dict[str, str]]:
    """Modules by name, by group."""
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return tomllib.loads(found.group(1))["project"]["entry-points"]


def shown_section(stage: str) -> dict[str, Any]:
    """The section of a library that the page shows for a stage."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    documents = [yaml.safe_load(block) for block in blocks]
    (library,) = [each[stage]["library"] for each in documents if stage in each]
    (section,) = library.values()
    return section


def install(site: Path, patch: pytest.MonkeyPatch) -> Path:
    """Install every package of the page into a folder; return it."""
    for group, names in entry_points().items():
        for name, module in names.items():
            info = site / f"{module}-0.1.dist-info"
            info.mkdir(parents=True)
            (site / f"{module}.py").write_text(MODULES[module])
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 0.1\n")
            (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
    patch.syspath_prepend(site)
    return site
