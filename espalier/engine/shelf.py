"""Plain objects that a program lays down for the engine in its own process, past Pulumi's SDK.

The SDK takes about 10 us for each value of a registration, there and back. The definitions of a whole platform are half
a million values without an Output among them: five seconds, which add nothing. Such an object is laid down here, and
registered by its name with a word for the rest; a recording holds it as if all had been registered.

Only a program that neither reads nor transforms what it registers is lent a shelf: the one that comes with Espalier.
For any other, and for Pulumi's own engine, which runs in another process, all goes the SDK's way.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from espalier.engine.values import Json, Plain, as_sent

WORD: Final = "espalier:shelved"
"""The input that says where the rest lies; it is in no recording."""
_REGISTERED: Final = ("apiVersion", "kind", "metadata")


class Shelf:
    """What the objects of one run consist of, besides their names."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, Json]] = {}
        self._numbers = itertools.count()

    def put(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Lays an object down; gives what is to be registered of it."""
        word = str(next(self._numbers))
        rest = as_sent({key: value for key, value in manifest.items() if key not in _REGISTERED and value is not None})
        self._parts[word] = {key: Plain(value) if isinstance(value, dict) else value for key, value in rest.items()}
        return {key: manifest[key] for key in _REGISTERED if key in manifest} | {WORD: word}

    def whole(self, inputs: dict[str, Json]) -> dict[str, Json]:
        """The inputs of a registration, with what lies here where they hold a word for it."""
        if WORD not in inputs:
            return inputs
        return self._parts[inputs.pop(WORD)] | inputs


_SHELF: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


def lend(shelf: Shelf) -> None:
    """Gives a shelf to all that runs in this context."""
    _SHELF.set(shelf)


def shelved(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What to register of a plain object: all of it, or less where a shelf is lent."""
    shelf = _SHELF.get()
    return dict(manifest) if shelf is None else shelf.put(manifest)
