"""Tenants on a live cluster, and people with client certificates of its CA who try to get out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import sim
from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.kube import ApiError, Client, Kind, UnknownKindError
from espalier.settings import validate
from espalier.sim.kubeconfigs import write_kubeconfig
from espalier.sim.pki import issue_client_certificate
from espalier.types import Manifest

STACK: dict[str, Any] = {
    "cluster": {"kind": "simulated", "version": "1.36"},
    "pools": [
        {"name": "l4", "accelerator": "L4", "count": 4, "nodes": {"max": 4}, "capacity": ["spot", "on-demand"]},
        {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 1}},
    ],
    "tenants": [
        {
            "name": "vision",
            "groups": {"view": ["vision-readers"], "edit": ["vision-engineers"], "admin": ["vision-leads"]},
            "quota": {"devices": {"nvidia.com/gpu": 8}},
        },
        {"name": "language", "groups": {"edit": ["language-engineers"]}},
        {
            "name": "split",
            "quota": {
                "devices": {"nvidia.com/gpu": 3},
                "capacity": {"spot": {"nvidia.com/gpu": 2}, "on-demand": {"nvidia.com/gpu": 1}},
            },
        },
        {
            "name": "small",
            "groups": {"view": ["small-readers"]},
            "owners": ["olga"],
            "workspaces": [
                {"name": "ana", "owners": ["ana"], "groups": {}, "quota": {"cpu": 8}},
                {"name": "ben", "owners": ["ben"], "quota": {"cpu": 8}},
            ],
            "pools": ["l4"],
            "capacity": ["on-demand"],
            "registries": ["registry.example.com/small"],
            "priority": "batch",
        },
    ],
}
RBAC = "rbac.authorization.k8s.io"


def planned(stack: dict[str, Any] = STACK) -> Blueprint:
    return build(validate(stack, where="espalier"), RECORDS)


def objects(blueprint: Blueprint) -> list[Manifest]:
    """What the API server judges tenants by, in the order in which it is made."""
    theirs = [item for tenant in blueprint.tenants for work in tenant.workspaces for item in work.objects]
    return [item.manifest for item in (*blueprint.objects, *theirs)]


def add(client: Client, manifests: Sequence[Manifest]) -> None:
    """What is of a kind that was defined just now waits until it is served."""
    end = time.monotonic() + 120
    for manifest in manifests:
        while True:
            try:
                client.apply(manifest)
                break
            except UnknownKindError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)


def remove(client: Client, manifests: Sequence[Manifest]) -> None:
    for manifest in reversed(manifests):
        metadata = manifest["metadata"]
        kind = Kind(manifest["apiVersion"], manifest["kind"])
        client.delete(kind, metadata["name"], metadata.get("namespace"))
    # Nothing can be made in a namespace that is going: who comes next may have one of the same name.
    going = {each["metadata"]["name"] for each in manifests if each["kind"] == "Namespace"}
    end = time.monotonic() + 120
    while left := going & {each["metadata"]["name"] for each in client.list(Kind("v1", "Namespace"))}:
        assert time.monotonic() < end, f"still there: {sorted(left)}"
        time.sleep(0.1)


def person(status: sim.SimStatus, scratch: Path, user: str, *groups: str) -> Client:
    """Somebody whom the cluster knows by a client certificate."""
    pki = status.kubeconfig.parent / "pki"
    issue_client_certificate(pki, scratch, user, user, groups)
    server = Client.connect(status.kubeconfig).kubeconfig.server
    path = scratch / f"{user}.kubeconfig"
    pair = {"certificate": scratch / f"{user}.crt", "key": scratch / f"{user}.key"}
    write_kubeconfig(path, cluster=status.name, server=server, ca=pki / "ca.crt", **pair)
    return Client.connect(path)


def role(name: str, rules: Sequence[tuple[str, str, str]]) -> Manifest:
    """A ClusterRole of rules, each a group, a resource and verbs with spaces between."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [g], "resources": [r], "verbs": verbs.split()} for g, r, verbs in rules],
    }


def bound(name: str, role: str, user: str, namespace: str = "") -> Manifest:
    """A binding of a ClusterRole to a person, in one namespace or in all."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC}],
    }


@dataclass(frozen=True)
class Attempt:
    """Something that a tenant must not get away with, as a dry run; `kept_by` names the guards that stop it."""

    name: str
    kept_by: tuple[str, ...]
    send: Callable[[Client], Any]

    def refusal(self, client: Client) -> str:
        """What the API server says to it; "" where it lets it through."""
        try:
            self.send(client)
        except ApiError as error:
            if error.status == 403:
                return error.message
            # What is not there was looked up: whoever may not is told so before.
            if error.status != 404:
                raise
        return ""
