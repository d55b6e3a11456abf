"""The certificates of one simulated cluster: a CA each for Kubernetes, etcd, the aggregation layer.

Every key is made on this machine, readable by its user only, and removed with the cluster.
"""

import ipaddress
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=365)
# A clock that is set back a little must not make a fresh certificate invalid.
_BACKDATED = timedelta(minutes=5)

_SERVICE_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_LOCAL = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class _Leaf:
    """One certificate to issue: file name, CA, subject, and the names it serves (none: a client only)."""

    file: str
    ca: str
    user: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def _leaves(service_ip: str) -> tuple[_Leaf, ...]:
    api_names = (*_LOCAL, *_SERVICE_NAMES, "kubernetes.default.svc.cluster.local", service_ip)
    return (
        _Leaf("etcd", "etcd-ca", "etcd", names=_LOCAL),
        _Leaf("etcd-client", "etcd-ca", "kube-apiserver"),
        _Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
        _Leaf("kube-apiserver", "ca", "kube-apiserver", names=api_names),
        _Leaf("kube-controller-manager-serving", "ca", "kube-controller-manager", names=_LOCAL),
        _Leaf("kube-scheduler-serving", "ca", "kube-scheduler", names=_LOCAL),
        _Leaf("admin", "ca", "espalier-admin", ("system:masters",)),
        _Leaf("kube-controller-manager", "ca", "system:kube-controller-manager"),
        _Leaf("kube-scheduler", "ca", "system:kube-scheduler"),
        # It does kubelets' work, so it is a part of the cluster by name as they are: no guard of tenants holds it.
        _Leaf("kwok", "ca", "system:kwok"),
    )


def ensure_pki(directory: Path, service_ip: str) -> None:
    """Make ``directory`` with all keys and certificates (``<name>.crt``, ``<name>.key``), unless it is there.

    All come into being at once, by a rename, so that certificates and CAs always match. Of a cluster that is older than
    a part's name the certificate is issued anew.
    """
    if directory.is_dir():
        for leaf in _leaves(service_ip):
            if _name_of(directory / f"{leaf.file}.crt") != leaf.user:
                _issue(directory, directory, leaf)
        return
    scratch = directory.with_name(f".{directory.name}.new")
    if scratch.exists():
        shutil.rmtree(scratch)
    scratch.mkdir(mode=0o700, parents=True)
    for ca in ("ca", "etcd-ca", "front-proxy-ca"):
        _write_ca(scratch, ca)
    for leaf in _leaves(service_ip):
        _issue(scratch, scratch, leaf)
    key = ec.generate_private_key(ec.SECP256R1())
    _write_private(scratch / "service-account.key", _key_pem(key))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (scratch / "service-account.pub").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    scratch.rename(directory)


def _name_of(certificate: Path) -> str:
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def issue_client_certificate(pki: Path, directory: Path, file: str, user: str, groups: tuple[str, ...]) -> None:
    """Write ``<file>.crt`` and ``<file>.key`` for a user and groups of the cluster whose CA is in ``pki``."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _issue(pki, directory, _Leaf(file, "ca", user, groups))


def _write_ca(directory: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"espalier-sim-{name}")])
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_pair(directory, name, key, certificate)


def _issue(pki: Path, directory: Path, leaf: _Leaf) -> None:
    ca = x509.load_pem_x509_certificate((pki / f"{leaf.ca}.crt").read_bytes())
    pem = (pki / f"{leaf.ca}.key").read_bytes()
    ca_key = cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(pem, password=None))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in leaf.groups),
            x509.NameAttribute(NameOID.COMMON_NAME, leaf.user),
        ]
    )
    # A server is a client as well: etcd calls itself, and the API server's peers check either way.
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if leaf.names else [])]
    builder = (
        _builder(subject, ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if leaf.names:
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in leaf.names])
        builder = builder.add_extension(alternatives, critical=False)
    _write_pair(directory, leaf.file, key, builder.sign(ca_key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_pair(directory: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _write_private(directory / f"{name}.key", _key_pem(key))
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
