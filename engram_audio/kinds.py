"""Kinds: settings whose class says which module behaves as they say.

A section of a library has a `kind`. Its class names a module of this package. The kind `plugin`
names an entry point of an installed package instead, which is a module or an object with `Settings`
and the functions that the stage calls (docs/extend.md). Either is imported by name, when it is
needed, so a step's code digest covers the kinds of its job and no others.
"""

import functools
import importlib
import importlib.metadata
import json
from typing import Any, ClassVar, Literal

from pydantic import Field, JsonValue, ValidationError

from engram_audio.choices import choices, require
from engram_audio.errors import InputError
from engram_audio.quantities import Text
from engram_audio.section import Section, SectionT


class Kind(Section):
    """A section of a kind that this package brings.

    Attributes:
        MODULE: Dotted name of the module that behaves as the section says.
    """

    MODULE: ClassVar[str]

    def behaviour(self) -> tuple[Any, Any]:
        """Return the module, and the settings that its functions take."""
        return importlib.import_module(self.MODULE), self

    def entry(self) -> importlib.metadata.EntryPoint | None:
        """Return the entry point of another package; None for a kind of this one."""
        return None

    def require_installed(self, key: str) -> None:
        """Refuse a plugin that no installed package offers.

        Args:
            key: The dotted name of the section.

        Raises:
            ValueError: Names the key and the plugins that there are.
        """


class Plugin(Kind):
    """A section of a kind that another package brings.

    Attributes:
        GROUP: Entry-point group.
        FUNCTIONS: What the entry point must have beside `Settings`.
    """

    GROUP: ClassVar[str]
    FUNCTIONS: ClassVar[tuple[str, ...]]

    kind: Literal["plugin"]
    plugin: Text = Field(
        description="Name in the stage's entry-point group of an installed package."
    )
    settings: dict[str, JsonValue] = Field(description="What the plugin's own settings take.")

    def __hash__(self) -> int:
        """Hash as what is written: a map of settings has no hash of its own."""
        return hash((self.plugin, json.dumps(self.settings, sort_keys=True)))

    def own(self, base: type[SectionT]) -> SectionT:
        """Return the plugin's own settings, which behave as a class of sections says.

        Raises:
            InputError: As `behaviour`, or its `Settings` is no such class.
        """
        return _own_settings(type(self), self.plugin, json.dumps(self.settings), base)

    @property
    def _subject(self) -> str:
        return f"{self.GROUP.rpartition('.')[2]} (kind plugin, {self.plugin})"

    def behaviour(self) -> tuple[Any, Any]:
        """Return the plugin, and its own settings.

        Raises:
            InputError: It is not installed, cannot be imported or refuses its settings.
        """
        entry = self.entry()
        try:
            plugin: Any = entry.load()
            for name in ("Settings", *self.FUNCTIONS):
                getattr(plugin, name)
        except Exception as error:  # whatever its import raises
            raise InputError(
                f"{self._subject}: {entry.value} cannot be imported, or lacks one of Settings, "
                f"{', '.join(self.FUNCTIONS)} ({type(error).__name__}: {error}); reinstall it"
            ) from error
        return plugin, self._validated(plugin.Settings)

    def _validated(self, model: Any) -> Any:
        try:
            return model.model_validate_json(json.dumps(self.settings))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(["settings", *map(str, first["loc"])])
            raise InputError(
                f"{self._subject}: {key}: {first['msg']}, found {first['input']!r}"
            ) from error

    def entry(self) -> importlib.metadata.EntryPoint:
        """Return the entry point.

        Raises:
            InputError: No installed package offers it, or more than one does.
        """
        entries = importlib.metadata.entry_points(group=self.GROUP, name=self.plugin)
        found = {entry.value: entry for entry in entries}
        if not found:
            raise InputError(
                f"{self._subject}: no installed package offers {self.plugin!r} in the entry-point "
                f"group {self.GROUP}; offered: {choices(self.plugin, self._offered())}"
            )
        if len(found) > 1:
            raise InputError(
                f"{self._subject}: is offered more than once ({', '.join(sorted(found))}); "
                "uninstall one"
            )
        return next(iter(found.values()))

    def require_installed(self, key: str) -> None:
        """See `Kind.require_installed`."""
        require(f"{key}.plugin", self.plugin, self._offered())

    def _offered(self) -> list[str]:
        entries = importlib.metadata.entry_points(group=self.GROUP)
        return sorted({entry.name for entry in entries})


@functools.cache
def _own_settings(kind: type[Plugin], plugin: str, settings: str, base: type[SectionT]) -> SectionT:
    """Load a plugin once: a key is asked for codes piece by piece."""
    section = kind(kind="plugin", plugin=plugin, settings=json.loads(settings))
    _, own = section.behaviour()
    if not isinstance(own, base):
        raise InputError(
            f"{section._subject}: its Settings is no {base.__module__}.{base.__name__}; make it one"
        )
    return own
