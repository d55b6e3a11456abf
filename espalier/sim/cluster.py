"""Brings a simulated cluster up, looks at it, and takes it down."""

import hashlib
import importlib.util
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from espalier.sim import authentication, autoscaler, processes, warden
from espalier.sim.api import BOOTSTRAP, Admin, unhealthy
from espalier.sim.binaries import AUTOSCALER, build_key
from espalier.sim.builder import build
from espalier.sim.components import PORT_NAMES, SERVICE_IP, Component, Layout, components
from espalier.sim.errors import MissingToolError, SimError
from espalier.sim.kubeconfigs import write_kubeconfig
from espalier.sim.locks import locked
from espalier.sim.model import ComponentStatus, Progress, SimStatus
from espalier.sim.paths import cache_root, check_name, clusters, kubeconfig_path, state_dir, state_root
from espalier.sim.ports import ensure_ports, is_free, read_ports

_WAIT_FOR_OTHER_SECONDS = 600.0
_START_SECONDS = 90.0
# A component that was alive but did not answer gets this long before it is restarted.
_RECOVER_SECONDS = 15.0
_GRACE_SECONDS = 5.0
# A killed process lets go of its port a little after it has ceased to run.
_PORT_SECONDS = 3.0
_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def up(
    name: str,
    progress: Progress,
    machines: str | None = None,
    with_warden: bool | None = None,
    issuers: str | None = None,
) -> SimStatus:
    """Make cluster ``name`` run: build, create, start or mend what is missing, and wait until all is well.

    With ``machines``, JSON as Karpenter's kwok provider reads it, it has an autoscaler that makes these; without, it
    keeps the one that it has. ``with_warden`` says whether it has a warden, and ``issuers`` whom it trusts to say who
    people are; None keeps either as it is.
    """
    check_name(name)
    now = _inspect(name)
    changes = (
        autoscaler.differs(name, machines) or warden.differs(name, with_warden) or authentication.differs(name, issuers)
    )
    if now is not None and now.ready and not changes:
        return now
    binaries = build(progress)
    if autoscaler.is_wanted(name, machines):
        build(progress, AUTOSCALER)
    with locked(_lock_file(name), f"working on cluster {name}", progress, _WAIT_FOR_OTHER_SECONDS):
        _finish_removal(name)
        state_dir(name).mkdir(mode=0o700, parents=True, exist_ok=True)
        layout = Layout(name, ensure_ports(name, progress), binaries)
        _require_cryptography()
        from espalier.sim.pki import ensure_pki

        ensure_pki(layout.pki, SERVICE_IP)
        _write_kubeconfigs(layout)
        if authentication.differs(name, issuers) and authentication.write(layout, issuers):
            processes.stop([record_of(name, "kube-apiserver")], _GRACE_SECONDS)
        if machines is not None and autoscaler.differs(name, machines):
            processes.stop([record_of(name, "karpenter")], _GRACE_SECONDS)
            autoscaler.write(layout, machines)
        if warden.differs(name, with_warden):
            _change_warden(layout, with_warden is True)
        _start_all(layout, progress)
    # Each part has been well by now; a busy machine may still let one health check run out of time.
    deadline = time.monotonic() + _RECOVER_SECONDS
    while (found := _inspect(name)) is None or not found.ready:
        if time.monotonic() > deadline:
            raise SimError(f"cluster {name} went down while it was started", f"see the logs in {_runs(name)}")
    return found


def _change_warden(layout: Layout, wanted: bool) -> None:
    if wanted:
        warden.write(layout)
        return
    processes.stop([processes.Record(_runs(layout.name), "warden")], _GRACE_SECONDS)
    warden.remove(layout)


def down(name: str, *, keep_state: bool, progress: Progress) -> None:
    """Stop cluster ``name`` and remove it, or keep its data for a later ``up``. Nothing to stop is fine."""
    check_name(name)
    with locked(_lock_file(name), f"working on cluster {name}", progress, _WAIT_FOR_OTHER_SECONDS):
        _finish_removal(name)
        if state_dir(name).is_dir():
            _stop_all(name, progress)
            if not keep_state:
                os.rename(state_dir(name), _removed_dir(name))
                _finish_removal(name)
        if not keep_state:
            _lock_file(name).unlink()


def status(name: str | None) -> tuple[SimStatus, ...]:
    """How cluster ``name`` is, or every cluster of this user; clusters without state are left out."""
    names = clusters() if name is None else (check_name(name),)
    return tuple(found for found in map(_inspect, names) if found is not None)


def restart(layout: Layout, component: str) -> None:
    """Stop a process of the cluster and start it again; it is healthy when this returns."""
    processes.stop([record_of(layout.name, component)], _GRACE_SECONDS)
    (part,) = [each for each in components(layout) if each.name == component]
    _ensure_runs(layout, part)
    _wait_healthy(layout, part, was_alive=False)


def process_names() -> tuple[str, ...]:
    """The processes that a cluster may have."""
    return tuple(part for part in PORT_NAMES if part not in ("etcd-peer", "karpenter-metrics"))


def record_of(name: str, component: str) -> processes.Record:
    """Where the files of a cluster's process lie."""
    return processes.Record(_runs(name), component)


def layout_of(name: str, ports: dict[str, int]) -> Layout:
    """The layout of a cluster that has these ports."""
    return Layout(name, ports, _binaries())


def issue_client(name: str, user: str, groups: tuple[str, ...]) -> Path:
    """Write a kubeconfig for ``user`` of ``groups`` in cluster ``name``; return its path."""
    ports = read_ports(check_name(name))
    if ports is None:
        raise SimError(f"there is no cluster {name}", f"start it: espalier sim up --name {name}")
    _require_cryptography()
    from espalier.sim.pki import issue_client_certificate

    layout = Layout(name, ports, _binaries())
    directory = layout.state / "clients"
    stem = hashlib.sha256("\0".join((user, *groups)).encode()).hexdigest()[:16]
    issue_client_certificate(layout.pki, directory, stem, user, groups)
    path = directory / f"{stem}.kubeconfig"
    _write_kubeconfig(layout, path, directory / stem)
    return path


def _require_cryptography() -> None:
    """Raise MissingToolError where the package that makes certificates is not installed."""
    if importlib.util.find_spec("cryptography") is None:
        raise MissingToolError(
            "the simulated cluster's certificates need the Python package cryptography",
            "install Espalier with its simulator: pip install 'espalier[sim]'",
        )


def _binaries() -> Path:
    return cache_root() / build_key()


def _lock_file(name: str) -> Path:
    # Outside the cluster's own directory, which comes and goes; no cluster's name starts with a dot.
    return state_root() / f".{name}.lock"


def _removed_dir(name: str) -> Path:
    return state_root() / f".{name}.removed"


def _runs(name: str) -> Path:
    return state_dir(name) / "run"


def _bootstrapped(layout: Layout) -> Path:
    return layout.state / "bootstrapped"


def _finish_removal(name: str) -> None:
    """Remove what a ``down`` set aside; one that was interrupted here is ended by the next command."""
    if _removed_dir(name).exists():
        shutil.rmtree(_removed_dir(name))


def _write_kubeconfigs(layout: Layout) -> None:
    directory = layout.kubeconfig("kwok").parent
    directory.mkdir(mode=0o700, exist_ok=True)
    for component in ("kube-controller-manager", "kube-scheduler", "kwok"):
        _write_kubeconfig(layout, layout.kubeconfig(component), layout.pki / component)
    _write_kubeconfig(layout, kubeconfig_path(layout.name), layout.pki / "admin")


def _write_kubeconfig(layout: Layout, path: Path, identity: Path) -> None:
    write_kubeconfig(
        path,
        cluster=layout.name,
        server=layout.server,
        ca=layout.pki / "ca.crt",
        certificate=identity.with_name(f"{identity.name}.crt"),
        key=identity.with_name(f"{identity.name}.key"),
    )


def _stop_all(name: str, progress: Progress) -> None:
    progress(f"stopping cluster {name}")
    last_first = [record_of(name, part) for part in reversed(process_names())]
    clients, servers = last_first[:-2], last_first[-2:]
    # What writes to the API goes first; etcd last, so that the API server can end in peace.
    for group in (clients, servers[:1], servers[1:]):
        processes.stop(group, _GRACE_SECONDS)


def _start_all(layout: Layout, progress: Progress) -> None:
    etcd, apiserver, *clients = components(layout)
    alive = {part.name for part in (etcd, apiserver, *clients) if _ensure_runs(layout, part, only_resume=True)}
    missing = [part.name for part in (etcd, apiserver, *clients) if part.name not in alive]
    progress(f"starting cluster {layout.name}: {', '.join(missing) or 'waiting for health'}")
    for part in (etcd, apiserver):
        _ensure_runs(layout, part)
    for part in (etcd, apiserver):
        _wait_healthy(layout, part, was_alive=part.name in alive)
    admin = Admin(layout)
    admin.apply(BOOTSTRAP)
    if "kwok" not in alive:
        # KWOK takes no node whose lease another holds, and the one that was killed let go of none.
        admin.delete_all(_NODE_LEASES)
    if layout.machines.is_file():
        autoscaler.prepare(layout, admin)
        _write_kubeconfig(layout, layout.kubeconfig("karpenter"), autoscaler.identity(layout))
    for part in clients:
        _ensure_runs(layout, part)
    for part in clients:
        _wait_healthy(layout, part, was_alive=part.name in alive)
    deadline = time.monotonic() + _START_SECONDS
    while not admin.exists(_DEFAULT_ACCOUNT):
        if time.monotonic() > deadline:
            raise SimError("the controllers made no default service account", f"see {_runs(layout.name)}")
        time.sleep(0.05)
    _bootstrapped(layout).touch()


def _ensure_runs(layout: Layout, part: Component, *, only_resume: bool = False) -> bool:
    """Wake the component if it is paused, start it if it does not run; whether it ran before."""
    record = record_of(layout.name, part.name)
    if processes.send(record, signal.SIGCONT):
        return True
    if not only_resume:
        deadline = time.monotonic() + _PORT_SECONDS
        while not is_free(part.port) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not is_free(part.port):
            raise SimError(
                f"port {part.port} of {part.name} is taken by another program",
                f"end it, or give the cluster new ports: espalier sim down --name {layout.name}, then up",
            )
        processes.start(record, part.argv, part.environment)
    return False


def _wait_healthy(layout: Layout, part: Component, *, was_alive: bool) -> None:
    record = record_of(layout.name, part.name)
    deadline = time.monotonic() + (_RECOVER_SECONDS if was_alive else _START_SECONDS)
    while (why := unhealthy(layout, part)) is not None:
        ended = processes.pid_of(record) is None
        late = time.monotonic() > deadline
        if was_alive and (ended or late):
            processes.stop([record], _GRACE_SECONDS)
            _ensure_runs(layout, part)
            _wait_healthy(layout, part, was_alive=False)
            return
        if ended or late:
            what = "ended right away" if ended else f"was not healthy after {_START_SECONDS:.0f} s ({why})"
            raise SimError(
                f"{part.name} {what}; its last words: {processes.last_line(record)}", f"see {record.log_file}"
            )
        time.sleep(0.05)


def _inspect(name: str) -> SimStatus | None:
    """How cluster ``name`` is, or None where it has no state."""
    if not state_dir(name).is_dir():
        return None
    ports = read_ports(name)
    if ports is None:
        parts = tuple(ComponentStatus(part, None, False, False, "never started") for part in process_names())
        return SimStatus(name, False, kubeconfig_path(name), parts)
    layout = Layout(name, ports, _binaries())
    table = components(layout)
    with ThreadPoolExecutor(len(table)) as pool:
        found = tuple(pool.map(lambda part: _inspect_component(layout, part), table))
    ready = all(part.healthy for part in found) and _bootstrapped(layout).exists()
    return SimStatus(name, ready, kubeconfig_path(name), found)


def _inspect_component(layout: Layout, part: Component) -> ComponentStatus:
    record = record_of(layout.name, part.name)
    pid = processes.pid_of(record)
    if pid is None:
        said = processes.last_line(record)
        detail = f"does not run; its last words: {said}" if said else "does not run"
        return ComponentStatus(part.name, None, False, False, detail)
    why = unhealthy(layout, part)
    return ComponentStatus(part.name, pid, True, why is None, why or f"well, on 127.0.0.1:{part.port}")
