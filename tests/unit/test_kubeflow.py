"""Kubeflow's parts: one namespace, pages that only a gateway reaches, and what the pools put on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.notebook_spawner import JUPYTER
from espalier.blueprint.addon_rules import traffic_of
from espalier.blueprint.order import plan_addons
from espalier.blueprint.tenants import Given, compile_tenant
from espalier.settings.tenants import Tenant
from espalier.types import AddonInputs, Facts, Manifest, PoolFacts
from tests.unit.test_training_runtimes import GPU, PRESENT, SPOT, pool

FACTS = Facts("onprem", "1.36", True)
MESH = ("cert-manager", "istio-base", "istio-cni", "istiod", "istio-gateway")
STACK = (*MESH, "kubeflow-base", "kubeflow-dashboard", "kubeflow-notebooks")


def inputs(id: str, *pools: PoolFacts, beside: tuple[str, ...] = STACK, **options: Any) -> AddonInputs:
    return AddonInputs(FACTS, pools, RECORDS[id].options.model_validate(options), {one: {} for one in beside})


def base(*beside: str) -> dict[str, Manifest]:
    made = [planned.manifest for planned in RECORDS["kubeflow-base"].objects(inputs("kubeflow-base", beside=beside))]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in made}


def edited(id: str, manifest: Manifest, *pools: PoolFacts, **keys: Any) -> Mapping[str, Any]:
    content = RECORDS[id].content
    assert content is not None
    made = content.edit(inputs(id, *pools, **keys), manifest)
    assert made is not None
    return made


def config(name: str, **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str) -> Manifest:
    pod = {"spec": {"containers": [{"name": "main"}]}, "metadata": {"labels": {"app": name}}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def page(*pools: PoolFacts, **options: Any) -> dict[str, Any]:
    made = edited(
        "kubeflow-notebooks", config("jupyter-web-app-config-x", **{"spawner_ui_config.yaml": ""}), *pools, **options
    )
    return yaml.safe_load(made["data"]["spawner_ui_config.yaml"])["spawnerFormDefaults"]


# The namespace ----------------------------------------------------------------------------------------------------


def test_the_namespace_takes_restricted_pods_and_is_in_the_mesh_where_there_is_one() -> None:
    alone, meshed = base("kubeflow-base"), base(*STACK)
    labels = alone["Namespace/kubeflow"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "istio-injection" not in labels
    assert "control-plane" not in labels
    assert meshed["Namespace/kubeflow"]["metadata"]["labels"]["istio-injection"] == "enabled"
    assert "Gateway/kubeflow-gateway" in meshed
    assert "Gateway/kubeflow-gateway" not in alone


def test_its_pods_are_reached_by_one_another_and_istios_gateway_alone() -> None:
    (rule,) = base(*STACK)["NetworkPolicy/kubeflow"]["spec"]["ingress"]
    assert "ports" not in rule
    own, gateway = rule["from"]
    assert own == {"podSelector": {}}
    assert gateway["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "istio-system"}
    assert gateway["podSelector"]["matchLabels"]["istio"] == "ingressgateway"
    (rule,) = base("kubeflow-base")["NetworkPolicy/kubeflow"]["spec"]["ingress"]
    assert rule["from"] == [own]


def test_roles_add_up_and_hold_none_of_kubernetes_own() -> None:
    roles = {key: one for key, one in base("kubeflow-base").items() if key.startswith("ClusterRole/")}
    assert len(roles) == 3
    for one in roles.values():
        assert "rules" not in one
        for selector in one["aggregationRule"]["clusterRoleSelectors"]:
            assert all(key.startswith("rbac.authorization.kubeflow.org/") for key in selector["matchLabels"])
    prefix = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow"
    assert f"{prefix}-admin" in roles["ClusterRole/kubeflow-edit"]["metadata"]["labels"]
    assert f"{prefix}-edit" in roles["ClusterRole/kubeflow-view"]["metadata"]["labels"]


def test_one_add_on_owns_the_namespace() -> None:
    plans, mistakes = plan_addons({id: {} for id in (*STACK, "training-operator-v1")}, RECORDS, FACTS, ())
    assert mistakes == ()
    waves = {plan.id: plan.wave for plan in plans}
    for id in ("kubeflow-dashboard", "kubeflow-notebooks", "training-operator-v1"):
        content = RECORDS[id].content
        assert content is not None
        assert (content.namespace, content.create_namespace) == ("kubeflow", False)
        assert waves["kubeflow-base"] < waves[id]


def test_what_a_page_needs_is_said() -> None:
    _, mistakes = plan_addons({"kubeflow-notebooks": {}}, RECORDS, FACTS, ())
    missing = {mistake.got.removeprefix("no ").partition(",")[0] for mistake in mistakes}
    assert missing == {"cert-manager", "istio-base", "istio-cni", "istiod", "istio-gateway", "kubeflow-base"}


# The page for notebooks -------------------------------------------------------------------------------------------


def test_a_notebook_finds_each_pool_by_affinity_and_tolerations() -> None:
    found = page(pool("h100"), pool("cpu", devices={}, taints=()))
    affinities = {one["configKey"]: one for one in found["affinityConfig"]["options"]}
    assert set(affinities) == {"h100", "cpu"}
    required = affinities["h100"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "espalier.dev/pool", "operator": "In", "values": ["h100"]}]}
    ]
    (group,) = found["tolerationGroup"]["options"]
    assert (group["groupKey"], group["displayName"]) == ("h100", "h100: 8 nvidia.com/gpu a node")
    assert [(one["key"], one["value"]) for one in group["tolerations"]] == [(PRESENT.key, PRESENT.value)]


def test_its_devices_are_those_that_are_advertised() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    found = page(pool("h100"), pool("a100", devices={mig: 56}), pool("tpu", devices={"google.com/tpu": 4}))
    assert [one["limitsKey"] for one in found["gpus"]["value"]["vendors"]] == ["google.com/tpu", GPU, mig]
    assert page()["gpus"]["value"]["vendors"] == []


def test_a_notebook_is_on_spot_only_where_the_stack_says_so() -> None:
    mixed, ends = pool("h100", taints=(PRESENT, SPOT)), pool("cheap", taints=(SPOT,))
    only_spot = PoolFacts(ends.name, ends.shapes[:1], {}, "nvidia")
    found = page(mixed, only_spot)
    assert [one["configKey"] for one in found["affinityConfig"]["options"]] == ["h100"]
    (term,) = found["affinityConfig"]["options"][0]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]} in term["matchExpressions"]
    assert SPOT.key not in str(found["tolerationGroup"])
    anywhere = page(mixed, only_spot, spot=True)
    assert [one["configKey"] for one in anywhere["affinityConfig"]["options"]] == ["h100", "cheap"]
    assert SPOT.key in str(anywhere["tolerationGroup"])


def test_images_are_pinned_and_the_stacks_own_come_after() -> None:
    mine = "registry.example.com/vision/notebook:1.2"
    assert page(images=[mine])["image"]["options"] == [*JUPYTER, mine]
    with pytest.raises(ValueError, match="stays"):
        page(images=["registry.example.com/vision/notebook:latest"])


def test_a_changed_page_or_culling_replaces_the_pods_that_read_it() -> None:
    def stamp(name: str, *pools: PoolFacts, **options: Any) -> str:
        made = edited("kubeflow-notebooks", deployment(name), *pools, **options)
        return made["spec"]["template"]["metadata"]["annotations"]["espalier.dev/configuration"]

    web, controller = "jupyter-web-app-deployment", "notebook-controller-deployment"
    assert stamp(web, pool("h100")) == stamp(web, pool("h100"))
    assert stamp(web, pool("h100")) != stamp(web, pool("l4"))
    assert stamp(controller) != stamp(controller, **{"cull-after": 60})


def test_idle_servers_are_stopped_after_a_day_or_as_the_stack_says() -> None:
    def culling(**options: Any) -> dict[str, str]:
        return edited("kubeflow-notebooks", config("c", ENABLE_CULLING="false", USE_ISTIO="true"), **options)["data"]

    assert culling()["CULL_IDLE_TIME"] == "1440"
    assert culling(**{"cull-after": 60})["CULL_IDLE_TIME"] == "60"
    assert culling(**{"cull-after": 0})["ENABLE_CULLING"] == "false"
    assert culling()["USE_ISTIO"] == "true"


def test_culling_reaches_notebooks_of_tenants_and_the_gateway_only_where_the_stack_says_so() -> None:
    def callers(**options: Any) -> list[tuple[str, tuple[int, ...]]]:
        traffic = traffic_of(RECORDS["kubeflow-notebooks"], options)
        return [(one.namespace, one.ports) for one in traffic.callers]

    assert callers() == [("kubeflow", (8888,))]
    assert callers(gateway=True) == [("kubeflow", (8888,)), ("istio-system", (6006, 8080, 8888))]


def test_tenants_namespaces_have_the_labels_that_the_parts_know_them_by() -> None:
    def labels(*ids: str) -> Mapping[str, str]:
        given = Given.by(RECORDS[id] for id in ids)
        (work,) = compile_tenant(Tenant.model_validate({"name": "v"}, strict=False), [], given).workspaces
        return work.objects[0].manifest["metadata"]["labels"]

    plain = labels()
    assert not {"istio-injection", "app.kubernetes.io/part-of"} & set(plain)
    marked = labels("kubeflow-notebooks", "kubeflow-pipelines", "katib")
    assert set(marked) - set(plain) == {
        "app.kubernetes.io/part-of",
        "istio-injection",
        "katib.kubeflow.org/metrics-collector-injection",
        "pipelines.kubeflow.org/enabled",
    }
    assert marked["espalier.dev/tenant"] == "v"


def test_its_controllers_are_two_of_which_one_leads() -> None:
    made = edited("kubeflow-notebooks", deployment("notebook-controller-deployment"))
    assert made["spec"]["replicas"] == 2
    assert made["spec"]["template"]["spec"]["containers"][0]["args"] == ["--enable-leader-election"]


# The dashboard ----------------------------------------------------------------------------------------------------

LINKS = {
    "menuLinks": [
        {"link": "/jupyter/", "text": "Notebooks", "type": "item"},
        {"link": "/katib/", "text": "Katib", "type": "item"},
        {"type": "section", "text": "Pipelines", "items": [{"link": "/pipeline/#/runs", "text": "Runs"}]},
    ],
    "quickLinks": [{"link": "/pipeline/#/runs"}, {"link": "/jupyter/new"}],
    "documentationItems": [{"link": "https://www.kubeflow.org/"}],
}


def test_its_menu_has_what_the_stack_has() -> None:
    def menu(*more: str) -> dict[str, list[dict[str, Any]]]:
        links = config("dashboard-config", links=json.dumps(LINKS), settings="{}")
        made = edited("kubeflow-dashboard", links, beside=(*STACK, *more))
        assert made["data"]["settings"] == "{}"
        return json.loads(made["data"]["links"])

    assert [item["link"] for item in menu()["menuLinks"]] == ["/jupyter/"]
    assert [item["link"] for item in menu()["quickLinks"]] == ["/jupyter/new"]
    assert len(menu()["documentationItems"]) == 1
    assert [item.get("text") for item in menu("katib", "kubeflow-pipelines")["menuLinks"]] == [
        "Notebooks",
        "Katib",
        "Pipelines",
    ]


def test_the_controller_of_profiles_is_no_administrator_of_the_cluster() -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "profiles-cluster-rolebinding"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    name = edited("kubeflow-dashboard", binding)["roleRef"]["name"]
    made = [planned.manifest for planned in RECORDS["kubeflow-dashboard"].objects(inputs("kubeflow-dashboard"))]
    (role,) = [one for one in made if one["kind"] == "ClusterRole"]
    assert role["metadata"]["name"] == name
    assert "*" not in str(role["rules"])
    (bound,) = [rule for rule in role["rules"] if "bind" in rule["verbs"]]
    assert bound["resourceNames"] == ["kubeflow-admin", "kubeflow-edit", "kubeflow-view"]


def test_the_webhook_that_all_their_pods_wait_for_is_there_twice() -> None:
    made = [planned.manifest for planned in RECORDS["kubeflow-dashboard"].objects(inputs("kubeflow-dashboard"))]
    (kept,) = [one for one in made if one["kind"] == "PodDisruptionBudget"]
    assert kept["spec"]["selector"]["matchLabels"] == {"app": "poddefaults"}
    assert edited("kubeflow-dashboard", deployment("poddefaults-webhook-deployment"))["spec"]["replicas"] == 2


# Pipelines --------------------------------------------------------------------------------------------------------

PIPELINES = "kubeflow-pipelines"
OURS = {"host": "db.example.com", "version": "8.4"}


def test_no_password_that_everybody_knows_is_made() -> None:
    content = RECORDS[PIPELINES].content
    assert content is not None
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mysql-secret"},
        "stringData": {"password": ""},
    }
    assert content.edit(inputs(PIPELINES), secret) is None
    mysql = deployment("mysql")
    mysql["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "MYSQL_ALLOW_EMPTY_PASSWORD", "value": "true"}
    ]
    (variable,) = edited(PIPELINES, mysql)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "mysql-secret", "key": "password"}}


def test_the_whole_kustomizations_patches_are_made_here() -> None:
    certificate = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "kfp-cache-cert"},
        "spec": {"dnsNames": ["cache-server.$(kfp-namespace).svc"]},
    }
    assert edited(PIPELINES, certificate)["spec"]["dnsNames"] == ["cache-server.kubeflow.svc"]
    cache = deployment("cache-server")
    cache["spec"]["template"]["spec"]["containers"][0]["args"] = [
        "--namespace_to_watch=",
        "--tls_cert_filename=tls.crt",
    ]
    args = edited(PIPELINES, cache)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args == ["--namespace_to_watch=", "--tls_cert_filename=tls.crt", "--tls_key_filename=tls.key"]
    content = RECORDS[PIPELINES].content
    assert content is not None
    assert content.edit(inputs(PIPELINES), deployment("cache-deployer-deployment")) is None


def test_a_database_that_is_there_takes_the_place_of_the_clusters() -> None:
    content = RECORDS[PIPELINES].content
    assert content is not None
    given = inputs(PIPELINES, database=OURS)
    assert content.edit(given, deployment("mysql")) is None
    assert content.edit(inputs(PIPELINES), deployment("mysql")) is not None
    data = edited(PIPELINES, config("pipeline-install-config", mysqlHost="mysql"), database=OURS)["data"]
    assert (data["mysqlHost"], data["mysqlPort"]) == ("db.example.com", "3306")
    egress = [
        planned.manifest["spec"]["egress"]
        for planned in RECORDS[PIPELINES].objects(given)
        if planned.manifest["metadata"]["name"] == "pipelines-database"
    ]
    assert egress == [[{"ports": [{"protocol": "TCP", "port": 3306}]}]]


@pytest.mark.parametrize(("version", "served"), [("8.0.36", True), ("8.4", True), ("9.1", False), ("5.7.44", False)])
def test_a_mysql_that_metadata_cannot_log_in_to_is_refused(version: str, served: bool) -> None:
    found = list(RECORDS[PIPELINES].judges(inputs(PIPELINES, database={**OURS, "version": version})))
    assert (found == []) == served
    if not served:
        assert (
            found[0]
            .text()
            .startswith(
                f"espalier:addons.kubeflow-pipelines.database.version: got MySQL {version}; accepted: MySQL 8.0 to "
                "8.4, which has mysql_native_password. Name another database"
            )
        )


def test_steps_of_tenants_reach_the_api_metadata_store_and_api_servers() -> None:
    servers = RECORDS[PIPELINES].traffic.servers
    assert [(one.namespace, one.ports) for one in servers] == [
        ("kubeflow", (8887, 8888)),
        ("kubeflow", (8080,)),
        ("kubeflow", (8333,)),
        ("", (443, 6443)),
    ]
    made = [planned.manifest["spec"] for planned in RECORDS[PIPELINES].objects(inputs(PIPELINES))]
    let_in = {
        (str(spec["podSelector"]["matchLabels"]), port["port"])
        for spec in made
        for rule in spec.get("ingress", ())
        if "from" in rule
        for port in rule["ports"]
    }
    assert let_in == {(str(dict(one.pods)), port) for one in servers if one.namespace for port in one.ports}


def test_a_tenant_may_end_its_runs_and_a_viewer_only_see_them() -> None:
    given = Given.by([RECORDS[PIPELINES]])
    tenant = Tenant.model_validate({"name": "v", "groups": {"view": ["r"], "edit": ["w"]}}, strict=False)
    (work,) = compile_tenant(tenant, [], given).workspaces
    roles = {one.manifest["metadata"]["name"]: one.manifest for one in work.objects if one.manifest["kind"] == "Role"}

    def verbs(role: str) -> set[str]:
        rules = roles[role]["rules"]
        return {verb for rule in rules if rule["apiGroups"] == ["pipelines.kubeflow.org"] for verb in rule["verbs"]}

    assert verbs("tenant-view") == {"get", "list", "watch"}
    assert {"create", "delete", "terminate", "retry", "enable"} <= verbs("tenant-edit")


def test_pipelines_are_refused_where_their_pods_could_land_on_arm() -> None:
    arm = pool("gh200", taints=(), labels={"kubernetes.io/arch": "arm64"})
    _, mistakes = plan_addons({PIPELINES: {}}, RECORDS, FACTS, (arm,))
    assert [m.got for m in mistakes if "arm64" in m.got] == ["kubeflow-pipelines on pool gh200, whose nodes are arm64"]


# Katib ------------------------------------------------------------------------------------------------------------


def katib(file: str, *pools: PoolFacts, beside: tuple[str, ...] = STACK, **data: str) -> Any:
    name = "katib-config" if file == "katib-config.yaml" else "trial-templates"
    made = edited("katib", config(name, **{file: "", **data}), *pools, beside=beside)
    return {key: yaml.safe_load(text) for key, text in made["data"].items()}


CONFIG = "init: {controller: {webhookPort: 8443, trialResources: [Job.v1.batch, MPIJob.v1.kubeflow.org]}}"


def test_trials_are_of_the_kinds_that_the_stack_has() -> None:
    def kinds(*more: str) -> list[str]:
        (made,) = katib("katib-config.yaml", beside=(*STACK, *more), **{"katib-config.yaml": CONFIG}).values()
        assert made["init"]["controller"]["enableLeaderElection"] is True
        assert made["init"]["controller"]["webhookPort"] == 8443
        return made["init"]["controller"]["trialResources"]

    assert kinds() == ["Job.v1.batch"]
    assert kinds("kubeflow-trainer") == ["Job.v1.batch", "TrainJob.v1alpha1.trainer.kubeflow.org"]
    assert "PyTorchJob.v1.kubeflow.org" in kinds("training-operator-v1")
    assert "MPIJob.v1.kubeflow.org" not in kinds("training-operator-v1", "mpi-operator")


def test_trial_templates_go_to_the_pools_and_a_restricted_namespace_takes_them() -> None:
    found = katib("defaultTrialTemplate.yaml", pool("h100"), pool("cpu", devices={}), enasCPUTemplate="x")
    assert sorted(found) == ["defaultTrialTemplate.yaml", "h100.yaml"]
    for template in found.values():
        (container,) = template["spec"]["template"]["spec"]["containers"]
        assert container["securityContext"]["runAsNonRoot"] is True
        assert "${trialParameters." in str(container["command"])
    pod = found["h100.yaml"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"espalier.dev/pool": "h100"}
    assert [one["key"] for one in pod["tolerations"]] == [PRESENT.key]
    assert pod["containers"][0]["resources"]["limits"] == {GPU: "1"}


def test_katib_without_a_mesh_has_no_page() -> None:
    content = RECORDS["katib"].content
    assert content is not None
    page = deployment("katib-ui")
    assert content.edit(inputs("katib", beside=("kubeflow-base", "cert-manager", "katib")), page) is None
    assert content.edit(inputs("katib"), page) is not None


def test_katibs_database_is_its_own_or_one_that_is_there() -> None:
    content = RECORDS["katib"].content
    assert content is not None
    given = inputs("katib", database={"host": "db.example.com"})
    assert content.edit(given, deployment("katib-mysql")) is None
    made = content.edit(given, deployment("katib-db-manager"))
    assert made is not None
    env = {one["name"]: one for one in made["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["KATIB_MYSQL_DB_HOST"]["value"] == "db.example.com"
    assert env["DB_USER"]["valueFrom"]["secretKeyRef"] == {"name": "katib-mysql-secrets", "key": "DB_USER"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "katib-mysql-secrets"}, "data": {}}
    assert content.edit(inputs("katib"), secret) is None


def test_trials_report_to_katibs_database_manager_and_its_controller_asks_suggestions() -> None:
    traffic = traffic_of(RECORDS["katib"], {})
    assert [(one.namespace, one.ports) for one in traffic.servers] == [("kubeflow", (6789,)), ("", (443, 6443))]
    assert [(one.namespace, one.ports) for one in traffic.callers] == [("kubeflow", (6788, 6789))]
