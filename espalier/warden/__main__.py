"""Starts the warden: `python -m espalier.warden`, in a pod, or beside a cluster with a certificate of its own."""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

from espalier.warden.api import Api, Server
from espalier.warden.loop import Warden

_STUCK_SECONDS = 120.0
# Four requests that each run out of time.


def main(words: list[str]) -> int:
    """Runs until it is asked to end."""
    parser = argparse.ArgumentParser("espalier.warden")
    parser.add_argument("--namespace", default="espalier-warden")
    parser.add_argument("--listen", default=":8080", help="where the health check is served")
    parser.add_argument("--server", help="host:port of the API server; default: the pod's own")
    parser.add_argument("--pki", type=Path, help="directory with ca.crt, warden.crt and warden.key, for --server")
    args = parser.parse_args(words)
    if args.server:
        host, _, port = args.server.rpartition(":")
        pair = (args.pki / "warden.crt", args.pki / "warden.key")
        server = Server(host, int(port), args.pki / "ca.crt", certificate=pair)
    else:
        server = Server.within(os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    warden = Warden(Api(server), args.namespace, f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}", _tell)
    host, _, port = args.listen.rpartition(":")
    health = http.server.ThreadingHTTPServer((host, int(port)), _handler(warden))
    threading.Thread(target=health.serve_forever, daemon=True).start()
    warden.run(stop)
    health.shutdown()
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")
    sys.stdout.flush()


def _handler(warden: Warden) -> type[http.server.BaseHTTPRequestHandler]:
    class Health(http.server.BaseHTTPRequestHandler):
        """Well while the loop comes round; whether it leads is no matter of health."""

        def do_GET(self) -> None:
            late = time.monotonic() - warden.beat
            self.send_response(200 if late < _STUCK_SECONDS else 503)
            self.end_headers()
            self.wfile.write(f"came round {late:.0f} s ago\n".encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a probe every few seconds is no news."""

    return Health


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
