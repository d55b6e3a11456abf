"""Break-out attempts by people of a tenant to whom some tool gave broad roles, and each guard taken away once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest

from espalier import sim
from espalier.blueprint.guards import (
    BINDINGS,
    IMAGES,
    NAMESPACES,
    PLACEMENT,
    PODS,
    PROFILES,
    QUEUES,
    SCALERS,
    SERVICES,
    guards,
)
from espalier.blueprint.names import DOMAINS, FORBIDDEN_POOLS, PRIORITIES
from espalier.blueprint.scaling import Server, scaled_object
from espalier.kube import ApiError, Client, Kind
from espalier.types import Manifest
from espalier.verify.contention import contention_tasks
from espalier.verify.isolation import isolation_tasks
from espalier.verify.model import Context, Outcome
from espalier.verify.quota import quota_tasks
from espalier.verify.stage import Stage
from tests.sim.attempts import (
    ATTEMPTS,
    BINDING,
    BY,
    CLAIM,
    CONFIG_MAP,
    CONTAINER,
    ELSEWHERE,
    EXTRA,
    NAME,
    NAMESPACE,
    PORT,
    PROFILE,
    backed,
    binding,
    certificate,
    creates,
    credentials,
    finalized,
    ingress,
    lets_in,
    made,
    mapping,
    monitor,
    pod,
    route,
    scaler,
    small_pod,
    virtual,
    workload,
)
from tests.sim.tenancy import RBAC, Attempt, add, bound, objects, person, planned, remove, role


@pytest.fixture(scope="module")
def admin(sim_cluster: sim.SimStatus) -> Iterator[Client]:
    """The administrator of a cluster with two tenants, and with broad roles that another tool brings."""
    client = Client.connect(sim_cluster.kubeconfig)
    everything = [*objects(planned()), *EXTRA]
    add(client, everything)
    yield client
    remove(client, everything)


@pytest.fixture(scope="module")
def mallory(
    admin: Client, sim_cluster: sim.SimStatus, tmp_path_factory: pytest.TempPathFactory, eventually_: Callable[..., Any]
) -> Client:
    """Of tenant vision, with every right in its namespace and many beyond; all guards are at work."""
    who = person(sim_cluster, tmp_path_factory.mktemp("people"), "mallory", "vision-engineers")
    eventually_(lambda: all(attempt.refusal(who) for attempt in ATTEMPTS))
    return who


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_fails_by_its_guard(attempt: Attempt, mallory: Client) -> None:
    assert any(f"'{guard}'" in attempt.refusal(mallory) for guard in attempt.kept_by)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_who_brings_the_stack_up_is_not_stopped(attempt: Attempt, admin: Client) -> None:
    if attempt.kept_by[0] not in (PODS, SERVICES, IMAGES):
        assert attempt.refusal(admin) == ""


@pytest.mark.parametrize("guard", sorted(BY))
def test_without_its_guard_each_attempt_succeeds(
    guard: str, mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Those of two guards once both are gone."""
    kept = [attempt for attempt in ATTEMPTS if guard in attempt.kept_by]
    gone = {name for attempt in kept for name in attempt.kept_by}
    assert kept
    try:
        for name in sorted(gone):
            admin.delete(BINDING, name)
        for attempt in kept:
            eventually(lambda attempt=attempt: attempt.refusal(mallory) == "")
    finally:
        for name in sorted(gone):
            admin.apply(BY[name])
        eventually(lambda: all(attempt.refusal(mallory) for attempt in ATTEMPTS))


def test_a_notebooks_service_account_is_the_tenants_and_an_add_ons_is_not(mallory: Client, admin: Client) -> None:
    rights = bound("test-accounts", "test-broad", "unused", "vision")
    accounts = [{"kind": "ServiceAccount", "name": "default", "namespace": ns} for ns in ("vision", "kube-public")]
    binding = {**rights, "subjects": accounts}
    admin.create(binding)
    try:
        as_account = [
            admin.as_user(f"system:serviceaccount:{ns}:default", ["system:serviceaccounts", "system:authenticated"])
            for ns in ("vision", "kube-public")
        ]
        theirs = [
            one for one in ATTEMPTS if one.name in ("raise its quota", "open its network", "a finalizer of its own")
        ]
        theirs.append(creates("as KServe does", SERVICES, ELSEWHERE))
        assert [bool(one.refusal(who)) for who in as_account for one in theirs] == [True] * 4 + [False] * 4
    finally:
        admin.delete(Kind(f"{RBAC}/v1", "RoleBinding"), "test-accounts", "vision")


def test_what_kubeflow_gives_notebooks_gets_no_further_with_every_right(mallory: Client, admin: Client) -> None:
    """As default-editor, by which the pods of a notebook ask the API server."""
    spaces = ("vision", "small-ana")
    grants = [
        {**bound("test-editor", "test-broad", "", ns), "subjects": [{"kind": "ServiceAccount", "name": "default-editor",
         "namespace": ns}]} for ns in spaces
    ]  # fmt: skip
    add(admin, grants)
    try:
        editors = [
            admin.as_user(
                f"system:serviceaccount:{ns}:default-editor", ["system:serviceaccounts", "system:authenticated"]
            )
            for ns in spaces
        ]
        within = [
            one
            for one in ATTEMPTS
            if one.kept_by[-1] not in (NAMESPACES, PROFILES) and "PriorityClass" not in one.name[-21:]
        ]
        got = {
            one.name
            for one in within
            if not any(f"'{guard}'" in one.refusal(editor) for editor in editors for guard in one.kept_by)
        }
        assert got == set()
    finally:
        remove(admin, grants)


def test_a_job_is_let_into_the_queue_by_no_class_that_its_owner_may_not_have(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Kueue makes Workloads in its own name, and puts others' out for them before there are pods."""
    above = Attempt("", (), lambda who: who.create(workload("espalier-interactive", 900_000), dry_run=True))
    assert "priority class espalier-interactive is not for this tenant" in above.refusal(admin)
    admin.create(workload("espalier-batch", 1000), dry_run=True)
    admin.delete(BINDING, PODS)
    try:
        eventually(lambda: above.refusal(admin) == "")
    finally:
        admin.apply(BY[PODS])
        eventually(lambda: above.refusal(admin))


KFAM = [
    (RBAC, "rolebindings", "create update delete get"),
    (RBAC, "clusterroles", "bind get"),
    ("kubeflow.org", "profiles", "create update patch delete get"),
]


def test_kfam_lets_people_in_and_no_service_account_of_elsewhere_and_makes_no_profile(
    mallory: Client, admin: Client
) -> None:
    """It does in its own name what owners ask of it; the controller of Profiles, of the same account, does its work."""
    account = "system:serviceaccount:kubeflow:profiles-controller-service-account"
    grant = [role("test-kfam", KFAM), bound("test-kfam", "test-kfam", account)]
    kfam = admin.as_user(account, ["system:serviceaccounts", "system:authenticated"])
    within = ("User", "ana@example.com"), ("Group", "readers"), ("ServiceAccount", "default-editor", "vision")
    within = (*within, ("ServiceAccount", "profiles-controller-service-account", "kubeflow"))
    add(admin, grant)
    try:
        kept = [one for one in ATTEMPTS if {BINDINGS, PROFILES} & set(one.kept_by)]
        assert [one.name for one in kept if f"'{one.kept_by[-1]}'" not in one.refusal(kfam)] == []
        said = Attempt("", (), lets_in("ServiceAccount", "x", "language")).refusal(kfam)
        assert "x is of elsewhere or of the cluster itself" in said
        for subject in within:
            kfam.create(binding(*subject), dry_run=True)
        kfam.patch(PROFILE, "vision", {"metadata": {"finalizers": ["profile-finalizer"]}}, dry_run=True)
    finally:
        remove(admin, grant)


def test_what_was_let_in_before_may_still_be_changed_in_other_ways(mallory: Client, admin: Client) -> None:
    """By who may not let it in: else a finalizer would never go."""
    mine = [role("test-old", KFAM), bound("test-old", "test-old", "olaf"), binding("ServiceAccount", "x", "language")]
    add(admin, mine)
    kfam = admin.as_user("system:serviceaccount:kubeflow:kfam", ["system:authenticated"])
    grant = bound("test-kfam", "test-old", "system:serviceaccount:kubeflow:kfam")
    add(admin, [grant])
    try:
        body = {**binding("ServiceAccount", "x", "language")}
        live = kfam.get(Kind(body["apiVersion"], "RoleBinding"), "in", "vision")
        assert live is not None
        live["metadata"]["labels"] = {"a": "b"}
        path = f"/apis/{RBAC}/v1/namespaces/vision/rolebindings/in"
        kfam.request("PUT", path, query={"dryRun": "All"}, body=live)
    finally:
        remove(admin, [*mine, grant])


def test_a_scaler_asks_for_its_own_whoever_makes_it(mallory: Client, admin: Client) -> None:
    """KServe makes one of what a tenant wrote; Espalier's own, and such as are of no others' business, are let in."""
    account = "system:serviceaccount:kserve:kserve-controller-manager"
    grant = [role("test-kserve", [("keda.sh", "*", "*")]), bound("test-kserve", "test-kserve", account)]
    kserve = admin.as_user(account, ["system:authenticated"])
    server = Server(
        name="llm", namespace="vision", minimum=1, maximum=4, prometheus="http://prometheus.monitoring:9090"
    )
    spec = scaled_object(server)["spec"]
    own = scaler()
    fine = [
        own,
        {**own, "spec": spec},
        scaler("ScaledJob", type="cron"),
        scaler(type="cpu"),
        scaler(query='max(nv_queue{exported_namespace="vision"}[5m:1m]) > bool 3'),
        credentials(secretTargetRef=[{"parameter": "token", "name": "s", "key": "k"}]),
        credentials(env=[{"parameter": "token", "name": "T"}]),
    ]
    add(admin, grant)
    try:
        for client, manifest in product((mallory, kserve), fine):
            client.create(manifest, dry_run=True)
        kept = [one for one in ATTEMPTS if one.kept_by == (SCALERS,)]
        assert [one.name for one in kept if f"'{SCALERS}'" not in one.refusal(kserve)] == []
        said = Attempt("", (), lambda who: who.create(scaler(query="up"), dry_run=True)).refusal(mallory)
        assert 'each selector of its query has namespace="vision"' in said
    finally:
        remove(admin, grant)


KUEUE = "system:serviceaccount:kueue-system:kueue-controller-manager"


def test_kueue_does_its_work_on_workloads_in_its_own_name(mallory: Client, admin: Client) -> None:
    """It makes, admits, changes and releases them, also such as were made when their tenant had a higher class."""
    kind = Kind("kueue.x-k8s.io/v1beta2", "Workload")
    rights = [("kueue.x-k8s.io", "*", "*"), ("batch", "jobs", "*"), ("", "pods", "*")]
    grant = [role("test-kueue", rights), bound("test-kueue", "test-kueue", KUEUE)]
    kueue = admin.as_user(KUEUE, ["system:serviceaccounts", "system:authenticated"])
    add(admin, grant)
    held = {"finalizers": ["kueue.x-k8s.io/resource-in-use"], "namespace": "small-ana"}
    own = {**workload("espalier-batch", 1000), "metadata": {**held, "name": "w"}}
    before = {**workload("espalier-serving", 1_000_000), "metadata": {**held, "name": "old"}}
    higher = {"priorityClassRef": {"name": "espalier-serving"}, "priority": 900_000}
    try:
        kueue.create(own)
        kueue.patch(kind, "w", {"spec": {"active": False}}, namespace="small-ana")
        with pytest.raises(ApiError, match="priority class espalier-serving is not for this tenant"):
            kueue.create(before, dry_run=True)
        admin.patch(NAMESPACE, "small-ana", {"metadata": {"annotations": {PRIORITIES: None}}})
        try:
            kueue.create(before)
        finally:
            admin.patch(NAMESPACE, "small-ana", {"metadata": {"annotations": {PRIORITIES: "espalier-batch"}}})
        kueue.patch(kind, "old", {"spec": {"active": False}}, namespace="small-ana")
        with pytest.raises(ApiError, match="is not for this tenant"):
            kueue.patch(kind, "w", {"spec": higher}, namespace="small-ana", dry_run=True)
    finally:
        for name in ("w", "old"):
            if kueue.get(kind, name, "small-ana"):
                kueue.patch(kind, name, {"metadata": {"finalizers": None}}, namespace="small-ana")
                kueue.delete(kind, name, "small-ana")
        remove(admin, grant)


def test_a_controller_makes_no_pod_that_its_owner_could_not(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    template = {"spec": {"restartPolicy": "Never", "priorityClassName": "theirs", "containers": [CONTAINER]}}
    mallory.create(made("batch/v1", "Job", "first", spec={"template": template}))
    try:
        events = partial(admin.list, Kind("v1", "Event"), "vision")
        told = eventually(lambda: [e["message"] for e in events() if e["reason"] == "FailedCreate"])
        assert "priority class theirs is not for this tenant" in told[0]
    finally:
        mallory.delete(Kind("batch/v1", "Job"), "first", "vision")


def test_what_tenants_do_all_day_is_let_through(mallory: Client, admin: Client) -> None:
    for manifest in (
        pod(),
        small_pod(priorityClassName="espalier-batch"),
        pod(priorityClassName="espalier-interactive"),
        made("v1", "Service", "s", spec={"ports": [{"port": 80}]}),
        made("v1", "ConfigMap", "c", data={"a": "b"}),
        finalized("ConfigMap", "c"),
        certificate("s.vision.svc", kind="Issuer"),
        monitor(port="http", relabelings=[{"targetLabel": "team", "replacement": "vision"}]),
        monitor({"matchNames": ["vision"]}, port="http", tlsConfig={"ca": {"secret": {"name": "s", "key": "ca"}}}),
        {**EXTRA[-2], "metadata": {"name": "more", "namespace": "vision"}},
    ):
        mallory.create(manifest, dry_run=True)
    mallory.patch(CLAIM, "data", {"metadata": {"labels": {"a": "b"}}}, namespace="vision", dry_run=True)
    mallory.patch(CONFIG_MAP, "own", {"data": {"a": "b"}}, namespace="vision", dry_run=True)
    mallory.create(made("v1", "Namespace", "free", ""), dry_run=True)


def test_a_tenant_serves_by_hosts_of_its_own_domains_alone(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    def refused(manifest: Manifest) -> bool:
        return bool(Attempt("", (), lambda who: who.create(manifest, dry_run=True)).refusal(mallory))

    admin.patch(NAMESPACE, "vision", {"metadata": {"annotations": {DOMAINS: "v.example.com,w.org"}}})
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    mesh = made("networking.istio.io/v1", "VirtualService", "v", spec={"hosts": ["a.w.org"]})
    try:
        eventually(lambda: not refused(ingress("v.example.com")))
        its = [ingress("a.v.example.com"), ingress("*.w.org"), route("w.org", "b.w.org"), mesh]
        its += [virtual("s"), virtual("s.vision.svc.cluster.local"), backed(name="s", port=80), certificate("b.w.org")]
        its += [mapping("a.w.org"), mapping("w.org", service="http://s.vision:80")]
        its += [made("serving.knative.dev/v1beta1", "DomainMapping", "k.w.org", spec={"ref": {"name": "s"}})]
        its += [made("v1", "Service", "s", spec=PORT, metadata={"annotations": {NAME: "a.w.org"}})]
        assert [refused(one) for one in its] == [False] * len(its)
        others = [
            ingress("av.example.com"),
            ingress("example.com"),
            ingress(),
            ingress("w.org", defaultBackend=backend),
            ingress("w.org", tls=[{"hosts": ["example.com"], "secretName": "s"}]),
            route(),
            route("w.org", "example.com"),
            {**mesh, "spec": {"hosts": ["*"]}},
            virtual("s.language.svc.cluster.local"),
            virtual("s.language"),
            virtual("s", mirror={"host": "s.language"}),
            virtual("s", mirrors=[{"destination": {"host": "s.language"}}]),
            virtual("s", delegate={"name": "v", "namespace": "language"}),
            backed(group="networking.istio.io", kind="Hostname", name="s.language.svc.cluster.local"),
            certificate("b.w.org", "example.com"),
            mapping("example.com"),
            mapping(""),
            mapping("a.w.org", service="s.language"),
            mapping("a.w.org", service="https://s.language.svc.cluster.local:443/x"),
            mapping("a.w.org", host_regex=True),
            made("serving.knative.dev/v1beta1", "DomainMapping", "example.com", spec={"ref": {"name": "s"}}),
        ]
        assert [refused(one) for one in others] == [True] * len(others)
    finally:
        admin.patch(NAMESPACE, "vision", {"metadata": {"annotations": {DOMAINS: None}}})
        eventually(lambda: refused(ingress("v.example.com")))


AWAY = [
    {"key": "espalier.dev/pool", "operator": "NotIn", "values": ["h100"]},
    {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]},
]


def terms(pod: Manifest) -> list[Any]:
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    return [term["matchExpressions"] for term in required.get("nodeSelectorTerms", [])]


def test_devices_of_a_kind_of_capacity_are_counted_and_are_of_that_kind(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Whoever makes the pods: quotas and the policy know no people."""

    def asks(count: int, priority: str = "") -> str | list[Any]:
        """Where a pod with so many devices would be let to, or which quota refuses it."""
        limits = {"resources": {"limits": {"nvidia.com/gpu": count, "cpu": 1, "memory": "1Gi"}}}
        spec = {"containers": [{**CONTAINER, **limits}], **({"priorityClassName": priority} if priority else {})}
        try:
            return terms(admin.create(made("v1", "Pod", "p", "split", spec=spec), dry_run=True))
        except ApiError as error:
            return error.message.partition("exceeded quota: ")[2].partition(",")[0]

    def landing(operator: str) -> list[Any]:
        return [[{"key": "espalier.dev/capacity", "operator": operator, "values": ["spot"]}]]

    eventually(lambda: asks(2, "espalier-batch-spot") == landing("In"))
    assert asks(3, "espalier-serving-spot") == "tenant-spot"
    eventually(lambda: asks(1) == landing("NotIn"))
    assert asks(1, "espalier-serving") == landing("NotIn")
    assert asks(2) == asks(2, "espalier-batch") == "tenant-on-demand"
    others = pod(priorityClassName="espalier-batch-spot")
    assert "is not for this tenant" in Attempt("", (), lambda who: who.create(others, dry_run=True)).refusal(mallory)


def test_pods_are_kept_off_anothers_pool_and_off_capacity_that_is_not_theirs(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    lured = small_pod(nodeSelector={"espalier.dev/pool": "h100"}, tolerations=[{"operator": "Exists"}])
    eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [AWAY])
    assert terms(mallory.create(pod(), dry_run=True)) == []
    kind = Kind("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding")
    (binding,) = [
        one for one in objects(planned()) if one["kind"] == kind.kind and one["metadata"]["name"] == PLACEMENT
    ]
    admin.delete(kind, PLACEMENT)
    try:
        eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [])
    finally:
        admin.apply(binding)
        eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [AWAY])


def test_the_quotas_of_a_tenant_that_is_held_closer_are_asked_all_the_same(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """By pods that its guards let through, the one of before Kubernetes 1.36 too: else a guard would answer."""
    older = [g.manifest for g in guards("1.35", [FORBIDDEN_POOLS]) if g.manifest["metadata"]["name"] == PLACEMENT]
    anywhere = Attempt("", (), lambda who: who.create(small_pod(tolerations=[{"operator": "Exists"}]), dry_run=True))
    context = Context(planned(), admin, simulated=True, probe=True)
    stage = Stage(context)
    add(admin, older)
    try:
        eventually(lambda: anywhere.refusal(mallory))
        asked = [*quota_tasks(context), *contention_tasks(context, stage)]
        found = {task.name: task.run() for task in asked if task.name.endswith(("/small", "/split"))}
        assert set(found) == {f"{check}/{name}" for check in ("quota", "contention") for name in ("small", "split")}
        assert [one for one in found.values() if not (isinstance(one, Outcome) and one.ok)] == []
    finally:
        remove(admin, older)


def test_a_role_that_a_person_of_a_tenant_has_elsewhere_is_found(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    def verdict() -> Outcome:
        context = Context(planned(), admin, simulated=True, probe=True)
        (task,) = [task for task in isolation_tasks(context) if task.name == "isolation/small"]
        found = task.run()
        assert isinstance(found, Outcome)
        return found

    well = verdict()
    assert well.ok, well.evidence
    assert "Asked for the rules of olga in " in well.evidence
    admin.create(bound("test-stray", "view", "olga", "vision"))
    try:
        assert eventually(lambda: "olga may, by its rules in namespace vision: " in verdict().evidence)
        assert not verdict().ok
    finally:
        admin.delete(Kind(f"{RBAC}/v1", "RoleBinding"), "test-stray", "vision")


@pytest.mark.parametrize("system", ["volcano", "kai-scheduler"])
def test_work_names_the_queue_of_its_tenant_whoever_makes_it(
    system: str, admin: Client, eventually: Callable[..., Any]
) -> None:
    pair = [g.manifest for g in guards("1.36", system=system) if g.manifest["metadata"]["name"] == QUEUES]
    assert not [g for g in guards("1.36", system="kueue") if g.manifest["metadata"]["name"] == QUEUES]

    def naming(queue: str) -> list[Manifest]:
        kai, volcano = {"kai.scheduler/queue": queue}, {"scheduling.volcano.sh/queue-name": queue}
        return [
            {**pod(), "metadata": {"name": "p", "namespace": "vision", "labels": kai}},
            {**pod(), "metadata": {"name": "p", "namespace": "vision", "annotations": volcano}},
            made("batch.volcano.sh/v1alpha1", "Job", "j", spec={"queue": queue}),
            made("scheduling.run.ai/v2alpha2", "PodGroup", "g", spec={"queue": queue}),
        ]

    def refused(manifest: Manifest) -> bool:
        said = Attempt("", (), lambda who: who.create(manifest, dry_run=True)).refusal(admin)
        assert not said or "is not this tenant's; name vision, or none" in said, said
        return bool(said)

    assert [refused(one) for one in naming("language")] == [False] * 4
    add(admin, pair)
    try:
        eventually(lambda: all(refused(one) for one in naming("language")))
        assert [refused(one) for one in [*naming("vision"), *naming("default"), pod()]] == [False] * 9
    finally:
        remove(admin, pair)
        eventually(lambda: not any(refused(one) for one in naming("language")))


def test_before_1_36_such_pods_say_where_they_go(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    older = [g.manifest for g in guards("1.35", [FORBIDDEN_POOLS]) if g.manifest["metadata"]["name"] == PLACEMENT]
    add(admin, older)
    on = {"espalier.dev/pool": "l4", "espalier.dev/capacity": "on-demand"}
    anywhere = Attempt("", (), lambda who: who.create(small_pod(tolerations=[{"operator": "Exists"}]), dry_run=True))
    try:
        said = eventually(lambda: anywhere.refusal(mallory))
        assert "select by spec.nodeSelector a espalier.dev/pool that is none of h100" in said
        for selector, allowed in (
            (on, True),
            ({**on, "espalier.dev/pool": "h100"}, False),
            ({**on, "espalier.dev/capacity": "spot"}, False),
        ):
            body = small_pod(nodeSelector=selector, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}])
            one = Attempt("", (), lambda who, body=body: who.create(body, dry_run=True))
            assert (one.refusal(mallory) == "") is allowed
        mallory.create(small_pod(), dry_run=True)
        mallory.create(pod(tolerations=[{"operator": "Exists"}]), dry_run=True)
        for kind, priority, allowed in (
            ("spot", "espalier-batch-spot", True),
            ("on-demand", "espalier-batch-spot", False),
            ("on-demand", "espalier-batch", True),
            ("spot", "espalier-batch", False),
            ("spot", "", False),
            ("", "", False),
        ):
            selector = {"espalier.dev/capacity": kind} if kind else {}
            named = {"priorityClassName": priority} if priority else {}
            spec = {"containers": [CONTAINER], "tolerations": [{"operator": "Exists"}], "nodeSelector": selector}
            body = made("v1", "Pod", "p", "split", spec={**spec, **named})
            one = Attempt("", (), lambda who, body=body: who.create(body, dry_run=True))
            assert (one.refusal(admin) == "") is allowed, (kind, priority)
    finally:
        remove(admin, older)
