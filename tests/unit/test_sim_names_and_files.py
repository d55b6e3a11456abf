"""Names, places, ports, certificates and kubeconfigs of simulated clusters."""

import socket
import stat
import subprocess
import sys

import pytest
import yaml
from cryptography import x509

from espalier import sim
from espalier.sim.kubeconfigs import write_kubeconfig
from espalier.sim.pki import ensure_pki, issue_client_certificate
from espalier.sim.ports import ensure_ports, is_free


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "espalier" / "sim"


@pytest.mark.parametrize("name", ["a", "local", "rehearse-prod-7", "0", "a" * 40])
def test_a_dns_label_of_up_to_forty_characters_names_a_cluster(state, name):
    assert sim.kubeconfig_path(name) == state / name / "kubeconfig"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "../up", "a/b", "a b", "a" * 41, "ä", "a\n"])
def test_nothing_else_does(name):
    for call in (sim.kubeconfig_path, sim.audit_log_path, sim.up, sim.down, sim.status):
        with pytest.raises(sim.SimError, match="cannot name a simulated cluster"):
            call(name)


def test_what_is_not_there_is_no_error(state):
    assert sim.clusters() == ()
    assert sim.status() == ()
    assert sim.status("local") == ()
    sim.down("local")


def test_a_relative_state_home_is_ignored_as_the_specification_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert sim.kubeconfig_path("a") == tmp_path / "home/.local/state/espalier/sim/a/kubeconfig"


def test_a_cluster_that_was_only_begun_is_told_and_can_be_removed(state):
    (state / "begun").mkdir(parents=True)
    (found,) = sim.status()
    assert (found.name, found.ready) == ("begun", False)
    assert {part.detail for part in found.components} == {"never started"}
    sim.down("begun")
    assert sim.clusters() == ()


def test_ports_are_free_kept_and_no_other_clusters(state):
    for name in ("one", "two"):
        (state / name).mkdir(parents=True)
    one = ensure_ports("one", print)
    two = ensure_ports("two", print)
    assert len(set(one.values()) | set(two.values())) == len(one) + len(two)
    assert all(20_000 <= port < 30_000 for port in one.values())
    assert ensure_ports("one", print) == one


def test_a_port_in_use_is_not_chosen(state):
    (state / "one").mkdir(parents=True)
    first = ensure_ports("one", print)
    (state / "one" / "ports.json").unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["etcd"]))
        taken.listen()
        assert not is_free(first["etcd"])
        assert first["etcd"] not in ensure_ports("one", print).values()


def test_certificates_are_made_at_once_once_and_for_their_uses_only(tmp_path):
    pki = tmp_path / "pki"
    ensure_pki(pki, "10.96.0.1")
    before = (pki / "ca.crt").read_bytes()
    ensure_pki(pki, "10.96.0.1")
    assert (pki / "ca.crt").read_bytes() == before
    keys = {name: (pki / f"{name}.key").read_bytes() for name in ("kwok", "admin")}
    issue_client_certificate(pki, pki, "kwok", "espalier:kwok", ())  # as of a cluster of before
    ensure_pki(pki, "10.96.0.1")
    renewed = x509.load_pem_x509_certificate((pki / "kwok.crt").read_bytes())
    assert renewed.subject.rfc4514_string() == "CN=system:kwok"
    assert (pki / "kwok.key").read_bytes() != keys["kwok"]
    assert (pki / "admin.key").read_bytes() == keys["admin"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in pki.glob("*.key")} == {0o600}

    def usages(name: str) -> list[str]:
        certificate = x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())
        return [use._name for use in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]

    assert usages("admin") == usages("kwok") == usages("etcd-client") == ["clientAuth"]
    issuer = x509.load_pem_x509_certificate((pki / "etcd-client.crt").read_bytes()).issuer
    # A client of the API is no client of etcd.
    assert issuer != x509.load_pem_x509_certificate((pki / "admin.crt").read_bytes()).issuer


def test_a_kubeconfig_is_whole_and_the_users_alone(tmp_path):
    ensure_pki(tmp_path / "pki", "10.96.0.1")
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    pki = tmp_path / "pki"
    write_kubeconfig(
        path,
        cluster="a",
        server="https://127.0.0.1:1",
        ca=pki / "ca.crt",
        certificate=pki / "admin.crt",
        key=pki / "admin.key",
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "espalier-sim-a"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, espalier.sim; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & {"cryptography", "urllib3", "yaml", "ssl", "subprocess"}


def test_a_place_that_cannot_be_written_is_told_with_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for act in (sim.build, lambda: sim.up("x")):
        with pytest.raises(sim.SimError) as caught:
            act()
        assert str(tmp_path / "file") in caught.value.message
        assert "XDG_STATE_HOME" in caught.value.do
