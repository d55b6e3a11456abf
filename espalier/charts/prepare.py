"""From settings to the blueprint, with all content rendered: what the command and the program both call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path

from espalier.blueprint import Blueprint, build
from espalier.blueprint.addon_rules import existing_version
from espalier.blueprint.build import addons_of, inputs_of
from espalier.charts.place import Place
from espalier.content import Contents, Recorded
from espalier.settings import Settings
from espalier.types import AddonInputs, AddonRecord, Mistake, Mistakes

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """Progress that nobody waits for."""


_DECIDED: ContextVar[tuple[Place, Blueprint] | None] = ContextVar("decided", default=None)


def decide(place: Place, blueprint: Blueprint) -> None:
    """Has a blueprint hold, for the settings that it was built from, for all that runs in this context."""
    _DECIDED.set((place, blueprint))


def blueprint_of(
    settings: Settings, records: Mapping[str, AddonRecord], place: Place, progress: Progress = silent
) -> Blueprint:
    """The blueprint with the content of its add-ons, from the cache alone: nothing is fetched.

    It is built once: a program that a command runs is given the one that the command has built. An add-on whose
    content is not there is held up, not refused. Raises Mistakes with all that the sources and the
    blueprint rule out, and MissingToolError and SimError where the renderer cannot be built.
    """
    decided = _DECIDED.get()
    if decided and decided[0] == place and decided[1].settings == settings:
        return decided[1]
    contents, mistakes = contents_of(settings, records, place, progress)
    try:
        blueprint = build(settings, records, contents, place.catalogue())
    except Mistakes as error:
        raise Mistakes([*mistakes, *error.mistakes]) from None
    if mistakes:
        raise Mistakes(mistakes)
    return blueprint


def contents_of(
    settings: Settings, records: Mapping[str, AddonRecord], place: Place, progress: Progress = silent
) -> tuple[Contents, list[Mistake]]:
    """The content of each add-on of the stack that has any, and what is wrong with it."""
    wanted = with_content(settings, records, place)
    if not wanted:
        return {}, []
    from espalier.charts.stage import Stage  # a stack without charts imports none of it

    return Stage.of(settings, place).contents(wanted, progress)


def with_content(
    settings: Settings, records: Mapping[str, AddonRecord], place: Place
) -> dict[str, tuple[AddonRecord, AddonInputs]]:
    """The add-ons of a stack that are rendered, with what they are computed from; those with mistakes are left out."""
    known = place.catalogue()
    found: dict[str, tuple[AddonRecord, AddonInputs]] = {}
    for id, options in sorted(addons_of(settings, records).items()):
        record = records.get(id)
        if record is not None and record.content is not None and not existing_version(options):
            inputs = inputs_of(settings, record, records, known)
            if inputs is not None:
                found[id] = (record, inputs)
    return found


def cache_folder(settings: Settings, place: Place) -> Path:
    """Where fetched content lies: as the stack says, else in the user's cache."""
    from espalier.charts.cache import default_folder

    named = settings.sources.cache
    return place.folder / Path(named).expanduser() if named else default_folder()


def recorded(why: str, do: str, record: AddonRecord) -> Recorded:
    """Content that is not there, with what its record knows of it."""
    facts = record.content.facts if record.content else None
    return Recorded(why, do, facts) if facts else Recorded(why, do)
