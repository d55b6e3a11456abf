"""`hooks: release`: Helm installs the chart, and plans, policies and the embedded engine know what that means."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from espalier.charts.cache import digest_of
from espalier.cli import main
from espalier.engine.model import Resource
from espalier.engine.target import refusals
from espalier.policies.pack import policies
from espalier.report.documents import schema_of

jsonschema = pytest.importorskip("jsonschema", reason="a development dependency")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("home", "renderer")

POD = "spec: {containers: [{name: c, image: %r, resources: {requests: {cpu: 1m, memory: 1Mi}}}]%s}"
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: queue}}
spec:
  replicas: {{{{ .Values.replicas }}}}
  selector: {{matchLabels: {{app: q}}}}
  template: {{metadata: {{labels: {{app: q}}}}, {POD % ("example.com/queue:1.0.0", "")}}}
"""
JOB = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{generateName: migrate-, annotations: {{helm.sh/hook: "pre-install,pre-upgrade"}}}}
spec: {{template: {{{POD % ("example.com/migrate", ", restartPolicy: Never")}}}}}
"""
TEST = "{apiVersion: v1, kind: Pod, metadata: {name: probe, annotations: {helm.sh/hook: test}}, spec: {}}\n"
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {word: canary-77}}\n"
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Thing, plural: things}, versions: []}
"""
FILES = {
    "Chart.yaml": "apiVersion: v2\nname: queue\nversion: 1.0.0\n",
    "values.yaml": "replicas: 1\n",
    "templates/deployment.yaml": DEPLOYMENT,
    "templates/job.yaml": JOB,
    "templates/test.yaml": TEST,
    "crds/thing.yaml": CRD,
}
EXISTING = {"kind": "existing", "version": "1.36", "kubeconfig": "none", "context": "none"}


class Project:
    """A project whose one stack, `t`, has an add-on `queue`, a chart beside the stack file that Helm installs."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.stacks = folder / "stacks"
        self.settings: dict[str, Any] = {"cluster": EXISTING, "addons": {"queue": {"values": {"replicas": 2}}}}
        self._capsys = capsys
        self.write(FILES)
        self.record()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.stacks / "charts" / "queue" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def record(self, source: dict[str, Any] | None = None, **rules: Any) -> None:
        chart = {"chart": {"name": "queue", "repo": "charts", "version": "1.0.0"}}
        record = {"source": source or chart, "namespace": "work", "hooks": "release", **rules}
        path = self.stacks / "addons" / "queue.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(record))

    def run(self, *command: str, code: int = 0) -> Any:
        config = {f"espalier:{key}": value for key, value in self.settings.items()}
        (self.stacks / "Pulumi.t.yaml").write_text(yaml.safe_dump({"config": config}))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([command[0], "t", *command[1:], "--json"])
        document = json.loads(self._capsys.readouterr().out)
        assert ended.value.code == code, document
        jsonschema.validate(document, schema_of(command[0]))
        return document

    def mistakes(self) -> str:
        return "\n".join(json.dumps(error) for error in self.run("plan", code=2)["errors"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    return Project(folder, capsys)


def resource(document: Any, name: str) -> Any:
    return next(row for row in document["resources"] if row["name"] == name)


def policy(document: Any, name: str) -> Any:
    return next(row for row in document["policies"] if row["name"] == name)


def test_one_release_comes_after_the_namespace_and_the_definitions(project: Project) -> None:
    document = project.run("plan", code=1)
    release = resource(document, "platform-queue-release")
    assert release["type"] == "kubernetes:helm.sh/v3:Release"
    inputs = release["inputs"]
    assert (inputs["name"], inputs["namespace"], inputs["values"]) == ("queue", "work", {"replicas": 2})
    assert inputs["chart"] == "./stacks/charts/queue"
    assert (inputs["skipCrds"], inputs["skipAwait"], inputs["atomic"]) == (True, False, True)
    addon = resource(document, "platform-queue")
    assert release["parent"] == addon["urn"]
    before = {row["urn"].rpartition("::")[2] for row in document["resources"] if row["urn"] in release["dependencies"]}
    assert before == {
        "platform-queue-namespace/work",
        "platform-queue-customresourcedefinition.apiextensions.k8s.io/things.example.com",
    }
    assert {row["type"].rpartition(":")[2] for row in document["resources"] if row["parent"] == addon["urn"]} == {
        "CustomResourceDefinition",
        "Namespace",
        "Release",
    }


def test_what_helm_installs_is_in_the_plan(project: Project) -> None:
    project.write({"templates/secret.yaml": SECRET})
    document = project.run("plan", code=1)
    found = {obj["kind"]: obj for obj in document["kubernetes"] if obj["metadata"].get("namespace") == "work"}
    assert set(found) == {"Deployment", "Secret"}
    assert found["Deployment"]["spec"]["replicas"] == 2
    assert found["Secret"]["stringData"] == {"word": {"$secret": True}}
    assert "canary-77" not in json.dumps(document)
    assert {(row["image"], row["addon"]) for row in document["images"]} == {
        ("example.com/queue:1.0.0", "queue"),
        ("example.com/migrate", "queue"),
        ("registry.k8s.io/pause:3.10", ""),  # verify --probe's
    }


def test_policies_judge_what_helm_installs_and_its_hooks(project: Project) -> None:
    document = project.run("plan", code=1)
    [finding] = policy(document, "pinned-images")["findings"]
    assert finding["urn"].endswith("::platform-queue")
    assert "example.com/migrate" in finding["message"]
    assert "Helm release" not in json.dumps([row["not_judged"] for row in document["policies"]])
    project.write({"templates/job.yaml": JOB.replace("com/migrate", "com/migrate:1.0.0")})
    project.run("plan")
    project.write({"templates/deployment.yaml": DEPLOYMENT.replace("queue:1.0.0", "queue:latest")})
    assert "queue:latest" in policy(project.run("plan", code=1), "pinned-images")["findings"][0]["message"]


def test_crossguard_judges_it_in_the_preview(project: Project) -> None:
    """Before anything of it is made, by the component's inputs; a stack policy gets the same as its outputs."""
    release, addon = [
        SimpleNamespace(urn=row["urn"], resource_type=row["type"], name=row["name"], props=row["inputs"])
        for row in project.run("plan", code=1)["resources"]
        if row["name"] in ("platform-queue", "platform-queue-release")
    ][::-1]
    found: list[tuple[str, str | None]] = []
    by_name: dict[str, Any] = {each.name: each for each in policies()}
    for name, args in (("pinned-images", addon), ("not-judged", SimpleNamespace(resources=[release, addon]))):
        by_name[name].validate(args, lambda text, urn=None: found.append((text, urn)))
    [(message, urn)] = [each for each in found if "Helm release" in each[0] or "image" in each[0]]
    assert "example.com/migrate" in message
    assert urn == addon.urn


def test_the_embedded_engine_refuses_it_by_name_with_what_to_do(project: Project) -> None:
    release = resource(project.run("plan", code=1), "platform-queue-release")
    told = ("urn", "type", "name", "parent", "inputs", "dependencies", "options")
    rest: dict[str, Any] = {"custom": True, "property_dependencies": {}, "provider": ""}
    asked = Resource(**{key: release[key] for key in told}, **rest)
    [problem] = refusals(asked)
    assert problem.urn.endswith("::platform-queue-release")
    assert "pulumi up" in problem.do
    assert "keep or drop" in problem.do


@pytest.mark.parametrize(
    ("files", "rules", "said"),
    [
        ({"templates/crd.yaml": CRD.replace("thing", "other")}, {}, "others.example.com among the templates"),
        ({"templates/ns.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: work}}\n"}, {}, "Namespace/work"),
        ({"templates/job.yaml": ""}, {}, "release for a chart without hooks"),
        ({}, {"source": {"manifests": {"url": "x.yaml", "version": "1"}}}, "release for a chart only"),
    ],
)
def test_what_a_release_cannot_be_is_refused(
    project: Project, files: dict[str, str], rules: dict[str, Any], said: str
) -> None:
    project.write(files)
    project.record(**rules)
    assert said in project.mistakes()


def test_a_definition_of_the_templates_that_is_to_stay_is_the_releases(project: Project) -> None:
    keep = "annotations: {helm.sh/resource-policy: keep}, name"
    project.write({"templates/crd.yaml": CRD.replace("thing", "other").replace("{name: others", f"{{{keep}: others")})
    document = project.run("plan", code=1)
    assert "others.example.com" not in json.dumps(document["resources"][-1]["urn"])
    assert {o["metadata"]["name"] for o in document["kubernetes"] if o["kind"] == "CustomResourceDefinition"} == {
        "others.example.com",
        "things.example.com",
    }


def test_images_of_a_mirror_are_the_values_matter(project: Project) -> None:
    project.settings["sources"] = {"registry": "registry.example.com/mirror"}
    said = project.mistakes()
    assert "the image example.com/queue:1.0.0" in said
    assert "registry.example.com/mirror/example.com/queue:1.0.0" in said
    assert "the image example.com/migrate" in said


def test_a_changed_chart_is_a_changed_release(project: Project) -> None:
    before = resource(project.run("plan", code=1), "platform-queue-release")["inputs"]
    project.write({"templates/more.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: more}}\n"})
    after = resource(project.run("plan", code=1), "platform-queue-release")["inputs"]
    assert {key for key in before if before[key] != after[key]} == {"description"}


def test_an_archive_that_was_changed_is_refused_though_its_render_is_known(
    project: Project, made_archive: Callable[[dict[str, str]], bytes]
) -> None:
    data = made_archive({f"queue/{name}": text for name, text in FILES.items()})
    chart = {"name": "queue", "repo": "https://charts.invalid", "version": "1.0.0", "digest": digest_of(data)}
    project.record({"chart": chart})
    project.settings["sources"] = {"cache": "../cache"}
    path = Path("cache/sha256") / digest_of(data).removeprefix("sha256:")
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert resource(project.run("plan", code=1), "platform-queue-release")["inputs"]["chart"] == f"./{path}"
    path.write_bytes(data + b"more")
    assert "has the digest" in project.mistakes()


def test_a_simulated_cluster_gets_the_objects_and_no_hook(project: Project) -> None:
    project.settings["cluster"] = {"kind": "simulated"}
    document = project.run("plan")
    assert not any(row["type"].startswith("kubernetes:helm.sh") for row in document["resources"])
    assert resource(document, "platform-queue-deployment.apps/work/queue")
    [addon] = document["addons"]
    assert addon["withheld"] == ["hook Job/migrate-"]
