"""The shape of a stack file: frozen models that refuse what they do not know.

`Settings` is the mapping under `config:` with the `espalier:` prefix taken off. JSON semantics (strict): a number is
never read as a string, nor a string as a number. The same models give editors their JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from espalier.quantity import parse_quantity
from espalier.types import CapacityKind

_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_DEVICE = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
KEY_WORDS = {
    _LABEL_KEY: "a label's key, such as team or example.com/team",
    _DEVICE: "a device's resource name, such as nvidia.com/gpu",
}
"""What the keys of open mappings are, by their pattern."""

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$",
        description="lower-case letters, digits and -, a letter first, at most 30 characters",
    ),
]
LabelKey = Annotated[str, Field(pattern=_LABEL_KEY)]
LabelValue = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$",
        description="a label's value: letters, digits, -, _ and ., at most 63 characters",
    ),
]
DeviceName = Annotated[str, Field(pattern=_DEVICE)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


def _not_of_kubernetes(name: str) -> str:
    if name.startswith("system:"):
        raise PydanticCustomError(
            "group", "a group of the identity provider; names that start with system: are Kubernetes' own"
        )
    return name


GroupName = Annotated[
    str, Field(min_length=1, max_length=256, pattern=r"^\S(.*\S)?$"), AfterValidator(_not_of_kubernetes)
]


def _quantity(text: str) -> str:
    try:
        parse_quantity(text)
    except ValueError as error:
        raise PydanticCustomError("quantity", "{why}", {"why": str(error)}) from None
    return text


Bytes = Annotated[
    str,
    Field(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$", max_length=24),
    AfterValidator(_quantity),
    Field(description="a Kubernetes quantity of bytes with its unit, such as 32Gi"),
]


class Strict(BaseModel):
    """Frozen, strict, closed; keys are written with hyphens in the file."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Simulated(Strict):
    """A real Kubernetes control plane on this machine, over nodes that KWOK pretends."""

    kind: Literal["simulated"]
    version: Literal["1.36"] = Field(default="1.36", description="Kubernetes minor version, as a quoted string")
    name: Name | None = Field(default=None, description="the simulated cluster's name; default: the stack's name")


class Existing(Strict):
    """A cluster that Espalier did not make, reached by a kubeconfig."""

    kind: Literal["existing"]
    version: Annotated[str, Field(pattern=r"^1\.(3[1-9]|[4-9][0-9])$")] = Field(
        description="Kubernetes minor version of the cluster, as a quoted string"
    )
    kubeconfig: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="path of the kubeconfig file; ~ is the home directory"
    )
    context: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="the kubeconfig's context; named, so that a change of the current context changes nothing here"
    )


class Shape(Strict):
    """A machine by its size."""

    cpu: Annotated[int, Field(ge=1, le=4096)] = Field(description="vCPUs")
    memory: Bytes


def _machine_tag(value: Any) -> str:
    return "<shape>" if isinstance(value, dict | Shape) else "<name>"


Machine = Annotated[
    Annotated[Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$")], Tag("<name>")]
    | Annotated[Shape, Tag("<shape>")],
    Discriminator(_machine_tag),
]


class Nodes(Strict):
    """How many nodes: at least, at most, and at first."""

    min: Count = 0
    max: Annotated[int, Field(ge=1, le=15_000)]
    start: Count | None = Field(default=None, description="nodes made at first; default: min")


class Sharing(Strict):
    """One way, at most, of giving a device to several pods."""

    mig: Annotated[str, Field(pattern=r"^all-[a-z0-9.+]{1,30}$")] | None = None
    time_slices: Annotated[int, Field(ge=2, le=64)] | None = None
    mps: Annotated[int, Field(ge=2, le=48)] | None = None


class Pool(Strict):
    """A node pool: one block for every cloud, on-prem and the simulator."""

    name: Name
    accelerator: str | None = Field(default=None, description="a name of the catalogue, such as H100-80")
    count: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, description="devices a node")
    machine: Machine | None = Field(default=None, description="a shape, or a machine type's name")
    topology: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}(x[1-9][0-9]{0,2}){1,2}$")] | None = Field(
        default=None, description="TPU slice topology, such as 4x4"
    )
    nodes: Nodes
    capacity: Annotated[tuple[CapacityKind, ...], Field(min_length=1, max_length=4)] = Field(
        default=("on-demand",), description="kinds of capacity, in order of preference"
    )
    sharing: Sharing | None = None
    labels: dict[LabelKey, LabelValue] = {}


class Groups(Strict):
    """Groups of the identity provider by the role that they have in the tenant's namespaces."""

    view: tuple[GroupName, ...] = ()
    edit: tuple[GroupName, ...] = ()
    admin: tuple[GroupName, ...] = ()


class Quota(Strict):
    """What a tenant may ask for at one time, as sums of requests."""

    devices: dict[DeviceName, Count] = {}
    cpu: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, description="vCPUs")
    memory: Bytes | None = None
    storage: Bytes | None = None


class Workspace(Strict):
    """A namespace of the tenant with a share of its quota."""

    name: Name
    quota: Quota | None = None


def _workspace_tag(value: Any) -> str:
    return "<workspace>" if isinstance(value, dict | Workspace) else "<name>"


class Tenant(Strict):
    """A team: its groups, its namespaces, its ceiling."""

    name: Name
    groups: Groups = Groups()
    workspaces: Annotated[
        tuple[
            Annotated[
                Annotated[Name, Tag("<name>")] | Annotated[Workspace, Tag("<workspace>")],
                Discriminator(_workspace_tag),
            ],
            ...,
        ],
        Field(min_length=1, max_length=50),
    ] = ("team",)
    quota: Quota = Quota()
    pod_security: Literal["baseline", "restricted"] = Field(
        default="baseline",
        description="the Pod Security level that is enforced; restricted is warned of and audited anyway",
    )


class PriceOverride(Strict):
    """What a node costs an hour: a negotiated price, or what a host of one's own costs."""

    on_demand: Money | None = None
    spot: Money | None = None
    reserved: Money | None = None
    flex: Money | None = None
    source: Annotated[str, Field(min_length=1, max_length=200)] = "the stack file"
    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] = Field(description="the day the price is of")


class Cost(Strict):
    """Limits on money, in US dollars."""

    ceiling: Money | None = Field(default=None, description="USD/h that all pools at their maxima may cost")


class Waiver(Strict):
    """A policy's finding that is accepted, with the reason beside it."""

    policy: Annotated[str, Field(min_length=1)]
    resource: Annotated[str, Field(min_length=1)] = Field(description="the resource's name, or a glob of it")
    reason: Annotated[str, Field(min_length=10, max_length=500)]


class Sources(Strict):
    """Where charts and images come from; the defaults are upstream's own."""

    cache: None = None
    mirror: None = None


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

    cluster: Cluster
    pools: Annotated[tuple[Pool, ...], Field(max_length=200)] = ()
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=5000)] = ()
    addons: dict[str, dict[str, Any]] = {}
    prices: dict[str, PriceOverride] = Field(default={}, description="by pool, accelerator or machine name")
    cost: Cost = Cost()
    sources: Sources = Sources()
    waivers: tuple[Waiver, ...] = ()
