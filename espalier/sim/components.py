"""The processes of a simulated cluster as a table: how each is started, and where it says that it is well."""

import sys
from dataclasses import dataclass
from pathlib import Path

from espalier.sim.binaries import AUTOSCALER
from espalier.sim.paths import DATA, cache_root, state_dir

SERVICE_IP = "10.96.0.1"
_SERVICE_CIDR = "10.96.0.0/16"
# One /24 a node: room for 32,768 nodes, and clear of the Services' range.
_POD_CIDR = "10.128.0.0/9"
# Where a pod's node has no range of its own yet; outside the two above.
_SPARE_POD_CIDR = "10.127.0.0/16"

PORT_NAMES = (
    "etcd",
    "etcd-peer",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "karpenter",
    "karpenter-metrics",
    "warden",
)


@dataclass(frozen=True)
class Layout:
    """Where the files of cluster ``name`` lie, its ports, and the directory of its binaries."""

    name: str
    ports: dict[str, int]
    binaries: Path

    @property
    def state(self) -> Path:
        """The cluster's state directory."""
        return state_dir(self.name)

    @property
    def pki(self) -> Path:
        """The directory of its keys and certificates."""
        return self.state / "pki"

    @property
    def machines(self) -> Path:
        """The machine types that its autoscaler may make, as JSON; a cluster without the file has no autoscaler."""
        return self.state / "autoscaler" / "machines.json"

    @property
    def in_stock(self) -> Path:
        """Those of them that can be had now; a drill takes some away."""
        return self.machines.with_name("in-stock.json")

    @property
    def autoscaler(self) -> Path:
        """The directory of the autoscaler's binary and definitions."""
        return cache_root() / AUTOSCALER.key

    @property
    def warden(self) -> Path:
        """The warden's certificate and CA; a cluster without the directory has no warden."""
        return self.state / "warden"

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.ports['kube-apiserver']}"

    @property
    def authentication(self) -> Path:
        """Whom the API server trusts to say who people are; it reads the file again when that changes."""
        return self.state / "authentication.yaml"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig that a component itself uses."""
        return self.state / "kubeconfigs" / component


@dataclass(frozen=True)
class Component:
    """One process: its command line, and the health endpoint on its loopback port.

    ``client`` names the certificate to ask with, None for an endpoint that asks for none; ``ca`` the CA that
    signed the endpoint's certificate, None for plain HTTP.
    """

    name: str
    argv: tuple[str, ...]
    port: int
    health: str
    ca: str | None = "ca"
    client: str | None = None
    environment: tuple[tuple[str, str], ...] = ()


def components(layout: Layout) -> tuple[Component, ...]:
    """Every process of a cluster, in the order to start them in."""
    return (
        _etcd(layout),
        _apiserver(layout),
        _controller_manager(layout),
        _scheduler(layout),
        _kwok(layout),
        *((_karpenter(layout),) if layout.machines.is_file() else ()),
        *((_warden(layout),) if layout.warden.is_dir() else ()),
    )


def _controlplane(layout: Layout, program: str, *flags: str) -> tuple[str, ...]:
    return (str(layout.binaries / "controlplane"), program, *flags)


def _etcd(layout: Layout) -> Component:
    pki = layout.pki
    client = f"https://127.0.0.1:{layout.ports['etcd']}"
    peer = f"https://127.0.0.1:{layout.ports['etcd-peer']}"
    argv = _controlplane(
        layout,
        "etcd",
        f"--name={layout.name}",
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={layout.name}={peer}",
        "--client-cert-auth",
        "--peer-client-cert-auth",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        # Nothing here must survive a power cut, and waiting for the disk is most of what etcd does.
        "--unsafe-no-fsync",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-level=warn",
    )
    return Component("etcd", argv, layout.ports["etcd"], "/health", ca="etcd-ca", client="etcd-client")


def _apiserver(layout: Layout) -> Component:
    pki = layout.pki
    argv = _controlplane(
        layout,
        "kube-apiserver",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The `kubernetes` Service may not point to loopback, and nothing here could reach it there.
        "--endpoint-reconciler-type=none",
        f"--secure-port={layout.ports['kube-apiserver']}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--authentication-config={layout.authentication}",
        # Driver and plugin pods need it; Pod Security, not this switch, is what keeps it from others.
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--egress-selector-config-file={DATA / 'egress.yaml'}",
        f"--etcd-servers=https://127.0.0.1:{layout.ports['etcd']}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--service-cluster-ip-range={_SERVICE_CIDR}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        f"--audit-policy-file={DATA / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.state / 'audit.log'}",
        "--audit-log-maxsize=50",
        "--audit-log-maxbackup=2",
        "--profiling=false",
    )
    return Component("kube-apiserver", argv, layout.ports["kube-apiserver"], "/readyz")


def _controller_manager(layout: Layout) -> Component:
    pki = layout.pki
    name = "kube-controller-manager"
    argv = _controlplane(
        layout,
        name,
        *_serving(layout, name),
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={_POD_CIDR}",
        f"--service-cluster-ip-range={_SERVICE_CIDR}",
        "--kube-api-qps=300",
        "--kube-api-burst=400",
    )
    return Component(name, argv, layout.ports[name], "/healthz")


def _scheduler(layout: Layout) -> Component:
    name = "kube-scheduler"
    argv = _controlplane(layout, name, *_serving(layout, name), "--kube-api-qps=300", "--kube-api-burst=400")
    return Component(name, argv, layout.ports[name], "/healthz")


def _serving(layout: Layout, name: str) -> tuple[str, ...]:
    """The flags that the controller manager and the scheduler share."""
    kubeconfig = layout.kubeconfig(name)
    return (
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports[name]}",
        f"--tls-cert-file={layout.pki / f'{name}-serving.crt'}",
        f"--tls-private-key-file={layout.pki / f'{name}-serving.key'}",
        f"--client-ca-file={layout.pki / 'ca.crt'}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        # One of each runs; an election would only make a restart wait for the dead one's lease.
        "--leader-elect=false",
        "--profiling=false",
    )


def _kwok(layout: Layout) -> Component:
    argv = (
        str(layout.binaries / "kwok"),
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--config={DATA / 'kwok.yaml'}",
        f"--config={DATA / 'stages.yaml'}",
        f"--cidr={_SPARE_POD_CIDR}",
        f"--server-address=127.0.0.1:{layout.ports['kwok']}",
    )
    # Its health endpoint tells nothing and takes no commands (debugging handlers are off): plain HTTP serves.
    return Component("kwok", argv, layout.ports["kwok"], "/healthz", ca=None)


def _karpenter(layout: Layout) -> Component:
    argv = (
        str(layout.autoscaler / "karpenter"),
        f"--instance-types-file-path={layout.in_stock}",
        f"--health-probe-port={layout.ports['karpenter']}",
        f"--metrics-port={layout.ports['karpenter-metrics']}",
        # One runs; an election would only make a restart wait for the dead one's lease.
        "--disable-leader-election",
        # On one machine pods arrive together: waiting longer would only make a wake slower.
        "--batch-idle-duration=500ms",
        "--batch-max-duration=2s",
        "--log-level=error",
    )
    environment = (("KUBECONFIG", str(layout.kubeconfig("karpenter"))), ("SYSTEM_NAMESPACE", "kube-system"))
    return Component("karpenter", argv, layout.ports["karpenter"], "/healthz", ca=None, environment=environment)


def _warden(layout: Layout) -> Component:
    argv = (
        sys.executable,
        "-B",
        "-m",
        "espalier.warden",
        f"--listen=127.0.0.1:{layout.ports['warden']}",
        f"--server=127.0.0.1:{layout.ports['kube-apiserver']}",
        f"--pki={layout.warden}",
    )
    environment = (("PYTHONPATH", str(Path(__file__).parents[2])),)
    return Component("warden", argv, layout.ports["warden"], "/", ca=None, environment=environment)
