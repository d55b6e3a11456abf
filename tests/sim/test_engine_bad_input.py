"""Bad input, signals and another cluster, through the real command: one report of all, and never a traceback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from espalier import sim
from espalier.engine.destroy import destroy
from espalier.engine.namespace import LEASE, NAMESPACE
from espalier.kube import Client, Kind, Reference
from tests.sim.audit import lines_of

NAMESPACE_KIND = Kind("v1", "Namespace")
CONFIG_MAP = Kind("v1", "ConfigMap")
HEADER = """
import pulumi

def obj(api, kind, name, body=None, metadata=None, **opts):
    manifest = {"metadata": {"name": name, **(metadata or {})}, **(body or {})}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**opts))

"""


@dataclass
class Project:
    """A project with one stack on an existing cluster, run as people run it."""

    folder: Path
    kubeconfig: Path
    context: str
    name: str
    started: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    def settings(self, kubeconfig: Path | None = None, context: str | None = None, **more: str) -> None:
        cluster = {"kind": "existing", "version": "1.36", **more}
        cluster |= {"kubeconfig": str(kubeconfig or self.kubeconfig), "context": context or self.context}
        file = self.folder / "stacks" / f"Pulumi.{self.name}.yaml"
        file.write_text(yaml.safe_dump({"config": {"espalier:cluster": cluster}}), "utf-8")

    def program(self, body: str) -> None:
        (self.folder / "__main__.py").write_text(HEADER + body.replace("%s", self.name), "utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "espalier.cli", *arguments, "--json"]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(self, *arguments: str) -> tuple[int, Any, str]:
        """Exit code, the document, and what people read; which is never a traceback."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    def up(self, *more: str) -> tuple[int, Any, str]:
        return self.run("up", self.name, "--engine", "embedded", "--yes", *more)

    def start(self) -> subprocess.Popen[str]:
        command = self.command("up", self.name, "--engine", "embedded", "--yes")
        pipe = subprocess.PIPE
        running = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=pipe, stderr=pipe, text=True)
        self.started.append(running)
        return running


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture
def project(
    tmp_path: Path, sim_cluster: sim.SimStatus, client: Client, request: pytest.FixtureRequest
) -> Iterator[Project]:
    name = request.node.name.partition("[")[0].replace("_", "-").removeprefix("test-")[:40].strip("-")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: trial\nruntime: python\nstackConfigDir: stacks\n", "utf-8")
    made = Project(tmp_path, sim_cluster.kubeconfig, f"espalier-sim-{sim_cluster.name}", name)
    made.settings()
    yield made
    for running in made.started:
        running.kill()
        running.communicate()
    destroy("trial", name, client)


@pytest.fixture
def writes(sim_cluster: sim.SimStatus, client: Client) -> Callable[[], list[str]]:
    """Gives what Espalier wrote since the fixture was made, from the audit log."""
    log = sim.audit_log_path(sim_cluster.name)
    start = len(lines_of(log))

    def found() -> list[str]:
        marker = f"marker-{time.monotonic_ns()}"
        client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": marker, "namespace": "default"}})
        client.delete(CONFIG_MAP, marker, "default")
        deadline = time.monotonic() + 60
        while True:
            lines = lines_of(log)[start:]
            if any(marker in line and '"delete"' in line for line in lines):
                break
            assert time.monotonic() < deadline, "the audit log does not come after"
            time.sleep(0.05)
        events = [json.loads(line) for line in lines]
        ours = [event for event in events if event.get("userAgent") == "espalier"]
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in ours
            if not any(word in json.dumps(event) for word in ("marker-", "dryRun"))
        ]

    return found


def edited(project: Project, change: Callable[[Any, Any], None]) -> Path:
    """A kubeconfig that differs; `change` gets the cluster and the user."""
    config = yaml.safe_load(project.kubeconfig.read_text())
    change(config["clusters"][0]["cluster"], config["users"][0]["user"])
    path = project.folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def expired(_: Any, user: Any) -> None:
    """Gives the user a certificate that was good until yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "someone")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(9)).not_valid_after(now - timedelta(1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    folder = Path(user.pop("folder"))
    for word, content in (("client-certificate", pem), ("client-key", private)):
        user.pop(f"{word}-data", None)
        (folder / word).write_bytes(content)
        user[word] = str(folder / word)


def with_token(_: Any, user: Any) -> None:
    user.clear()
    user["token"] = "expired-long-ago"


def elsewhere(cluster: Any, _: Any) -> None:
    cluster["server"] = "https://127.0.0.1:9"


KUBECONFIGS = [
    ("missing", None, 3, "no kubeconfig at", "kubeconfig"),
    ("malformed", "a: [", 3, "is not YAML", "correct the kubeconfig"),
    ("nothing in it", "{}", 3, "has no context 'espalier-sim-", "correct the kubeconfig"),
    ("unreachable", elsewhere, 3, "https://127.0.0.1:9 does not answer", "see whether the API server runs"),
    ("token", with_token, 1, "Unauthorized", "renew the credential"),
    ("certificate", expired, 1, "Unauthorized", "renew the credential"),
]


@pytest.mark.parametrize("verb", ["up", "preview", "destroy"])
@pytest.mark.parametrize(("what", "change", "code", "says", "do"), KUBECONFIGS, ids=[row[0] for row in KUBECONFIGS])
def test_a_kubeconfig_that_does_not_work(
    project: Project, what: str, change: Any, code: int, says: str, do: str, verb: str
) -> None:
    project.program("obj('core/v1', 'Namespace', '%s')")
    path = project.folder / "kubeconfig"
    if isinstance(change, str):
        path.write_text(change)
    elif change is not None:

        def with_folder(cluster: Any, user: Any) -> None:
            user["folder"] = str(project.folder)
            change(cluster, user)
            user.pop("folder", None)

        edited(project, with_folder)
    project.settings(kubeconfig=path)
    yes = ("--yes",) if verb != "preview" else ()
    found, document, _ = project.run(verb, project.name, "--engine", "embedded", *yes)
    text = json.dumps(document["errors"])
    assert (found, len(document["errors"])) == (code, 1), f"{what}: {text}"
    assert says in document["errors"][0]["got"], text
    assert do in document["errors"][0]["do"], text


CANNOT = """
from pulumi import dynamic

class Dynamic(dynamic.Resource, name="Dynamic"):
    pass

Dynamic(dynamic.ResourceProvider(), "dynamic", {})
ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": "%s"}
own = pulumi.ProviderResource("kubernetes", "bare", {})
obj("core/v1", "ConfigMap", "bare-provider", {}, inside, provider=own)
obj("core/v1", "ConfigMap", "twin", {}, inside)
pulumi.CustomResource("kubernetes:core/v1:ConfigMap", "other", {"metadata": {"name": "twin", **inside}})
obj("core/v1", "ConfigMap", "hooked", {}, inside, transforms=[lambda args: None])
obj("aws.example/v1", "ConfigMap", "patient", {}, {**inside, "annotations": {"pulumi.com/timeoutSeconds": "soon"}})
pulumi.CustomResource("aws:s3/bucket:Bucket", "bucket", {})
"""


def test_all_that_the_engine_cannot_do_in_one_report(project: Project, writes: Callable[[], list[str]]) -> None:
    project.program(CANNOT)
    code, document, _ = project.up()
    told = {error["path"].rpartition("::")[2]: error for error in document["errors"][1:]}
    assert code == 1
    twin = (set(told) & {"twin", "other"}) or {"twin"}
    assert set(told) == {"bare-provider", "bucket", "dynamic", "hooked", "patient", *twin}, told
    assert len(twin) == 1
    assert all(error["do"] for error in told.values())
    assert "its provider has no kubeconfig" in told["bare-provider"]["got"]
    assert "transforms" in told["hooked"]["got"]
    assert "needs a provider plugin" in told["bucket"]["got"]
    assert writes() == []


LISTED = """
obj("core/v1", "Namespace", "%s")
obj("core/v1", "ConfigMap", "same", {}, {"namespace": "%s"})
obj("core/v1", "ConfigMap", "same", {}, {"namespace": "%s"})
"""


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        (LISTED, "ConfigMap::same", "registered twice"),
        ("pulumi.StackReference('other/stack')", "StackReference::other/stack", "reads the outputs of another stack"),
        (
            "from pulumi.dynamic import *\nclass M(Resource, name='M'): pass\nM(ResourceProvider(), 'made', {})",
            "::made",
            "provider plugin",
        ),
        (
            "pulumi.runtime.register_resource_transform(lambda args: None)\nobj('core/v1', 'Namespace', '%s')",
            "register_stack_transform",
            "called back by an engine",
        ),
        ("raise ValueError('my own mistake')", "program", "ValueError: my own mistake"),
        ("import nothing_of_that_name", "program", "nothing_of_that_name"),
    ],
    ids=["same URN", "StackReference", "dynamic", "transform", "raises", "import"],
)
def test_what_a_program_cannot_ask(
    project: Project, writes: Callable[[], list[str]], body: str, where: str, says: str
) -> None:
    project.program(body)
    code, document, _ = project.up()
    assert code == 1
    found = [error for error in document["errors"] if error["path"].endswith(where) and says in error["got"]]
    assert found, document["errors"]
    assert found[0]["do"]
    assert writes() == []


REFUSED = """
ns = obj("core/v1", "Namespace", "%s", {}, {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}})
inside = {"namespace": ns.metadata["name"]}
quota = obj("core/v1", "ResourceQuota", "few", {"spec": {"hard": {"secrets": "0", "limits.memory": "1Gi"}}}, inside)
most = {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}
obj("core/v1", "LimitRange", "most", {"spec": most}, inside)
obj("core/v1", "ServiceAccount", "runner", {}, inside)
match = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                            "resources": ["configmaps"]}],
         "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "%s"}}}
rule = {"expression": "!has(object.data) || !('bad' in object.data)", "message": "no key may be called bad"}
policy = obj("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "%s",
             {"spec": {"matchConstraints": match, "validations": [rule], "failurePolicy": "Fail"}})
binding = obj("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "%s",
              {"spec": {"policyName": "%s", "validationActions": ["Deny"]}}, depends_on=[policy])
"""
BAD = """
fixed = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "replicas": -1, "template": {
    "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "example.com/x:1.2.3"}]}}}}
obj("apps/v1", "Deployment", "value", fixed, inside)
obj("core/v1", "ConfigMap", "field", {"dta": {"a": "b"}}, inside)
obj("core/v1", "Secret", "quota", {"stringData": {"a": "b"}}, inside)
obj("core/v1", "ConfigMap", "policy", {"data": {"bad": "1"}}, inside)
obj("core/v1", "ConfigMap", "nowhere", {}, {"namespace": "no-such-namespace"})
obj("core/v1", "ConfigMap", "ending", {}, {"namespace": "%s-ending"})
obj("core/v1", "ConfigMap", "name", {}, {**inside, "name": "Not_A_Name"})
obj("core/v1", "ConfigMap", "large", {"data": {"a": "x" * 1100000}}, inside)
obj("no.example.com/v1", "Unknown", "kind", {}, inside)

def pod(name, container=None, **spec):
    bare = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    safe = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    one = {"name": "c", "image": "example.com/x:1.2.3", "securityContext": bare, **(container or {})}
    spec = {"serviceAccountName": "runner", "securityContext": safe, "containers": [one], **spec}
    obj("core/v1", "Pod", name, {"spec": spec}, inside)

pod("security", {"securityContext": {"allowPrivilegeEscalation": True}})
pod("limits")
pod("range", {"resources": {"limits": {"cpu": "3", "memory": "1Mi"}}})
pod("account", serviceAccountName="nobody")
pod("priority", priorityClassName="no-such-class")
obj("core/v1", "ConfigMap", "good", {"data": {"a": "b"}}, inside)
"""
SAID = {
    "value": ("spec.replicas: Invalid value: -1", "correct the fields"),
    "field": (".dta: field not declared in schema", "correct its name"),
    "quota": ("exceeded quota: few", "raise the quota"),
    "policy": ("no key may be called bad", "admission policy"),
    "nowhere": ('namespaces "no-such-namespace" not found', "register the namespace"),
    "ending": ("is being terminated", "wait until the namespace is gone"),
    "name": ("metadata.name: Invalid value", "correct the name"),
    "large": ("may not be more than 1048576 bytes", "split the object"),
    "security": ("violates PodSecurity", "what its namespace's Pod Security level takes"),
    "limits": ("failed quota: few: must specify limits.memory", "give the requests and limits"),
    "range": ("maximum cpu usage per Container is 2", "LimitRange"),
    "account": ("nobody", "register the ServiceAccount"),
    "priority": ("no PriorityClass with name no-such-class", "register the PriorityClass"),
    "kind": ("serves no no.example.com/v1/Unknown", "CustomResourceDefinition"),
}


def test_each_common_refusal_of_the_api_server(project: Project, client: Client, eventually: Any) -> None:
    project.program(REFUSED)
    assert project.up()[0] == 0
    ending = f"{project.name}-ending"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ending}})
    held = {"name": "held", "namespace": ending, "finalizers": ["example.com/held"]}
    client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    client.delete(NAMESPACE_KIND, ending)
    # A policy counts a moment after it was made.
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"bad": "1"}}
    probe["metadata"] = {"name": "probe", "namespace": project.name}
    eventually(lambda: _refused(client, probe))
    try:
        project.program(REFUSED + BAD)
        code, document, _ = project.up()
        told = {error["path"].rpartition("::")[2]: error for error in document["errors"][1:]}
        assert (code, set(told)) == (1, set(SAID)), document["errors"]
        for name, (says, do) in SAID.items():
            assert says in told[name]["got"], told[name]
            assert do in told[name]["do"], told[name]
        assert client.find_object(Reference(CONFIG_MAP, project.name, "good"))
        code, document, _ = project.run("preview", project.name, "--engine", "embedded")
        previewed = {error["path"].rpartition("::")[2] for error in document["errors"][1:]}
        # A kind may come with its definition, which a dry run cannot tell.
        assert (code, previewed) == (1, set(SAID) - {"kind"}), document["errors"]
    finally:
        client.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, namespace=ending)


def _refused(client: Client, manifest: Any) -> bool:
    from espalier.kube import ApiError

    try:
        client.create(manifest, dry_run=True)
    except ApiError:
        return True
    return False


def test_a_user_without_rights(project: Project, client: Client) -> None:
    """As an impersonated user: what is forbidden is told with who lacks what."""
    path = edited(project, lambda _, user: user.update({"as": "nobody"}))
    project.settings(kubeconfig=path)
    project.program("obj('core/v1', 'Namespace', '%s')")
    code, document, _ = project.up()
    (error,) = document["errors"]
    assert code == 1
    assert 'User "nobody" cannot' in error["got"]
    assert "have the right granted" in error["do"]
    assert client.find_object(Reference(NAMESPACE_KIND, "", project.name)) is None


WAITS = """
ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": ns.metadata["name"]}
first = [obj("core/v1", "ConfigMap", f"first{i}", {}, inside) for i in range(5)]
pod = {"spec": {"nodeSelector": {"no-such": "node"}, "containers": [{"name": "c", "image": "example.com/x:1.2.3"}]}}
never = obj("core/v1", "Pod", "never", pod, inside, depends_on=first)
after = [obj("core/v1", "ConfigMap", f"after{i}", {}, inside, depends_on=[never]) for i in range(5)]
"""


def waits_for_the_pod(client: Client, name: str) -> Callable[[], bool]:
    return lambda: client.find_object(Reference(Kind("v1", "Pod"), name, "never")) is not None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_order(
    project: Project, client: Client, eventually: Any, number: signal.Signals, code: int
) -> None:
    project.program(WAITS)
    running = project.start()
    eventually(waits_for_the_pod(client, project.name))
    leases = client.list(LEASE, NAMESPACE)
    assert len([lease for lease in leases if f"pid {running.pid}" in lease["spec"]["holderIdentity"]]) == 1
    running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert running.returncode == code
    assert "Traceback" not in err
    errors = json.loads(out)["errors"]
    assert errors[0]["got"] == f"stopped by {number.name}: 6 of 12 objects are as the program says"
    told = {error["path"].rpartition("::")[2]: error for error in errors[1:]}
    assert "while waiting for" in told["never"]["got"]
    assert "run `up` again" in told[f"trial/{project.name}"]["do"]
    assert len(told) == 2
    assert not [lease for lease in client.list(LEASE, NAMESPACE) if str(running.pid) in str(lease["spec"])]
    assert not client.find_object(Reference(CONFIG_MAP, project.name, "after0"))
    project.program(WAITS.partition("pod =")[0])
    again, document, _ = project.up()
    assert again == 0
    ops = {change["urn"].rpartition("::")[2]: change["op"] for change in document["changes"]}
    assert ops["never"] == "delete"
    assert {op for name, op in ops.items() if name != "never"} <= {"same", "delete"}


def test_a_second_signal_ends_at_once(project: Project, client: Client, eventually: Any) -> None:
    """The program itself cannot be broken off in order: it sleeps."""
    project.program(
        "import time\nns = obj('core/v1', 'Namespace', '%s')\n"
        "pulumi.runtime.is_dry_run() or ns.id.apply(lambda _: time.sleep(300))"
    )
    running = project.start()
    eventually(lambda: client.find_object(Reference(NAMESPACE_KIND, "", project.name)))
    running.send_signal(signal.SIGINT)
    # One that comes within a second of the first, as the run sees them, is taken for the same.
    time.sleep(4)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "once more ends at once" in err
    assert "Traceback" not in err
    project.program("obj('core/v1', 'Namespace', '%s')")
    assert project.up()[0] == 0


def test_a_signal_before_anything_is_written(project: Project, writes: Callable[[], list[str]]) -> None:
    project.program("import pathlib, time\npathlib.Path('began').touch()\ntime.sleep(300)")
    running = project.start()
    deadline = time.monotonic() + 120
    while not (project.folder / "began").exists():
        assert time.monotonic() < deadline, "the program was not run"
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, "Traceback" in err) == (143, False)
    assert json.loads(out)["errors"][0]["got"] == "ended by SIGTERM"
    assert writes() == []


def test_a_killed_run_holds_nobody_up(project: Project, client: Client, eventually: Any) -> None:
    project.program(WAITS)
    running = project.start()
    eventually(waits_for_the_pod(client, project.name))
    code, document, _ = project.up()
    assert code == 1
    assert f"pid {running.pid} has been running `up` since" in document["errors"][1]["got"]
    assert f"kill {running.pid}" in document["errors"][1]["do"]
    running.kill()
    running.communicate()
    project.program(WAITS.partition("pod =")[0])
    # That this is at once is seen in test_engine_safety.py: how long a command takes hangs on the machine.
    code, document, _ = project.up()
    assert code == 0, document
    assert len(client.list(CONFIG_MAP, project.name)) == 6
    assert client.list(Kind("v1", "Pod"), project.name) == []


def test_another_cluster_behind_the_same_name(project: Project, writes: Callable[[], list[str]]) -> None:
    project.program("obj('core/v1', 'Namespace', '%s')")
    assert project.up()[0] == 0
    (memory,) = (project.folder / "state" / "espalier" / "clusters").iterdir()
    row = json.loads(memory.read_text())
    here, other = row["uid"], "00000000-0000-0000-0000-000000000000"
    memory.write_text(json.dumps({**row, "uid": other}))
    before = writes()
    for command in (("up", "--yes"), ("preview",), ("destroy", "--yes"), ("verify",)):
        engine = () if command[0] == "verify" else ("--engine", "embedded")
        code, document, _ = project.run(command[0], project.name, *command[1:], *engine)
        text = document["errors"][1]["got"] + document["errors"][1]["do"]
        assert (code, here in text, other in text, str(memory) in text) == (1, True, True, True), document
    project.settings(uid=here)  # what people pin counts more
    assert project.up()[0] == 0
    project.settings(uid=other)
    code, document, _ = project.up()
    assert (code, "espalier:cluster.uid is" in document["errors"][1]["got"]) == (1, True)
    assert writes() == before


def test_a_state_folder_that_cannot_be_written(project: Project, writes: Callable[[], list[str]]) -> None:
    (project.folder / "state").write_text("a file, where a folder should be")
    project.program("obj('core/v1', 'Namespace', '%s')")
    code, document, _ = project.up()
    assert code == 3
    assert "cannot be kept in" in document["errors"][0]["got"]
    assert "espalier:cluster.uid" in document["errors"][0]["do"]
    assert writes() == []


def test_nobody_to_ask(project: Project, writes: Callable[[], list[str]]) -> None:
    project.program("obj('core/v1', 'Namespace', '%s')")
    code, document, err = project.run("up", project.name, "--engine", "embedded")
    assert code == 3
    assert "--yes" in document["errors"][0]["do"]
    assert "create" in err
    assert writes() == []


def answered(project: Project, answer: str) -> tuple[int, str]:
    """What a person at a terminal sees of `up`, and its exit code."""
    ours, theirs = pty.openpty()
    command = [word for word in project.command("up", project.name, "--engine", "embedded") if word != "--json"]
    running = subprocess.Popen(
        command, cwd=project.folder, env=project.env, stdin=theirs, stdout=theirs, stderr=theirs, text=True
    )
    project.started.append(running)
    os.close(theirs)
    shown = ""
    try:
        while block := os.read(ours, 4096):
            shown += block.decode()
            if "[y/N]" in shown and answer:
                os.write(ours, answer.encode())
                answer = ""
    except OSError:
        pass  # Linux says so when the other side of a terminal is closed
    finally:
        os.close(ours)
    return running.wait(), shown


def test_a_person_is_shown_the_changes_and_asked(
    project: Project, client: Client, writes: Callable[[], list[str]]
) -> None:
    project.program('obj("core/v1", "ConfigMap", "asked-%s", {"data": {"a": "1"}}, {"namespace": "default"})\n')
    wanted = Reference(CONFIG_MAP, "default", f"asked-{project.name}")
    code, shown = answered(project, "n\n")
    assert code == 1
    assert wanted.name in shown
    assert "create" in shown
    assert "the answer was no" in shown
    assert writes() == []

    code, shown = answered(project, "y\n")
    assert code == 0, shown
    assert client.get(CONFIG_MAP, wanted.name, "default")["data"] == {"a": "1"}

    project.program('obj("core/v1", "ConfigMap", "asked-%s", {"data": {"a": "2"}}, {"namespace": "default"})\n')
    code, shown = answered(project, "n\n")
    assert code == 1
    assert "data.a" in shown, "the field that changes is shown before the question"
    assert client.get(CONFIG_MAP, wanted.name, "default")["data"] == {"a": "1"}
