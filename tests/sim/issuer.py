"""An OpenID Connect issuer of a test's own: it tells its public key by HTTPS, and signs what it is asked to."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

ALGORITHM = "ES256"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """`url` is its name in tokens, `ca` the PEM that its certificate is known by."""

    def __init__(self, scratch: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._certificate(scratch)
        answers = {"/.well-known/openid-configuration": self._discovery, "/keys": self._keys}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answers.get(self.path)
                body = json.dumps(found() if found else {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(scratch / "issuer.crt", scratch / "issuer.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def token(self, *, by: ec.EllipticCurvePrivateKey | None = None, **claims: Any) -> str:
        """A token that is right for an hour from now, but for `claims`; signed by its own key, or another's."""
        now = int(time.time())
        body = {"iss": self.url, "aud": "kubernetes", "iat": now - 60, "exp": now + 3600, "email_verified": True}
        head = {"alg": ALGORITHM, "typ": "JWT", "kid": "test"}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, {**body, **claims}))
        r, s = utils.decode_dss_signature((by or self.key).sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }

    def _keys(self) -> dict[str, Any]:
        point = self.key.public_key().public_numbers()
        x, y = (_text(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return {"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": "test", "x": x, "y": y}]}

    def _certificate(self, scratch: Path) -> str:
        now = datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer of a test")])
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(here, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        (scratch / "issuer.crt").write_bytes(pem)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (scratch / "issuer.key").write_bytes(self.key.private_bytes(serialization.Encoding.PEM, form, plain))
        return pem.decode()
