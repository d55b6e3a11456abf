"""A watch's stream, cut anywhere, and the errors in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ProtocolError

from espalier.kube import ApiError, UnreachableError, Watch


class Stream:
    """Stands for a response that is read as it comes."""

    closed = False

    def __init__(self, chunks: list[bytes | Exception]) -> None:
        self.chunks = chunks
        self.was_closed = False

    def stream(self, amount: int, decode_content: bool) -> Iterator[bytes]:
        del amount, decode_content
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.was_closed = True


def watch(*chunks: bytes | Exception) -> tuple[Watch, Stream]:
    stream = Stream(list(chunks))
    return Watch(cast(BaseHTTPResponse, stream), "https://here"), stream


def line(type_: str, **body: Any) -> bytes:
    return json.dumps({"type": type_, "object": body}).encode() + b"\n"


def test_changes_are_put_together_from_pieces() -> None:
    text = line("ADDED", n=1) + line("MODIFIED", n=2) + line("DELETED", n=3)
    for size in (1, 7, len(text)):
        found, stream = watch(*[text[i : i + size] for i in range(0, len(text), size)])
        assert [(event.type, event.object["n"]) for event in found] == [("ADDED", 1), ("MODIFIED", 2), ("DELETED", 3)]
        assert stream.was_closed


def test_a_version_that_is_too_old_is_an_error_of_the_api() -> None:
    found, stream = watch(line("ERROR", code=410, reason="Expired", message="too old"))
    with pytest.raises(ApiError, match="too old") as caught:
        list(found)
    assert caught.value.status == 410
    assert stream.was_closed


def test_a_broken_stream_says_which_server() -> None:
    found, _ = watch(line("ADDED", n=1), ProtocolError("connection broken"))
    with pytest.raises(UnreachableError, match="https://here does not answer"):
        list(found)


def test_what_comes_after_close_is_not_read() -> None:
    found, _ = watch(line("ADDED", n=1), b"\xad\x00 still encrypted\n")
    events = iter(found)
    assert next(events).type == "ADDED"
    found.close()
    assert list(events) == []
