"""Charts that are written here, rendered by the real renderer: what comes out, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from espalier.charts.cache import Cache
from espalier.charts.objects import Object, objects_of, scopes_of
from espalier.charts.phases import in_order, withheld
from espalier.charts.render import Request, folder_digest, render
from espalier.charts.tool import Item
from espalier.content import ChartSource, Content, KustomizeSource, ManifestSource, reference
from espalier.types import Mistake, Planned

pytestmark = pytest.mark.usefixtures("renderer")

CHART = "apiVersion: v2\nname: demo\nversion: 1.0.0\n"
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %ss.example.com}
spec: {group: example.com, scope: %s, names: {kind: %s, plural: %ss}, versions: []}
"""


def config(name: str, body: str = "", **annotations: str) -> str:
    notes = "".join(f"\n    {key}: {value!r}" for key, value in annotations.items())
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
    return head + (f"  annotations:{notes}\n" if notes else "") + body


class Charts:
    """Renders charts of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache")
        self.told: list[str] = []

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in {"Chart.yaml": CHART, **files}.items():
            path = self.folder / "charts" / "demo" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def request(self, values: Mapping[str, Any], kubernetes: str, **rules: Any) -> Request:
        content = Content(source=ChartSource("demo", "1.0.0", "charts"), namespace="team", **rules)
        path = self.folder / "charts" / "demo"
        return Request("demo", content, values, kubernetes, path, folder_digest(path))

    def items(self, files: Mapping[str, str], kubernetes: str = "1.36", **values: Any) -> list[Item]:
        self.write(files)
        items, mistakes = render(self.request(values, kubernetes), self.cache, self.told.append)
        assert not mistakes, mistakes
        return list(items)

    def refused(self, files: Mapping[str, str], **values: Any) -> list[Mistake]:
        self.write(files)
        items, mistakes = render(self.request(values, "1.36"), self.cache, self.told.append)
        assert not items
        return mistakes

    def objects(self, files: Mapping[str, str], **rules: Any) -> tuple[list[Object], list[Mistake]]:
        self.write(files)
        request = self.request({}, "1.36", **rules)
        items, mistakes = render(request, self.cache, self.told.append)
        assert not mistakes, mistakes
        return objects_of("demo", request.content, items, scopes_of(items))


@pytest.fixture
def charts(tmp_path: Path) -> Charts:
    return Charts(tmp_path)


def names(objects: list[Object]) -> list[str]:
    return [reference(obj.manifest) for obj in objects]


def test_values_reach_the_templates_and_notes_are_no_object(charts: Charts) -> None:
    [item] = charts.items(
        {
            "values.yaml": "a: 1\nb: 2\n",
            "templates/x.yaml": config("x", 'data: {a: "{{ .Values.a }}", b: "{{ .Values.b }}"}\n'),
            "templates/NOTES.txt": "Thank you for {{ .Release.Name }}: not YAML at all {",
        },
        b=3,
    )
    assert item.object["data"] == {"a": "1", "b": "3"}
    assert item.source == "demo/templates/x.yaml"


def test_a_chart_that_changes_its_values_as_it_renders_is_the_same_each_time(charts: Charts) -> None:
    """As Istio's do: a template merges hidden defaults into the values, then takes the defaults away."""
    profile = (
        "{{- with .Values.hidden }}{{ $_ := mustMergeOverwrite $.Values (deepCopy .) }}"
        '{{ $_ := set $.Values.inner "count" (add1 $.Values.inner.count) }}{{ end }}'
        '{{ $_ := unset $.Values "hidden" }}'
    )
    [item] = charts.items(
        {
            "values.yaml": "hidden: {a: 1}\ninner: {count: 1}\n",
            "templates/x.yaml": config("x", 'data: {a: "{{ .Values.a }}", count: "{{ .Values.inner.count }}"}\n'),
            "templates/zz.yaml": profile,
        }
    )
    assert item.object["data"] == {"a": "1", "count": "2"}


def test_subcharts_come_with_their_condition_and_take_their_values(charts: Charts) -> None:
    files = {
        "Chart.yaml": CHART + "dependencies: [{name: sub, version: 1.0.0, condition: sub.enabled}]\n",
        "values.yaml": "sub: {enabled: false, word: parents}\n",
        "charts/sub/Chart.yaml": CHART.replace("demo", "sub"),
        "charts/sub/values.yaml": "word: own\n",
        "charts/sub/templates/s.yaml": config("s", 'data: {w: "{{ .Values.word }}"}\n'),
    }
    assert charts.items(files) == []
    [item] = charts.items(files, sub={"enabled": True})
    assert item.object["data"] == {"w": "parents"}


def test_a_missing_subchart_is_named(charts: Charts) -> None:
    [mistake] = charts.refused({"Chart.yaml": CHART + "dependencies: [{name: sub, version: 1.0.0}]\n"})
    assert "lacks its dependency sub" in mistake.got


def test_versions_are_those_that_it_is_told(charts: Charts) -> None:
    text = """\
data:
  version: "{{ .Capabilities.KubeVersion.Minor }}"
  dra: "{{ .Capabilities.APIVersions.Has "resource.k8s.io/v1" }}"
  old: "{{ .Capabilities.APIVersions.Has "policy/v1beta1" }}"
  kind: "{{ .Capabilities.APIVersions.Has "apps/v1/Deployment" }}"
  ours: "{{ .Capabilities.APIVersions.Has "cert-manager.io/v1/Issuer" }}"
"""
    files = {"templates/x.yaml": config("x", text)}
    [new], [old] = charts.items(files), charts.items(files, kubernetes="1.33")
    assert new.object["data"] == {"version": "36", "dra": "true", "old": "false", "kind": "true", "ours": "false"}
    assert old.object["data"]["version"] == "33"
    assert old.object["data"]["dra"] == "false"
    request = charts.request({}, "1.36", api_versions=("cert-manager.io/v1/Issuer",))
    assert render(request, charts.cache, print)[0][0].object["data"]["ours"] == "true"


def test_a_chart_for_other_versions_of_kubernetes_is_refused(charts: Charts) -> None:
    [mistake] = charts.refused({"Chart.yaml": CHART + 'kubeVersion: "<1.30"\n'})
    assert "needs Kubernetes <1.30, the cluster has v1.36.0" in mistake.got


RANDOM = {
    "now": '{{ now | date "2006" }}',
    "date": '{{ date "2006" now }}',
    "randAlphaNum": "{{ randAlphaNum 8 }}",
    "genCA": '{{ (genCA "x" 3).Cert }}',
    "uuidv4": "{{ uuidv4 }}",
    "lookup": '{{ lookup "v1" "Secret" "a" "b" }}',
    "tpl": '{{ tpl "{{ randInt 1 9 }}" . }}',
    "include": '{{ include "helper" . }}',
}


@pytest.mark.parametrize("function", sorted(RANDOM))
def test_what_differs_from_render_to_render_is_refused_with_its_template(charts: Charts, function: str) -> None:
    helper = '{{ define "helper" }}{{ shuffle "abc" }}{{ end }}'
    body = f"data:\n  x: |-\n    {RANDOM[function]}\n"
    [mistake] = charts.refused({"templates/secret.yaml": config("x", body), "templates/_h.tpl": helper})
    called = {"date": "now", "tpl": "randInt", "include": "shuffle"}.get(function, function)
    file = "demo/templates/_h.tpl:1" if function == "include" else "demo/templates/secret.yaml:7"
    assert mistake.got == f"{file}: calls {called}"
    assert mistake.path == "espalier:addons.demo"


def test_a_random_function_that_is_not_called_does_no_harm(charts: Charts) -> None:
    body = 'data: {x: "{{ if .Values.given }}{{ .Values.given }}{{ else }}{{ randAlpha 5 }}{{ end }}"}\n'
    [item] = charts.items({"templates/x.yaml": config("x", body)}, given="mine")
    assert item.object["data"] == {"x": "mine"}


def test_violations_of_a_schema_name_the_keys(charts: Charts) -> None:
    schema = '{"properties": {"replicas": {"type": "integer"}, "a": {"properties": {"mode": {"enum": ["x"]}}}}}'
    files = {
        "Chart.yaml": CHART + "dependencies: [{name: sub, version: 1.0.0}]\n",
        "values.schema.json": schema,
        "charts/sub/Chart.yaml": CHART.replace("demo", "sub"),
        "charts/sub/values.schema.json": schema,
    }
    found = charts.refused(files, replicas="3", a={"mode": "y"}, sub={"replicas": "4"})
    assert sorted((mistake.path, mistake.got) for mistake in found) == [
        ("espalier:addons.demo.values.a.mode", "'y'"),
        ("espalier:addons.demo.values.replicas", "'3'"),
        ("espalier:addons.demo.values.sub.replicas", "'4'"),
    ]
    assert "want integer" in next(m.accepted for m in found if m.path.endswith("values.replicas"))


def test_a_template_that_fails_is_told_in_its_own_words(charts: Charts) -> None:
    [mistake] = charts.refused({"templates/x.yaml": '{{ fail "set storage.class" }}'})
    assert "demo/templates/x.yaml:1" in mistake.got
    assert "set storage.class" in mistake.got
    [broken] = charts.refused({"templates/x.yaml": "a: [1,"})
    assert "demo/templates/x.yaml: is not YAML" in broken.got


def test_a_second_render_comes_from_the_cache(charts: Charts) -> None:
    files = {"templates/x.yaml": config("x")}
    first = charts.items(files)
    charts.told.clear()
    assert charts.items(files) == first
    assert charts.told == []  # the renderer was not asked
    charts.items(files, other=1)
    assert charts.told == ["rendering demo"]


def test_lists_are_taken_apart_and_namespaces_filled_in(charts: Charts) -> None:
    listed = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: two, namespace: lost}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: three, namespace: kube-system}}
- {apiVersion: example.com/v1, kind: Queue, metadata: {name: four}}
- {apiVersion: example.com/v1, kind: Fleet, metadata: {name: five}}
- {apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: six}}
"""
    crds = f"{CRD % ('queue', 'Namespaced', 'Queue', 'queue')}---\n{CRD % ('fleet', 'Cluster', 'Fleet', 'fleet')}"
    files = {"templates/x.yaml": listed, "crds/all.yaml": crds}
    objects, mistakes = charts.objects(files, cluster_scoped=frozenset({"ClusterIssuer"}))
    assert not mistakes
    assert names(objects)[2:] == [
        "configmap/team/one",
        "clusterrole.rbac.authorization.k8s.io/two",
        "configmap/kube-system/three",
        "queue.example.com/team/four",
        "fleet.example.com/five",
        "clusterissuer.cert-manager.io/six",
    ]


def test_twins_that_differ_are_refused_and_twins_that_do_not_are_one(charts: Charts) -> None:
    files = {"templates/a.yaml": config("x"), "templates/b.yaml": config("x"), "templates/c.yaml": config("z")}
    objects, mistakes = charts.objects(files)
    assert names(objects) == ["configmap/team/x", "configmap/team/z"]
    assert not mistakes
    _, [mistake] = charts.objects({**files, "templates/b.yaml": config("x", "data: {k: v}\n")})
    assert "configmap/team/x from demo/templates/a.yaml" in mistake.got
    assert "demo/templates/b.yaml" in mistake.got


def test_objects_that_are_none_are_named_with_their_template(charts: Charts) -> None:
    texts = ["kind: ConfigMap\nmetadata: {name: x}", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}"]
    _, found = charts.objects({f"templates/{i}.yaml": text for i, text in enumerate(texts)})
    assert [mistake.got for mistake in found] == [
        "demo/templates/0.yaml: no apiVersion",
        "demo/templates/1.yaml: a Pod with generateName, so another one each time",
    ]


HOOKS = {
    "templates/job.yaml": config("migrate", **{"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "5"}),
    "templates/secret.yaml": config("secret", **{"helm.sh/hook": "pre-install", "helm.sh/hook-weight": "-5"}),
    "templates/after.yaml": config("notify", **{"helm.sh/hook": "post-install"}),
    "templates/test.yaml": config("try-it", **{"helm.sh/hook": "test"}),
    "templates/bye.yaml": config("clean", **{"helm.sh/hook": "pre-delete"}),
    "templates/plain.yaml": config("plain"),
}


def test_hooks_without_a_rule_are_named_all_of_them(charts: Charts) -> None:
    _, found = charts.objects(HOOKS, hooks={"ConfigMap/migrate": "keep"})
    assert sorted(mistake.got.partition(",")[0] for mistake in found) == [
        "ConfigMap/clean",
        "ConfigMap/notify",
        "ConfigMap/secret",
    ]
    assert all("keep or drop" in mistake.accepted for mistake in found)


def test_kept_hooks_stand_in_order_and_tests_are_left_out(charts: Charts) -> None:
    rules = {"ConfigMap/migrate": "keep", "ConfigMap/s*": "keep", "ConfigMap/notify": "keep", "ConfigMap/clean": "drop"}
    objects, mistakes = charts.objects(HOOKS, hooks=rules)
    assert not mistakes
    content = Content(source=ChartSource("demo", "1", "."), namespace="team")
    planned = {item.suffix: item for item in in_order(content, objects, ())}
    assert list(planned) == [
        "namespace/team",
        "configmap/team/plain",
        "configmap/team/secret",
        "configmap/team/migrate",
        "configmap/team/notify",
    ]
    assert planned["configmap/team/migrate"].needs == ("configmap/team/secret",)
    assert planned["configmap/team/notify"].needs == ("configmap/team/migrate",)
    assert "helm.sh" not in str(planned["configmap/team/secret"].manifest)


def test_a_rule_that_fits_no_hook_or_keeps_a_hook_of_deletion_is_refused(charts: Charts) -> None:
    _, [unused] = charts.objects({"templates/x.yaml": config("x")}, hooks={"Job/gone": "drop"})
    assert unused.got == "'Job/gone'"
    files = {"templates/bye.yaml": HOOKS["templates/bye.yaml"]}
    _, [late] = charts.objects(files, hooks={"ConfigMap/clean": "keep"})
    assert "a hook of pre-delete" in late.got


def test_definitions_from_both_places_come_first_and_stay(charts: Charts) -> None:
    queue = "apiVersion: example.com/v1\nkind: Queue\nmetadata: {name: main}\n"
    files = {
        "crds/queue.yaml": CRD % ("queue", "Namespaced", "Queue", "queue"),
        "templates/fleet.yaml": CRD % ("fleet", "Cluster", "Fleet", "fleet"),
        "templates/main.yaml": queue,
        "templates/kept.yaml": config("kept", **{"helm.sh/resource-policy": "keep"}),
        "templates/own.yaml": config("own"),
        "templates/server.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: server}\n",
        "templates/issuer.yaml": "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: ca}\n",
    }
    objects, mistakes = charts.objects(files)
    assert not mistakes
    content = Content(source=ChartSource("demo", "1", "."), namespace="team")
    own = Planned("mine", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": "team"}})
    planned = {item.suffix: item for item in in_order(content, objects, [own])}
    crds = [f"customresourcedefinition.apiextensions.k8s.io/{name}.example.com" for name in ("fleets", "queues")]
    assert list(planned) == [
        "namespace/team",
        *crds,
        "configmap/team/kept",
        "configmap/team/own",
        "mine",
        "deployment.apps/team/server",
        "issuer.cert-manager.io/team/ca",
        "queue.example.com/team/main",
    ]
    assert set(planned["configmap/team/own"].needs) == set(crds)
    with_workloads = {"deployment.apps/team/server", "issuer.cert-manager.io/team/ca"}
    for name in with_workloads:  # side by side: the server may wait for its certificate
        assert set(planned[name].needs) == {"configmap/team/kept", "configmap/team/own", "mine"}
    assert set(planned["queue.example.com/team/main"].needs) == with_workloads
    retained = {suffix for suffix, item in planned.items() if item.retain}
    assert retained == {*crds, "configmap/team/kept", "namespace/team"}  # with the namespace goes what is in it
    skipped, _ = charts.objects(files, crds="skip")
    assert not [name for name in names(skipped) if name in crds]


def test_what_needs_a_server_of_pods_is_withheld_where_no_pods_run(charts: Charts) -> None:
    hook = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %s}
webhooks: [{name: a.example.com, clientConfig: {%s}}]
"""
    api = """\
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.metrics.example.com}
spec: {service: {name: x, namespace: team}}
"""
    conversion = "  conversion: {strategy: Webhook, webhook: {clientConfig: {service: {name: x, namespace: y}}}}\n"
    crd = (
        (CRD % ("queue", "Namespaced", "Queue", "queue")).replace("spec: {", "spec:\n  ").replace(", versions: []}", "")
    )
    crd = crd.replace(", scope", "\n  scope").replace(", names", "\n  names") + "\n" + conversion
    objects, _ = charts.objects(
        {
            "templates/pods.yaml": hook % ("pods", "service: {name: x, namespace: y}"),
            "templates/url.yaml": hook % ("url", "url: 'https://127.0.0.1:1'"),
            "templates/api.yaml": api,
            "crds/queue.yaml": crd,
        }
    )
    kept, out = withheld(objects)
    definition = "customresourcedefinition.apiextensions.k8s.io/queues.example.com"
    assert names(kept) == [definition, "validatingwebhookconfiguration.admissionregistration.k8s.io/url"]
    assert "conversion" not in kept[0].manifest["spec"]
    assert out == [
        "apiservice.apiregistration.k8s.io/v1.metrics.example.com",
        f"conversion of {definition}",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/pods",
    ]


def test_a_kustomization_in_a_folder_and_in_an_archive(
    charts: Charts, made_archive: Callable[[Mapping[str, str]], bytes]
) -> None:
    files = {
        "base/kustomization.yaml": "resources: [x.yaml]\nnamePrefix: pre-\n",
        "base/x.yaml": config("x", "data: {k: v}\n"),
        "over/kustomization.yaml": "resources: [../base]\nlabels: [{pairs: {team: vision}}]\n",
    }
    for name, text in files.items():
        path = charts.folder / "kustomize" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    source = KustomizeSource("kustomize", "1", "over")
    content = Content(source=source, namespace="team")
    [item] = render(Request("k", content, {}, "1.36", charts.folder / "kustomize", "sha256:1"), charts.cache, print)[0]
    assert item.object["metadata"] == {"name": "pre-x", "labels": {"team": "vision"}}
    remote = Content(source=KustomizeSource("https://x.example.com/k.tar.gz", "1", "over"), namespace="team")
    pinned = charts.cache.put(made_archive(files))
    request = Request("k", remote, {}, "1.36", charts.cache.path(pinned), pinned)
    assert [item.object for item in render(request, charts.cache, print)[0]] == [item.object]


def test_further_folders_of_a_kustomization_are_rendered_after_the_first(
    charts: Charts, made_archive: Callable[[Mapping[str, str]], bytes]
) -> None:
    files = {f"{name}/kustomization.yaml": f"resources: [x.yaml]\nnamePrefix: {name}-\n" for name in ("a", "b", "c")}
    files |= {f"{name}/x.yaml": config("x") for name in ("a", "b", "c")}
    pinned = charts.cache.put(made_archive(files))

    def names(*further: str) -> list[str]:
        source = KustomizeSource("https://x.example.com/k.tar.gz", "1", "b", further=further)
        content = Content(source=source, namespace="team")
        items, mistakes = render(
            Request("k", content, {}, "1.36", charts.cache.path(pinned), pinned), charts.cache, print
        )
        return [mistake.got for mistake in mistakes] or [item.object["metadata"]["name"] for item in items]

    assert names() == ["b-x"]
    assert names("a", "c") == ["b-x", "a-x", "c-x"]
    (text,) = names("a", "none")
    assert "none" in text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_kustomization_that_loads_more_from_a_network_is_refused(charts: Charts, scheme: str) -> None:
    folder = charts.folder / "kustomize"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(f"resources: ['{scheme}://x.example.com/more.yaml']\n")
    content = Content(source=KustomizeSource("kustomize", "1"), namespace="team")
    items, [mistake] = render(Request("k", content, {}, "1.36", folder, "sha256:1"), charts.cache, print)
    assert not items
    assert f"{scheme}://x.example.com/more.yaml" in mistake.got
    assert "127.0.0.1:9" in mistake.got  # it was not let out
    assert mistake.do == "Copy what it loads into the source."


def test_manifests_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        f"{config('x', 'data: {day: 2026-01-01, at: 12:30:00, on: yes, mode: 0644, big: 1e3}')}\n---\n---\n"
    )
    content = Content(source=ManifestSource("x.yaml", "1"), namespace="team")
    [item] = render(Request("m", content, {}, "1.36", path, "sha256:1"), Cache(tmp_path), print)[0]
    assert item.object["data"] == {"day": "2026-01-01", "at": "12:30:00", "true": True, "mode": 420, "big": 1000.0}
    path.write_text("a: [")
    _, [mistake] = render(Request("m", content, {}, "1.36", path, "sha256:1"), Cache(tmp_path), print)
    assert mistake.got.startswith("x.yaml: ")
