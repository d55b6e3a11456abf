"""A stack of `count` mixed objects with dependencies, all named after `prefix`: what bench/engine_mixed.py applies.

Every hundred objects are a namespace with what a team keeps in one: configuration, accounts and roles, Deployments
with Services, Jobs, and custom resources of a definition of this very stack. Pods run on simulated nodes of their own.
"""

from __future__ import annotations

from typing import Any

import pulumi

config = pulumi.Config()
COUNT, PREFIX = config.require_int("count"), config.require("prefix")
PER_NAMESPACE, PER_NODE = 100, 500
GROUP = f"{PREFIX}.bench.example.com"
SECRETS, ACCOUNTS, SERVICES, DEPLOYMENTS, JOBS, CUSTOM = 15, 10, 6, 5, 3, 4
made: list[pulumi.CustomResource] = []


def make(
    token: str, name: str, metadata: dict[str, Any], *, needs: list[pulumi.Resource] | None = None, **fields: Any
) -> pulumi.CustomResource:
    """Registers one object under its own name."""
    body = {"metadata": metadata, **fields}
    resource = pulumi.CustomResource(f"kubernetes:{token}", name, body, pulumi.ResourceOptions(depends_on=needs))
    made.append(resource)
    return resource


def name_of(resource: pulumi.CustomResource) -> Any:
    """The live object's name: reading it is what makes a dependency."""
    return getattr(resource, "metadata")["name"]  # noqa: B009 - an Output that only the instance has


def definition() -> pulumi.CustomResource:
    """The definition of the custom resources."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    return make(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        f"{PREFIX}-widgets",
        {"name": f"widgets.{GROUP}"},
        spec=spec,
    )


def node(index: int) -> None:
    """A simulated node with room for the pods of many namespaces."""
    name = f"{PREFIX}-node-{index}"
    annotations = {
        "kwok.x-k8s.io/node": "fake",
        "espalier.dev/simulated-capacity": '{"cpu": "1000", "memory": "4Ti", "pods": "1000"}',
    }
    make("core/v1:Node", name, {"name": name, "annotations": annotations, "labels": {"bench": PREFIX}})


def pod(app: str, account: Any, source: Any, *, policy: str) -> dict[str, Any]:
    """A pod's template that names its account and its configuration."""
    container = {
        "name": "main",
        "image": "registry.example.com/bench/app:1.2.3",
        "args": ["serve", "--port=8080", "--workers=4"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": source, "key": "mode"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }
    spec = {
        "serviceAccountName": account,
        "containers": [container],
        "restartPolicy": policy,
        "nodeSelector": {"bench": PREFIX},
    }
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def team(index: int, count: int, crd: pulumi.CustomResource) -> None:
    """A namespace with so many objects, itself among them; ConfigMaps make up the number."""
    start, prefix = len(made), f"{PREFIX}-{index}"
    space = make("core/v1:Namespace", prefix, {"name": prefix, "labels": {"bench": PREFIX}})

    def inside(word: str, number: int) -> dict[str, Any]:
        return {"name": f"{word}-{number}", "namespace": name_of(space), "labels": {"bench": PREFIX}}

    secrets = [
        make("core/v1:Secret", f"{prefix}-secret-{i}", inside("secret", i), stringData={"token": f"{prefix}-{i}" * 4})
        for i in range(SECRETS)
    ]
    settings = make("core/v1:ConfigMap", f"{prefix}-settings", inside("settings", 0), data={"mode": "bench"})
    accounts: list[pulumi.CustomResource] = []
    for i in range(ACCOUNTS):
        account = make("core/v1:ServiceAccount", f"{prefix}-account-{i}", inside("account", i))
        accounts.append(account)
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
        role = make("rbac.authorization.k8s.io/v1:Role", f"{prefix}-role-{i}", inside("role", i), rules=rules)
        make(
            "rbac.authorization.k8s.io/v1:RoleBinding",
            f"{prefix}-binding-{i}",
            inside("binding", i),
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name_of(role)},
            subjects=[{"kind": "ServiceAccount", "name": name_of(account), "namespace": name_of(space)}],
        )
    deployments: list[pulumi.CustomResource] = []
    for i in range(DEPLOYMENTS):
        template = pod(f"app-{i}", name_of(accounts[i]), name_of(settings), policy="Always")
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": f"app-{i}"}}, "template": template}
        needs: list[pulumi.Resource] = [secrets[i]]
        deployments.append(
            make("apps/v1:Deployment", f"{prefix}-app-{i}", inside("app", i), needs=needs, spec=spec),
        )
    for i in range(SERVICES):
        app = i % DEPLOYMENTS
        spec = {"selector": {"app": f"app-{app}"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        make("core/v1:Service", f"{prefix}-service-{i}", inside("service", i), needs=[deployments[app]], spec=spec)
    for i in range(JOBS):
        template = pod(f"job-{i}", name_of(accounts[i]), name_of(settings), policy="Never")
        make("batch/v1:Job", f"{prefix}-job-{i}", inside("job", i), spec={"template": template, "backoffLimit": 0})
    for i in range(CUSTOM):
        make(f"{GROUP}/v1:Widget", f"{prefix}-widget-{i}", inside("widget", i), needs=[crd], spec={"size": i})
    for i in range(count - (len(made) - start)):
        data = {"index": str(i), "text": "x" * 200}
        make("core/v1:ConfigMap", f"{prefix}-config-{i}", inside("config", i), data=data)


def main() -> None:
    """Registers all of it: `count` objects to the last one."""
    crd = definition()
    teams = max(1, COUNT // PER_NAMESPACE)
    for index in range(1 + teams // 20):
        node(index)
    for index in range(teams):
        rest = COUNT - len(made)
        team(index, rest if index == teams - 1 else PER_NAMESPACE, crd)


main()
