"""What goes wrong between an add-on's source and its objects."""

from __future__ import annotations

from collections.abc import Iterable

from espalier.types import Mistake


class SourceError(Exception):
    """One source cannot be had: what happened, and what to do about it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}. {do}")
        self.what = what
        self.do = do


class DigestError(SourceError):
    """What came is not what is pinned."""

    def __init__(self, where: str, got: str, wanted: str, do: str) -> None:
        self.got = got
        self.wanted = wanted
        super().__init__(f"{where} has the digest {got}; pinned is {wanted}", do)


class NoAnswerError(SourceError):
    """A server cannot be reached at all."""


class SourcesError(Exception):
    """The sources of one or more add-ons cannot be had; the others were fetched."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.text() for mistake in self.mistakes))


class HeldError(Exception):
    """The cluster is what the stack says but for add-ons whose content is not there."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(mistake.text() for mistake in self.mistakes))
