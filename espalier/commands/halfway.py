"""What can be said of a stack file whose settings are wrong: names, add-ons' options, pools that are right themselves.

So that a misspelt accelerator is told of with the misspelt keys, and not at the next try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from espalier.addons import RECORDS
from espalier.blueprint.addon_rules import unreadable
from espalier.blueprint.pools import mistakes_of_pool, unknown_accelerator
from espalier.catalogue import Accelerator
from espalier.charts.place import Place
from espalier.settings.files import PREFIX
from espalier.settings.load import WrongSettingsError
from espalier.settings.pool import Pool
from espalier.types import Mistake, Mistakes


def all_mistakes(wrong: WrongSettingsError, place: Place) -> Mistakes:
    """The mistakes of the settings, and those of what could be read of them all the same, with their lines."""
    # Those of a file that is extended begin with its name.
    paths = [mistake.path[max(0, mistake.path.find(PREFIX)) :] for mistake in wrong.mistakes]
    try:
        found = [*_of_pools(wrong.values, place, paths), *_of_addons(wrong.values, place)]
    except Mistakes as error:  # of the catalogue's, or of a record of the folder's own
        found = list(error.mistakes)
    lines = wrong.lines
    further = (replace(one, line=one.line or lines.get(one.path)) for one in found if not _within(one.path, paths))
    return Mistakes([*wrong.mistakes, *further])


def _within(path: str, told: list[str]) -> bool:
    """Whether what a path names was told of already, or lies in such: what is there may be a secret."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in told)


def _of_pools(values: Mapping[str, Any], place: Place, wrong: list[str]) -> Iterator[Mistake]:
    known = place.catalogue().accelerators
    pools, cluster = values.get("pools"), values.get("cluster")
    kind = cast("Mapping[str, Any]", cluster).get("kind") if isinstance(cluster, Mapping) else None
    for index, pool in enumerate(cast("list[Any]", pools) if isinstance(pools, list) else []):
        path = f"espalier:pools[{index}]"
        told = any(_within(one, [path]) for one in wrong)
        yield from _of_pool(pool, path, known, "" if told or not isinstance(kind, str) else kind)


def _of_pool(pool: Any, path: str, known: Mapping[str, Accelerator], kind: str) -> list[Mistake]:
    """`kind` is the cluster's; "" where the pool's own block is wrong, so that its accelerator alone is judged."""
    if kind:
        try:
            return mistakes_of_pool(Pool.model_validate(pool), path, known, kind, reference=False)
        except ValidationError:
            pass
    name = cast("Mapping[str, Any]", pool).get("accelerator") if isinstance(pool, Mapping) else None
    return [unknown_accelerator(path, name, known)] if isinstance(name, str) and name not in known else []


def _of_addons(values: Mapping[str, Any], place: Place) -> list[Mistake]:
    addons = values.get("addons")
    named = cast("Mapping[str, Any]", addons) if isinstance(addons, Mapping) else {}
    wanted = {id: cast("Mapping[str, Any]", options) for id, options in named.items() if isinstance(options, Mapping)}
    return unreadable(wanted, place.records(RECORDS, wanted))
