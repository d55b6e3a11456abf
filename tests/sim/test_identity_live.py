"""A real API server that trusts an identity provider: whose token is taken, who that is then, and what they may do."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec

from espalier import sim
from espalier.kube import Client
from tests.sim.issuer import Issuer
from tests.sim.tenancy import STACK, add, objects, planned, remove

REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Bearer:
    """Asks a cluster's API with a token and nothing else."""

    def __init__(self, status: sim.SimStatus) -> None:
        self.server = Client.connect(status.kubeconfig).kubeconfig.server
        ca = status.kubeconfig.parent / "pki" / "ca.crt"
        context = ssl.create_default_context(cafile=str(ca))
        self.pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=60)

    def ask(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.pool.request(method, f"{self.server}{path}", json=body, headers=headers)
        return answer.status, answer.json()

    def status(self, token: str, path: str) -> int:
        return self.ask(token, "GET", path)[0]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def bearer(sim_cluster: sim.SimStatus, issuer: Issuer, eventually_: Callable[..., Any]) -> Iterator[Bearer]:
    """The session's cluster with the issuer, and with tenants whose people it names; without it again afterwards."""
    blueprint = planned({**STACK, "identity": {"issuer": issuer.url, "ca": issuer.ca}})
    client, everything = Client.connect(sim_cluster.kubeconfig), objects(blueprint)
    sim.up(sim_cluster.name, issuers=blueprint.issuers)
    add(client, everything)
    asks, token = Bearer(sim_cluster), issuer.token(email="probe@example.com")
    eventually_(lambda: asks.ask(token, "POST", WHO, REVIEW)[0] == 201)
    yield asks
    remove(client, everything)
    sim.up(sim_cluster.name, issuers="[]")


def test_people_are_named_by_their_provider_with_its_prefix(bearer: Bearer, issuer: Issuer) -> None:
    token = issuer.token(email="ed@example.com", groups=["vision-engineers", "system:masters"])
    _, answer = bearer.ask(token, "POST", WHO, REVIEW)
    found = answer["status"]["userInfo"]
    assert found["username"] == "oidc:ed@example.com"
    assert sorted(found["groups"]) == ["oidc:system:masters", "oidc:vision-engineers", "system:authenticated"]


def test_groups_and_owners_have_their_tenants_rights_and_no_others(bearer: Bearer, issuer: Issuer) -> None:
    engineer = issuer.token(email="ed@example.com", groups=["vision-engineers"])
    assert bearer.status(engineer, "/api/v1/namespaces/vision/secrets") == 200
    assert bearer.status(engineer, "/api/v1/namespaces/language/pods") == 403
    owner = issuer.token(email="ana")
    assert bearer.status(owner, "/api/v1/namespaces/small-ana/secrets") == 200
    assert bearer.status(owner, "/api/v1/namespaces/small-ben/pods") == 403
    forger = issuer.token(email="max@example.com", groups=["system:masters", "oidc:vision-engineers"])
    assert bearer.status(forger, "/api/v1/namespaces/vision/pods") == 403
    assert bearer.status(forger, "/api/v1/namespaces/kube-system/secrets") == 403


WRONG: dict[str, Callable[[Issuer], str]] = {
    "for another audience": lambda issuer: issuer.token(email="ed@example.com", aud="grafana"),
    "expired": lambda issuer: issuer.token(email="ed@example.com", exp=int(time.time()) - 600),
    "of another issuer": lambda issuer: issuer.token(email="ed@example.com", iss="https://elsewhere.example.com"),
    "signed by another key": lambda issuer: issuer.token(
        email="ed@example.com", by=ec.generate_private_key(ec.SECP256R1())
    ),
    "with an address that nobody verified": lambda issuer: issuer.token(email="ed@example.com", email_verified=False),
    "without a name": lambda issuer: issuer.token(sub="ed"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_token_is_nobodys(bearer: Bearer, issuer: Issuer, what: str) -> None:
    assert bearer.ask(WRONG[what](issuer), "POST", WHO, REVIEW)[0] == 401


def test_a_cluster_keeps_its_issuers_when_nobody_names_them(bearer: Bearer, issuer: Issuer, sim_cluster: Any) -> None:
    written = Path(sim_cluster.kubeconfig.parent / "authentication.yaml")
    before = written.read_text("utf-8")
    sim.up(sim_cluster.name)
    assert written.read_text("utf-8") == before
    assert issuer.url in before
