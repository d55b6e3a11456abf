"""The shape of a stack file: frozen models that refuse what they do not know.

`Settings` is the mapping under `config:` with the `espalier:` prefix taken off. JSON semantics (strict): a number is
never read as a string, nor a string as a number. The same models give editors their JSON Schema and docs their table:
a description says what a key is for, `FORMS` what its text looks like.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from espalier.quantity import parse_quantity
from espalier.types import CapacityKind

_NAME = r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_DEVICE = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_BYTES = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$"
_GROUP = r"^\S(.*\S)?$"
_VERSION = r"^1\.(3[1-9]|[4-9][0-9])$"
_UID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_MACHINE = r"^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$"
_MIG = r"^all-[a-z0-9.+-]{1,30}$"
_TOPOLOGY = r"^[1-9][0-9]{0,2}(x[1-9][0-9]{0,2}){1,2}$"
_REGISTRY = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

FORMS: Final = {
    _NAME: "a name of lower-case letters, digits and -, a letter first, at most 30 characters",
    _LABEL_KEY: "a label's key, such as team or example.com/team",
    _LABEL_VALUE: "a label's value: letters, digits, -, _ and ., at most 63 characters",
    _DEVICE: "a device's resource name, such as nvidia.com/gpu",
    _BYTES: "a quantity of bytes with its unit, such as 32Gi",
    _GROUP: "a group's name, without spaces around it",
    _VERSION: 'a Kubernetes minor version in quotes, "1.31" or later',
    _MACHINE: "a machine type's name, such as p5.48xlarge",
    _MIG: "a MIG profile for all devices, such as all-1g.10gb",
    _TOPOLOGY: "a TPU topology, such as 4x4 or 2x2x4",
    _REGISTRY: "a registry with its path, such as registry.example.com/mirror",
    _DATE: 'a day in quotes, such as "2026-07-20"',
}
"""What text of each pattern looks like, in words."""

Name = Annotated[str, Field(pattern=_NAME)]
LabelKey = Annotated[str, Field(pattern=_LABEL_KEY)]
LabelValue = Annotated[str, Field(pattern=_LABEL_VALUE)]
DeviceName = Annotated[str, Field(pattern=_DEVICE)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _not_of_kubernetes(name: str) -> str:
    if name.startswith("system:"):
        raise PydanticCustomError(
            "group", "a group of the identity provider; names that start with system: are Kubernetes' own"
        )
    return name


GroupName = Annotated[str, Field(min_length=1, max_length=256, pattern=_GROUP), AfterValidator(_not_of_kubernetes)]


def _quantity(text: str) -> str:
    try:
        parse_quantity(text)
    except ValueError as error:
        raise PydanticCustomError("quantity", "{why}", {"why": f"a quantity; this is {error}"}) from None
    return text


Bytes = Annotated[str, Field(pattern=_BYTES, max_length=24), AfterValidator(_quantity)]


def _day(text: str) -> str:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("date", "a day of the calendar, such as 2026-07-20") from None
    return text


Day = Annotated[str, Field(pattern=_DATE), AfterValidator(_day)]


def hyphenated(name: str) -> str:
    """A field's name as its key in the stack file: time_slices is `time-slices` there."""
    return name.replace("_", "-")


class Strict(BaseModel):
    """Frozen, strict, closed; keys are written with hyphens in the file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,  # built when a stack file is read: the command's help does not wait for it
        alias_generator=hyphenated,
    )


class Simulated(Strict):
    """A real Kubernetes control plane on this machine, over nodes that KWOK pretends."""

    kind: Literal["simulated"] = Field(description="this kind of cluster")
    version: Literal["1.36"] = Field(default="1.36", description="Kubernetes minor version, as a quoted string")
    name: Name | None = Field(default=None, description="the simulated cluster's name; default: the stack's name")


class Existing(Strict):
    """A cluster that Espalier did not make, reached by a kubeconfig."""

    kind: Literal["existing"] = Field(description="this kind of cluster")
    version: Annotated[str, Field(pattern=_VERSION)] = Field(
        description="Kubernetes minor version of the cluster, as a quoted string"
    )
    kubeconfig: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="path of the kubeconfig file; ~ is the home directory"
    )
    context: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="the kubeconfig's context; named, so that a change of the current context changes nothing here"
    )
    uid: Annotated[str, Field(pattern=_UID)] | None = Field(
        default=None,
        description="UID of the cluster's namespace kube-system: any other cluster behind the same name is refused",
    )


class Shape(Strict):
    """A machine by its size."""

    cpu: Annotated[int, Field(ge=1, le=4096)] = Field(description="vCPUs")
    memory: Bytes = Field(description="memory, as a quantity of bytes")


def _machine_tag(value: Any) -> str:
    return "<shape>" if isinstance(value, dict | Shape) else "<name>"


Machine = Annotated[
    Annotated[Annotated[str, Field(pattern=_MACHINE)], Tag("<name>")] | Annotated[Shape, Tag("<shape>")],
    Discriminator(_machine_tag),
]


class Nodes(Strict):
    """How many nodes: at least, at most, and at first."""

    min: Count = Field(default=0, description="nodes that stay when nothing runs")
    max: Annotated[int, Field(ge=1, le=15_000)] = Field(description="nodes at most")
    start: Count | None = Field(default=None, description="nodes made at first; default: min")


class Sharing(Strict):
    """One way, at most, of giving a device to several pods."""

    mig: Annotated[str, Field(pattern=_MIG)] | None = Field(
        default=None, description="MIG profile that all devices of the node are cut into"
    )
    time_slices: Annotated[int, Field(ge=2, le=64)] | None = Field(
        default=None, description="pods that take turns on a device, without memory isolation"
    )
    mps: Annotated[int, Field(ge=2, le=48)] | None = Field(
        default=None, description="pods that share a device by NVIDIA's Multi-Process Service"
    )


class Pool(Strict):
    """A node pool: one block for every cloud, on-prem and the simulator."""

    name: Name = Field(description="the pool's name; its nodes carry it as a label")
    accelerator: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="a name of the catalogue, such as H100-80"
    )
    count: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="devices a node")
    machine: Machine | None = Field(default=None, description="a shape, or a machine type's name")
    topology: Annotated[str, Field(pattern=_TOPOLOGY)] | None = Field(
        default=None, description="TPU slice topology, such as 4x4"
    )
    nodes: Nodes = Field(description="how many nodes")
    capacity: Annotated[tuple[CapacityKind, ...], Field(min_length=1, max_length=4)] = Field(
        default=("on-demand",), description="kinds of capacity, in order of preference"
    )
    sharing: Sharing | None = Field(default=None, description="how several pods share a device; default: they do not")
    labels: dict[LabelKey, LabelValue] = Field(default={}, description="further labels of the nodes")


class Groups(Strict):
    """Groups of the identity provider by the role that they have in the tenant's namespaces."""

    view: tuple[GroupName, ...] = Field(default=(), description="groups that may read, without Secrets")
    edit: tuple[GroupName, ...] = Field(default=(), description="groups that may run workloads")
    admin: tuple[GroupName, ...] = Field(
        default=(), description="groups that may also manage service accounts and see who has which role"
    )


class Quota(Strict):
    """What a tenant may ask for at one time, as sums of requests."""

    devices: dict[DeviceName, Count] = Field(default={}, description="devices by resource name")
    cpu: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, description="vCPUs")
    memory: Bytes | None = Field(default=None, description="memory, as a quantity of bytes")
    storage: Bytes | None = Field(default=None, description="sum of volume claims, as a quantity of bytes")


class Workspace(Strict):
    """A namespace of the tenant with a share of its quota."""

    name: Name = Field(description="the namespace's name within the tenant")
    quota: Quota | None = Field(default=None, description="its share of the tenant's quota")


def _workspace_tag(value: Any) -> str:
    return "<workspace>" if isinstance(value, dict | Workspace) else "<name>"


class Tenant(Strict):
    """A team: its groups, its namespaces, its ceiling."""

    name: Name = Field(description="the tenant's name, and the start of its namespaces' names")
    groups: Groups = Field(default_factory=Groups, description="who may do what in its namespaces")
    workspaces: Annotated[
        tuple[
            Annotated[
                Annotated[Name, Tag("<name>")] | Annotated[Workspace, Tag("<workspace>")],
                Discriminator(_workspace_tag),
            ],
            ...,
        ],
        Field(min_length=1, max_length=50),
    ] = Field(
        default=("team",),
        description="its namespaces: <tenant> for one, <tenant>-<workspace> for several, each with its quota then",
    )
    quota: Quota = Field(default_factory=Quota, description="what it may ask for at one time")
    pod_security: Literal["baseline", "restricted"] = Field(
        default="baseline",
        description="the Pod Security level that is enforced; restricted is warned of and audited anyway",
    )


class PriceOverride(Strict):
    """What a node costs an hour: a negotiated price, or what a host of one's own costs."""

    on_demand: Money | None = Field(default=None, description="USD/h of a node that is paid by the hour")
    spot: Money | None = Field(default=None, description="USD/h of a node that may be taken back")
    reserved: Money | None = Field(default=None, description="USD/h of a node that is reserved")
    flex: Money | None = Field(default=None, description="USD/h of a node that starts when there is room")
    source: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="the stack file", description="where the price is from; the plan shows it"
    )
    date: Day = Field(description="the day the price is of")


class Cost(Strict):
    """Limits on money, in US dollars."""

    ceiling: Money | None = Field(default=None, description="USD/h that all pools at their maxima may cost")


class Waiver(Strict):
    """A policy's finding that is accepted, with the reason beside it."""

    policy: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="the policy's name")
    resource: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="the resource's name, or a glob of it"
    )
    reason: Annotated[str, Field(min_length=10, max_length=500)] = Field(
        description="why the finding is accepted; the plan shows it"
    )


class Sources(Strict):
    """Where charts and images come from; the defaults are upstream's own."""

    cache: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="folder of fetched charts, relative to the stack files; default: the user's cache folder",
    )
    mirror: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="URL or folder that stands for all hosts of charts: <mirror>/<host>/<path>",
    )
    registry: Annotated[str, Field(pattern=_REGISTRY, max_length=255)] | None = Field(
        default=None,
        description="registry that every image is pulled through: <registry>/<the image's full name>",
    )


def _kind_of(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{kind}>" if isinstance(kind, str) else None


Cluster = Annotated[
    Annotated[Simulated, Tag("<simulated>")] | Annotated[Existing, Tag("<existing>")],
    Discriminator(
        _kind_of,
        custom_error_type="cluster_kind",
        custom_error_message="existing or simulated",
    ),
]


CLUSTER_KINDS: dict[str, type[Strict]] = {"simulated": Simulated, "existing": Existing}


class Settings(Strict):
    """One environment, as its stack file says it."""

    cluster: Cluster = Field(description="the Kubernetes cluster that the platform stands on")
    pools: Annotated[tuple[Pool, ...], Field(max_length=200)] = Field(
        default=(), description="node pools; a pool of devices is tainted and may sleep at zero nodes"
    )
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=5000)] = Field(
        default=(), description="teams with their namespaces, quotas and roles"
    )
    addons: dict[str, dict[str, Any]] = Field(
        default={}, description="add-ons by id, each with its options; {} takes the defaults"
    )
    prices: dict[str, PriceOverride] = Field(default={}, description="prices by pool, accelerator or machine name")
    cost: Cost = Field(default_factory=Cost, description="limits on money, in US dollars")
    sources: Sources = Field(default_factory=Sources, description="where charts and images come from")
    waivers: Annotated[tuple[Waiver, ...], Field(max_length=1000)] = Field(
        default=(), description="findings of policies that are accepted"
    )
