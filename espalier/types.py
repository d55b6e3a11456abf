"""The nouns that everything else shares: plain, frozen data without Pulumi, Kubernetes clients or settings.

Units: memory in bytes inside quantities ("32Gi"), money in the stack's currency per node-hour, time in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from espalier.content import Content, ContentFacts, Recorded, Release

CapacityKind = Literal["reserved", "spot", "flex", "on-demand"]
Level = Literal["mandatory", "advisory"]
Manifest = Mapping[str, Any]
"""One Kubernetes object as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a stack file.

    `path` is the key path ("pools[1].nodes.max"), `got` the value found (shortened), `accepted` what would be
    taken, `do` what to do about it. `line` is 1-based, where the file's text is known.
    """

    path: str
    got: str
    accepted: str
    do: str
    line: int | None = None

    def text(self) -> str:
        where = f"{self.path} (line {self.line})" if self.line else self.path
        return f"{where}: got {self.got}; accepted: {self.accepted}. {self.do}"

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"path": self.path, "got": self.got, "accepted": self.accepted, "do": self.do}
        return out | {"line": self.line} if self.line else out


class Mistakes(Exception):  # noqa: N818 - what people read
    """All the mistakes of a stack file, found in one pass; the command exits with 2."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(m.text() for m in self.mistakes))


@dataclass(frozen=True, slots=True)
class Taint:
    """A node taint, as in core/v1."""

    key: str
    value: str
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"

    def to_json(self) -> dict[str, str]:
        return {"key": self.key, "value": self.value, "effect": self.effect}

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}"

    def tolerated_by(self, toleration: Mapping[str, Any]) -> bool:
        """As Kubernetes' Toleration.ToleratesTaint (api core/v1 toleration.go)."""
        if toleration.get("effect") not in (None, "", self.effect):
            return False
        key = toleration.get("key") or ""
        if key and key != self.key:
            return False
        operator = toleration.get("operator") or "Equal"
        if operator == "Exists":
            return True
        return bool(key) and operator == "Equal" and (toleration.get("value") or "") == self.value


@dataclass(frozen=True, slots=True)
class Price:
    """What one node costs an hour, with where the number comes from and of which day it is."""

    per_hour: float
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Notice:
    """How capacity that ends tells of it.

    `seconds` lie between the warning and the node's end, and `grace` of them are a pod's own; None where no figure is
    published. `why` says what ends it; `source` and `date` where that is said.
    """

    seconds: int | None
    grace: int | None
    why: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What a node of a pool looks like to the scheduler, before any such node exists.

    The same object feeds the nodes themselves (simulated), autoscaler hints, quotas, queues and the price.
    `capacity` holds Kubernetes quantities by resource name, devices included; `devices` holds only what the device
    plugin advertises, as whole numbers. `price` is None when it is not known (unknown is never zero).
    """

    pool: str
    machine: str
    capacity_kind: CapacityKind
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    capacity: Mapping[str, str]
    devices: Mapping[str, int]
    price: Price | None
    startup_taints: tuple[Taint, ...] = ()
    """Taints of a new node that are taken off once its devices are there; autoscalers know that they go."""
    notice: Notice | None = None
    """How its capacity ends; None where it stays, or where only the cluster's owner knows."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a cluster before it is touched; add-ons compute their values from it."""

    kind: str
    """As the stack file names it; of a simulated cluster that stands for a cloud's, the cloud's."""
    kubernetes_version: str
    runs_containers: bool
    """False on the simulated cluster: no process, no webhook, no data plane."""
    capabilities: frozenset[str] = frozenset()
    cluster: str = ""
    """The cluster's name in its cloud; "" for one that is not in a cloud."""
    region: str = ""
    autoscaler: str = ""
    """What scales its pools: cluster-autoscaler, karpenter, managed or none; "" outside clouds, and where
    a cluster is given whose autoscaler its owner knows."""
    isolated: bool = False
    """Its network is made without a way out: of its cloud it reaches what has an endpoint inside."""
    simulated_autoscaler: str = ""
    """A simulated cluster's own, karpenter or none, also where it stands for a cloud's; "" on others."""

    @property
    def scaler(self) -> str:
        """What scales the pools here; "" where nobody says, and something may."""
        return self.simulated_autoscaler or self.autoscaler

    @property
    def may_scale(self) -> bool:
        """Whether something scales the pools, or may: work that finds no node then has to be seen to wait."""
        return self.scaler != "none"


@dataclass(frozen=True, slots=True)
class Planned:
    """A Kubernetes object that a component will register as `<component>-<suffix>`.

    `needs` names the suffixes, within the same component, that must be ready before. With `retain` it stays in the
    cluster when it is removed from the program.
    """

    suffix: str
    manifest: Manifest
    needs: tuple[str, ...] = ()
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that the platform pulls, and where it is named."""

    image: str
    addon: str
    where: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A statement about the blueprint that was computed, not assumed."""

    name: str
    ok: bool
    evidence: str
    held: bool = False
    """It fails since an add-on's content is not there: `up` leaves that add-on out instead of refusing all."""


# Policies ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered resource as a policy sees it. `props` may hold `UNKNOWN_JSON` where a value is not known yet."""

    urn: str
    type: str
    name: str
    props: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The Kubernetes kind, or "" for what is not a Kubernetes object."""
        return self.type.rsplit(":", 1)[-1] if self.type.startswith("kubernetes:") else ""

    @property
    def namespace(self) -> str:
        return str(_mapping(self.props.get("metadata")).get("namespace", ""))

    @property
    def object_name(self) -> str:
        return str(_mapping(self.props.get("metadata")).get("name", self.name))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: which resource, and what to do about it."""

    urn: str
    message: str
    waived: str | None = None
    """The waiver's reason, where a waiver covers this finding."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy. `judge` gets all registered resources and Platform's facts (None where no Platform is registered).

    A rule that cannot know (an unknown value, no facts) yields the text of what it could not judge as a str.
    """

    name: str
    level: Level
    description: str
    judge: Callable[[Sequence[Registered], Mapping[str, Any] | None], Iterable[Finding | str]]
    fix: str = ""
    """What to do about a finding, in one sentence."""
    scope: Literal["resource", "stack"] = "stack"
    """"resource" where each resource is judged by itself, so that it can be stopped before it is made."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said of one stack."""

    name: str
    level: Level
    findings: tuple[Finding, ...] = ()
    not_judged: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(f.waived for f in self.findings)


# Verification -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one live check: `evidence` quotes what the API server said or showed."""

    name: str
    ok: bool
    evidence: str
    seconds: float


# Add-ons ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """That a project has ended, or is about to.

    `since` is the day, month or year of it, `source` where that is said, `instead` what its users do now, and
    `successors` the add-ons of the registry that do its work.
    """

    since: str
    source: str
    instead: str
    successors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Versions from `first` to `last`, both included; "" leaves an end open. `source` says where upstream says so.

    Versions are compared by their numbers as far as an end goes: 1.36.3 is within a window that ends with 1.36.
    """

    first: str = ""
    last: str = ""
    source: str = ""

    def holds(self, version: str) -> bool:
        """Whether the version lies within."""
        low, high = _numbers(self.first), _numbers(self.last)
        found = _numbers(version)
        return found[: len(low)] >= low and (not high or found[: len(high)] <= high)

    def __str__(self) -> str:
        if self.first and self.last:
            return self.first if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.first} or later" if self.first else f"{self.last} or earlier"


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """What an upgrade takes that goes from a version below `before` to `to` or a later one, and cannot do in place.

    `why` says what would be lost, `do` what comes first, and `source` where upstream says so.
    """

    before: str
    to: str
    why: str
    do: str
    source: str

    def between(self, old: str, new: str) -> bool:
        """Whether an upgrade between these versions meets it."""
        return older(old, self.before) and not older(new, self.to)


def older(version: str, other: str) -> bool:
    """Whether a version is below another, by their numbers as far as the other goes."""
    than = _numbers(other)
    return _numbers(version)[: len(than)] < than


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


@dataclass(frozen=True, slots=True)
class Peer:
    """Pods of an add-on that meet tenants' pods, at some TCP ports of whoever is called; no ports: at all of them.

    `pods` are their labels, none for all pods of the namespace. Without a namespace it is every address: API servers
    and object stores are no pods, and their addresses not known before.
    """

    namespace: str = ""
    pods: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.namespace and not self.ports:
            raise ValueError("a peer without a namespace needs ports: else everything is let through")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an add-on needs of tenants' walls, which else let nothing in or out but to the namespace itself and DNS."""

    callers: tuple[Peer, ...] = ()
    """Who reaches tenants' pods, at which of their ports: culling of notebooks, gateways, scraping."""
    servers: tuple[Peer, ...] = ()
    """Whom tenants' pods reach, at which of its ports: reports of jobs, trackers, object stores."""

    def __post_init__(self) -> None:
        if not all(peer.namespace for peer in self.callers):
            raise ValueError("who reaches tenants' pods needs a namespace: else everybody does")


@dataclass(frozen=True, slots=True)
class InPod:
    """Commands that save data, and bring them back, in the container of a Deployment that has them.

    `save` writes to its output what `restore` reads from its input: a `file`, whose ending says of what kind it is.
    `restarts` are Deployments of the same namespace that read what came back only when they start.
    """

    workload: str
    container: str
    file: str
    save: tuple[str, ...]
    restore: tuple[str, ...]
    restarts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ByHand:
    """How people save data, and bring them back, that no command in a pod can: in words."""

    save: str
    restore: str


@dataclass(frozen=True, slots=True)
class Data:
    """What an add-on keeps that nothing makes again: where it lies, and what saves it and brings it back.

    `claims` are the names of its volumes in `namespace`, as globs; none where it is kept elsewhere. `given` is the
    option by which its owner names another place for it, whose backup is the owner's.
    """

    what: str
    where: str
    by: InPod | ByHand
    namespace: str = ""
    claims: tuple[str, ...] = ()
    given: str = ""

    def __post_init__(self) -> None:
        if bool(self.claims) != bool(self.namespace):
            raise ValueError("volumes are named with their namespace")
        if isinstance(self.by, InPod) and not self.namespace:
            raise ValueError("a pod is named with its namespace")


@dataclass(frozen=True, slots=True)
class AddonRecord:
    """An add-on as data.

    `options` validates the mapping under its id in the stack file (a pydantic model class). `content` says what is
    rendered for it. `objects(inputs)` is pure and returns the objects that Espalier itself writes, in the order of
    installation: before the content's workloads, where there is content.
    """

    id: str
    version: str
    category: str
    tier: Literal["core", "optional"]
    licence: str
    source: str
    options: type[Any]
    objects: Callable[[AddonInputs], Sequence[Planned]] = lambda _: ()
    content: Content | None = None
    state: Literal["active", "deprecated", "retired"] = "active"
    ended: Ended | None = None
    """Of one that is not active: since when, and what does its work. A retired one is refused."""
    needs: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    """Add-ons that come before it where a stack has them: it works without."""
    provides: frozenset[str] = frozenset()
    """What it is the one owner of: <part>/<device> for a part of a device's stack (see `Owners`), and `apiservice/`,
    `gatewayclass/`, `ingressclass/` or `webhook/` with a name. Definitions are told by its content's facts."""
    provides_by: Callable[[Any], frozenset[str]] | None = None
    """The same where it depends on its options; None: it is `provides` always."""
    conflicts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Add-ons that cannot be beside it, each with why and upstream's word on it; "" where that goes without saying."""
    kubernetes: Window | None = None
    """The minor versions of Kubernetes that its version is made for."""
    versions: Mapping[str, Window] = field(default_factory=dict[str, Window])
    """Versions of other add-ons that it works with, where these are beside it, or in the cluster already."""
    architectures: frozenset[str] = frozenset({"amd64", "arm64"})
    """Processors that all its images are built for."""
    may_exist: bool = False
    """Whether one that the cluster has already serves as well: others rely on its API alone, not on its settings."""
    privileged_namespaces: frozenset[str] = frozenset()
    """Namespaces whose pods need host access; the policies name exactly these."""
    reaches: frozenset[str] = frozenset()
    """Device resource names whose nodes its DaemonSets must reach."""
    everywhere: bool = False
    """Whether its DaemonSets must reach every node: discovery, networks, disks, logs, metrics."""
    operands: Callable[[Manifest], Iterable[tuple[str, Mapping[str, Any]]]] = lambda _: ()
    """The DaemonSets that its operator makes of one of its objects: name and pod template, as far as is known."""
    version_on: Callable[[Facts], str] | None = None
    """Its version where that follows from the cluster's; None: it is `version` everywhere."""
    refuses: Callable[[Facts], Iterable[Mistake]] = lambda _: ()
    """Why it cannot be on such a cluster."""
    judges: Callable[[AddonInputs], Iterable[Mistake]] = lambda _: ()
    """Why it cannot serve such pools with such options, or not beside such add-ons."""
    implied: Callable[[Facts], bool] = lambda _: False
    """Whether such a cluster has it even where its stack file does not name it."""
    needs_on: Callable[[Facts], frozenset[str]] = lambda _: frozenset()
    """What it needs besides `needs` on such a cluster, where others bring it themselves."""
    upgrades: tuple[UpgradeStep, ...] = ()
    """What must come before an upgrade of it, by versions."""
    data: tuple[Data, ...] = ()
    """What it keeps. Its volumes stay when it leaves the stack, and their namespaces with them."""
    work: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """API groups and kinds (plural) that tenants make for themselves once it is there: `edit` writes them, `view` reads
    them."""
    seen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """API groups and kinds (plural) that tenants only read."""
    acts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
    """API groups, kinds and verbs of the add-on's own, such as terminate of runs, that `edit` may do besides."""
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of tenants' namespaces by which it knows them."""
    traffic: Traffic = field(default_factory=Traffic)
    """What goes through tenants' walls once it is there."""
    traffic_by: Callable[[Any], Traffic] | None = None
    """The same where it depends on its options; None: it is `traffic` always."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a part of a device's stack: the cloud (its image or installer), an add-on, the host's owner, or nobody.

    `addon` names the add-on where the stack's are known. What nobody owns is a fault only where it is needed.
    """

    who: Literal["cloud", "addon", "host", "nobody"]
    why: str
    addon: str = ""


UNOWNED: Final = Owner("nobody", "nothing asks for it")


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of what a pool's devices need to be used by pods, to be shared, known and measured."""

    driver: Owner
    toolkit: Owner
    device_plugin: Owner
    feature_discovery: Owner = UNOWNED
    sharing: Owner = UNOWNED
    """Who cuts devices into MIG slices, or lets pods take turns."""
    metrics: Owner = UNOWNED

    def parts(self) -> tuple[tuple[str, Owner], ...]:
        """All parts by the names that people read, the lowest first."""
        return (
            ("driver", self.driver),
            ("toolkit", self.toolkit),
            ("device-plugin", self.device_plugin),
            ("feature-discovery", self.feature_discovery),
            ("sharing", self.sharing),
            ("metrics", self.metrics),
        )


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What add-ons may know of a pool. `shapes` has one for each kind of capacity, the preferred one first."""

    name: str
    shapes: tuple[NodeShape, ...]
    sharing: Mapping[str, Any] = field(default_factory=dict[str, Any])
    vendor: str = ""
    owners: Owners | None = None
    """Who owns what is on its devices; None for a pool without any."""
    objects: tuple[Planned, ...] = ()
    """What an autoscaler inside the cluster reads of the pool, as its cloud's compiler wrote it."""
    accelerator: str = ""
    """The catalogue's name of its devices; "" for a pool without any."""
    os: str = ""
    """The operating system of its nodes; "" where nobody says it."""
    driver_version: str = ""
    """The driver's version or branch, where the pool says one."""
    repaired: bool = False
    """Its cloud replaces nodes that it finds not healthy."""
    later_taints: tuple[Taint, ...] = ()
    """Taints that a node may get once it runs: one whose devices fail is mended by agents that tolerate them."""

    @property
    def shape(self) -> NodeShape:
        """The shape of the kind of capacity that is tried first."""
        return self.shapes[0]

    @property
    def taints(self) -> tuple[Taint, ...]:
        """All taints that some node of the pool has at some time: a cloud taints spot nodes, or the pool does."""
        found = (taint for shape in self.shapes for taint in (*shape.taints, *shape.startup_taints))
        return tuple(dict.fromkeys((*found, *self.later_taints)))


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What a queueing system's own configuration follows from."""

    counted: Mapping[str, str] = field(default_factory=dict[str, str])
    """Device -> the resource by which it is counted over all flavours, for devices that several flavours hold."""
    slices: bool = False
    """Some pool's devices are of use only in whole slices over several nodes."""
    enforce: bool = True
    """Work in tenants' namespaces that names no queue is queued, too."""
    borrowing: bool = True
    preemption: Literal["never", "reclaim", "priority"] = "priority"
    start_within: str = "30m"
    """Time after which work whose pods are not all ready waits again."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The identity provider that people log in by, by OpenID Connect. `ca` is PEM; "" for one that everybody trusts."""

    url: str
    client_id: str
    username_claim: str
    groups_claim: str
    ca: str = ""


@dataclass(frozen=True, slots=True)
class AddonInputs:
    """What an add-on's objects are computed from."""

    facts: Facts
    pools: tuple[PoolFacts, ...]
    options: Any
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """All add-ons of the stack with their options, as the stack file has them."""
    queues: QueueFacts = field(default_factory=QueueFacts)
    issuer: Issuer | None = None
    """Who people are; None where the stack file does not say."""
    kept: tuple[str, ...] = ()
    """Namespaces whose volumes hold what the stack's add-ons keep."""
    workspaces: tuple[str, ...] = ()
    """Namespaces of tenants."""


@dataclass(frozen=True, slots=True)
class AddonPlan:
    """An add-on with its place in the order of installation."""

    id: str
    version: str
    wave: int
    objects: tuple[Planned, ...]
    needs: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Add-ons of the stack that come before it, and that it works without."""
    content: Literal["rendered", "recorded", "existing"] = "rendered"
    """"existing" where the cluster has it already: nothing is made of it, and `version` is the one that is there."""
    held: Recorded | None = None
    """Why it is left out of the program: its content is not there, or that of an add-on that it needs."""
    facts: ContentFacts = field(default_factory=ContentFacts)
    """What it consists of, seen or recorded."""
    withheld: tuple[str, ...] = ()
    """Objects left out since the cluster runs no containers."""
    release: Release | None = None
    """What Helm installs after `objects`."""
    provides: frozenset[str] = frozenset()
    """What it is the one owner of, with its options."""

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All objects that it consists of, those of its release included."""
        return (*(planned.manifest for planned in self.objects), *(self.release.objects if self.release else ()))
