"""Stands between a client and an API server and does it harm, as a test says.

`HttpProxy` speaks plain HTTP to the client and sees each request: it counts, delays, answers itself, cuts before or
after the API server has done what was asked, or lets the test act in between. `BytePipe` passes TLS through and cuts
connections after so many bytes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

import urllib3
import yaml
from urllib3.exceptions import HTTPError

from espalier.kube import Kubeconfig

_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Asked:
    """One request, numbered from 1."""

    number: int
    method: str
    path: str

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def watches(self) -> bool:
        return "watch=true" in self.path

    def __str__(self) -> str:
        return f"{self.number} {self.method} {self.path}"


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What is done to one request."""

    delay: float = 0.0
    """Seconds before anything else."""
    answer: tuple[int, Mapping[str, str], bytes] | None = None
    """The proxy answers itself: the API server never hears of it."""
    cut: Literal["", "before", "after", "middle"] = ""
    """The connection is reset before the request is passed on, after it was done, or in the middle of the answer."""
    act: Callable[[], None] | None = None
    """Called in the place of the cut, or before the request is passed on."""


NONE = Harm()


def refusal(status: int, reason: str, **headers: str) -> Harm:
    """The answer of an API server in trouble."""
    body = {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": reason, "code": status}
    found = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return Harm(answer=(status, found, json.dumps(body).encode()))


class HttpProxy(ThreadingHTTPServer):
    """A proxy for the API server of a kubeconfig; `harm` may be set at any time."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.harm: Callable[[Asked], Harm] = lambda _: NONE
        self.asked: list[Asked] = []
        self.upstream = _upstream(Kubeconfig.load(kubeconfig), folder)
        self.kubeconfig = folder / f"proxy-{self.server_port}.kubeconfig"
        self.kubeconfig.write_text(_plain_kubeconfig(f"http://127.0.0.1:{self.server_port}"))
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.cut_all()
        self.server_close()
        self._thread.join()
        self.upstream.close()

    def reset(self, harm: Callable[[Asked], Harm] = lambda _: NONE) -> None:
        """Counts from 1 again, and does other harm."""
        with self._lock:
            self.asked, self.harm = [], harm

    def meet(self, method: str, path: str) -> Harm:
        """Notes a request and says what is done to it."""
        with self._lock:
            asked = Asked(len(self.asked) + 1, method, path)
            self.asked.append(asked)
            return self.harm(asked)

    def cut_all(self) -> None:
        """Resets all connections at once, watches as well."""
        with self._lock:
            for each in list(self._sockets):
                _reset(each)

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets.add(accepted)
        return accepted, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or that was cut off, is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    @property
    def proxy(self) -> HttpProxy:
        return cast(HttpProxy, self.server)

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        harm = self.proxy.meet(self.command, self.path)
        if harm.delay:
            time.sleep(harm.delay)
        if harm.cut == "before" or (harm.act and not harm.cut):
            self._act(harm)
        if harm.cut == "before":
            return self._cut()
        if harm.answer is not None:
            return self._answer(*harm.answer)
        try:
            return self._forward(body, harm)
        except (HTTPError, OSError):
            # The API server is gone: so is the connection.
            return self._cut()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815 - the library's names

    def _forward(self, body: bytes, harm: Harm) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        streamed = "watch=true" in self.path
        response = self.proxy.upstream.urlopen(
            self.command,
            self.path,
            body=body or None,
            headers=headers,
            retries=False,
            preload_content=not streamed,
            timeout=urllib3.Timeout(connect=5, read=None if streamed else 70),
        )
        if harm.cut == "after":
            self._act(harm)
            return self._cut()
        kept = {key: value for key, value in response.headers.items() if key.lower() not in _HOP}
        if streamed:
            return self._stream(response, kept)
        return self._answer(response.status, kept, response.data, half=harm.cut == "middle")

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, *, half: bool = False) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()
        if half:
            self._cut()

    def _stream(self, response: urllib3.BaseHTTPResponse, headers: Mapping[str, str]) -> None:
        self._head(response.status, {**headers, "Transfer-Encoding": "chunked"})
        self.wfile.flush()
        try:
            for chunk in response.stream(1 << 16):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            response.close()

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def _act(self, harm: Harm) -> None:
        if harm.act is not None:
            harm.act()

    def _cut(self) -> None:
        self.close_connection = True
        _reset(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def _reset(connection: socket.socket) -> None:
    """Ends a connection by RST: no farewell, what is on its way is lost."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _plain_kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        }
    )


def _upstream(config: Kubeconfig, folder: Path) -> urllib3.HTTPSConnectionPool:
    context = ssl.create_default_context(cadata=config.ca)
    pair = folder / "proxy.pem"
    pair.write_text(f"{config.certificate}\n{config.key}")
    context.load_cert_chain(pair)
    parts = urlsplit(config.server)
    return urllib3.HTTPSConnectionPool(parts.hostname or "", parts.port, ssl_context=context, maxsize=64)


@dataclass
class BytePipe:
    """Passes bytes to the API server of a kubeconfig and cuts each connection where `limit` says.

    `limit` gives for the n-th connection (from 1) after how many bytes of answers it is reset; 0 for never.
    """

    source: Path
    folder: Path
    limit: Callable[[int], int] = lambda _: 0
    connections: int = 0
    cuts: int = 0
    kubeconfig: Path = field(init=False)
    _listener: socket.socket = field(init=False)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port = self._listener.getsockname()[1]
        server = Kubeconfig.load(self.source).server
        self.kubeconfig = self.folder / f"pipe-{port}.kubeconfig"
        self.kubeconfig.write_text(self.source.read_text().replace(server, f"https://127.0.0.1:{port}"))
        self._upstream = urlsplit(server).port or 443
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                return
            self.connections += 1
            limit = self.limit(self.connections)
            for pair, most in (((client, server), 0), ((server, client), limit)):
                threading.Thread(target=self._pump, args=(*pair, most), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, most: int) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if most and passed + len(data) > most:
                    sink.sendall(data[: most - passed])
                    self.cuts += 1
                    break
                sink.sendall(data)
                passed += len(data)
        _reset(source)
        _reset(sink)
