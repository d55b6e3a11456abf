"""The command's JSON, as types: what scripts may rely on. Each has its JSON Schema (`espalier schema --of ...`).

An unknown value is {"$unknown": true}, a secret {"$secret": true}. Money is USD per hour, time is seconds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

SCHEMA_VERSION = "1"


class ErrorEntry(TypedDict):
    """One mistake or failure: where, what was got, what is accepted, what to do."""

    path: str
    got: str
    accepted: str
    do: str
    line: NotRequired[int]


class Document(TypedDict):
    """What every document has. `errors` is empty where all is well.

    A command that could not do its work gives this and nothing more.
    """

    schema_version: str
    command: str
    errors: list[ErrorEntry]


class ResourceEntry(TypedDict):
    """A registered resource."""

    urn: str
    type: str
    name: str
    parent: str
    dependencies: list[str]
    inputs: dict[str, Any]
    options: dict[str, Any]


class OwnerEntry(TypedDict):
    """Who owns a part of what devices need; `addon` is "" where it is no add-on of the stack."""

    who: Literal["cloud", "addon", "host", "nobody"]
    addon: str
    why: str


class PoolEntry(TypedDict):
    """A pool: `machine`, `labels`, `capacity` and `price` are those of the kind of capacity that is tried first.

    `owners` tells by part (driver, toolkit, device-plugin, feature-discovery, sharing, metrics) who owns it; empty
    for a pool without devices. `all_taints` are those of all kinds of capacity: of which, who makes it (stack file,
    espalier, cloud) and what for. `device_prices` are USD an hour by kind of capacity of one of each advertised device.
    """

    name: str
    machine: str
    nodes: dict[str, int]
    labels: dict[str, str]
    taints: list[dict[str, str]]
    all_taints: list[dict[str, Any]]
    devices: dict[str, int]
    capacity: list[str]
    price: dict[str, Any]
    owners: dict[str, OwnerEntry]
    device_prices: dict[str, dict[str, Any]]


class MonthEntry(TypedDict):
    """What a tenant's quota may cost a month at the dearest, USD; null where a price in `unknown` is not known."""

    worst: float | None
    budget: float | None
    unknown: list[str]


class TenantEntry(TypedDict):
    """A tenant: `quota` holds `spec.hard` by namespace, and `kinds` how many of the devices may be on `spot` nodes and
    on others (`on-demand`), for namespaces that are bounded so; `month` is null where the stack names no pools."""

    name: str
    namespaces: list[str]
    groups: dict[str, list[str]]
    quota: dict[str, dict[str, str]]
    kinds: dict[str, dict[str, dict[str, int]]]
    month: MonthEntry | None


class QueueShareEntry(TypedDict):
    """What a tenant's queue has of a device. `own` is its by right, `most` with what it borrows, `lend` what others may
    use of `own` while it is idle; `flavours` are tried in their order."""

    device: str
    quota: int
    own: int
    most: int
    lend: int
    flavours: dict[str, int]


class QueueEntry(TypedDict):
    """A tenant's queue; `weight` is its share of what is idle, against the others'."""

    tenant: str
    namespaces: list[str]
    weight: int
    devices: list[QueueShareEntry]


class QueuesEntry(TypedDict):
    """How work waits for devices. `idle` holds devices that are nobody's by right.

    `objects` are the whole objects; they are among `kubernetes`, too, unless `held` says why `up` leaves them out.
    """

    system: str
    held: str
    queues: list[QueueEntry]
    idle: dict[str, int]
    objects: list[dict[str, Any]]


class AddonEntry(TypedDict):
    """An add-on; "recorded" says that its objects are not seen by this plan, "existing" that the cluster has it."""

    id: str
    version: str
    wave: int
    content: Literal["rendered", "recorded", "existing"]
    held: str
    """Why the add-on is left out of `up`, and what to do; "" where it is not."""
    withheld: list[str]
    """Left out on a cluster that runs no containers: webhooks and APIs whose server is a Service, hooks of Helm."""
    profile: str
    """The profile that brought it; "" where the stack file names it, or its cluster or its queues ask for it."""


class StaleEntry(TypedDict):
    """A price, `<pool>/<kind of capacity>`, that is older than `cost.stale-after` days on the plan's day."""

    price: str
    date: str
    source: str


class CostEntry(TypedDict):
    """A range; `min` or `max` is {"$unknown": true} where a price is not known. `unknown` lists `<pool>/<kind>`.

    `stale` is the one part of a plan that depends on the day: today's, or that of `--today`.
    """

    currency: str
    per: str
    min: Any
    max: Any
    pools: list[dict[str, Any]]
    unknown: list[str]
    stale: list[StaleEntry]


class ProofEntry(TypedDict):
    """A statement about the blueprint that was computed."""

    name: str
    ok: bool
    evidence: str


class FindingEntry(TypedDict):
    """A violation; `waived` is the waiver's reason or null."""

    urn: str
    message: str
    waived: str | None


class PolicyEntry(TypedDict):
    """A policy's verdict, and what it could not judge."""

    name: str
    level: Literal["mandatory", "advisory"]
    ok: bool
    findings: list[FindingEntry]
    not_judged: list[str]


class ImageEntry(TypedDict):
    """An image, the add-on that brings it ("" for none), and where it is named."""

    image: str
    addon: str
    where: str


class PlanDocument(Document):
    """`espalier plan`. `notes` are what a reader would not expect of the stack file. `queues` is null where no add-on
    brings a queueing system."""

    stack: str
    engine: str
    resources: list[ResourceEntry]
    kubernetes: list[dict[str, Any]]
    pools: list[PoolEntry]
    tenants: list[TenantEntry]
    queues: QueuesEntry | None
    addons: list[AddonEntry]
    cost: CostEntry
    proofs: list[ProofEntry]
    policies: list[PolicyEntry]
    images: list[ImageEntry]
    notes: list[str]


class FetchedSource(TypedDict):
    """A remote source; `fetched` is false where the cache had it. `digest` is sha256:<64 hex digits>."""

    id: str
    source: str
    version: str
    digest: str
    fetched: bool


class FetchDocument(Document):
    """`espalier fetch`. `lock` is the path of the file that pins the sources."""

    stack: str
    lock: str
    sources: list[FetchedSource]


class MirroredSource(TypedDict):
    """A remote source in the folder: `file` within it, and its size in bytes."""

    id: str
    source: str
    version: str
    digest: str
    file: str
    bytes: int


class ImageUse(TypedDict):
    """Who pulls an image: the add-on ("" for none), and where it is named."""

    addon: str
    where: str


class MirroredImage(TypedDict):
    """An image by its full name, as it is pulled from upstream.

    `name` is without tag and digest. `digest` is of its index where it has one, "" where its registry did not say:
    `unknown` then says why, and `do` what to do. `architectures` are like linux/amd64. `to` is its name in the stack's
    own registry; the full name where the stack file names none.
    """

    image: str
    name: str
    tag: str
    digest: str
    architectures: list[str]
    to: str
    used: list[ImageUse]
    unknown: str
    do: str


class MirrorDocument(Document):
    """`espalier mirror`: what the folder holds; `files` are paths within it, sorted."""

    stack: str
    folder: str
    registry: str
    sources: list[MirroredSource]
    images: list[MirroredImage]
    files: list[str]


class SampleEntry(TypedDict):
    """A sample of work; `missing` says what the stack lacks for it, "" where it has all."""

    name: str
    what: str
    missing: str


class SampleDocument(Document):
    """`espalier sample`: what there is, and the manifests of the one that was asked for."""

    stack: str
    samples: list[SampleEntry]
    manifests: list[dict[str, Any]]


class UpgradeChange(TypedDict):
    """What becomes of one object of an add-on; `fields` are the paths that change."""

    object: str
    op: Literal["add", "remove", "change", "replace", "rename"]
    fields: list[str]
    note: str


UpgradedAddon = TypedDict(
    "UpgradedAddon",
    {
        "id": str,
        "from": str,
        "to": str,
        "source": str,
        "digest": str,
        "unseen": str,
        "changes": list[UpgradeChange],
    },
)
"""An add-on whose pin moves. `unseen` says why it is compared by names alone; "" where objects are compared."""


class UpgradeDocument(Document):
    """`espalier upgrade`. `written` tells whether the lock has the new pins."""

    stack: str
    lock: str
    addons: list[UpgradedAddon]
    written: bool


class SavedEntry(TypedDict):
    """Something that an add-on keeps: saved, failed, to be saved by hand, or yours, where its option names a place.

    `file` is within the folder, `time` when saving it began, `image` that of the container that it came out of; these
    are "" for what is not saved. `version` is the add-on's, "" where the cluster ran another image than the stack's.
    `note` says why it failed, or what to do.
    """

    addon: str
    version: str
    what: str
    state: Literal["saved", "failed", "by-hand", "yours"]
    file: str
    bytes: int
    sha256: str
    image: str
    time: str
    note: str


class BackupFile(TypedDict):
    """backup.json in the folder. `complete` is true where nothing failed; times are UTC."""

    schema_version: str
    espalier: str
    project: str
    stack: str
    time: str
    complete: bool
    entries: list[SavedEntry]


class BackupDocument(Document):
    """`espalier backup`: what the folder holds, and what is not in it."""

    stack: str
    folder: str
    complete: bool
    entries: list[SavedEntry]


class RestoredEntry(TypedDict):
    """What became of something that an add-on keeps. `not-saved`: the stack has it, the backup not; `not-here`: the
    other way round. `note` says why it failed, what to do, or how old it is beside what runs."""

    addon: str
    what: str
    state: Literal["restored", "failed", "by-hand", "yours", "not-saved", "not-here"]
    file: str
    note: str


class RestoreDocument(Document):
    """`espalier restore`; `time` is the backup's."""

    stack: str
    folder: str
    time: str
    entries: list[RestoredEntry]


class ChangeEntry(TypedDict):
    """What happens, or happened, to a resource; `fields` are the paths that change."""

    urn: str
    op: Literal["create", "update", "replace", "delete", "same"]
    fields: list[str]


class WaveEntry(TypedDict):
    """A depth of the dependency graph and how long it took."""

    name: str
    seconds: float


class ChangesDocument(Document):
    """`espalier preview`, `up` and `destroy`."""

    stack: str
    changes: list[ChangeEntry]
    waves: list[WaveEntry]


class CheckEntry(TypedDict):
    """A live check; `evidence` quotes the API server."""

    name: str
    ok: bool
    evidence: str
    seconds: float


class ProbeEntry(TypedDict):
    """A Job that computes on a pool: `devices` on each of `nodes`.

    `cost` is USD at most, where all nodes start for it; {"$unknown": true} where a price is.
    """

    pool: str
    machine: str
    nodes: int
    devices: int
    image: str
    checks: list[str]
    cost: Any


class VerifyDocument(Document):
    """`espalier verify`; `probes` are what ran with `--probe`."""

    stack: str
    checks: list[CheckEntry]
    skipped: list[dict[str, str]]
    probes: NotRequired[list[ProbeEntry]]


class RehearseDocument(VerifyDocument):
    """`espalier rehearse`: on which Kubernetes minor, and how it differs from the stack itself."""

    version: str
    notes: list[str]


class PreflightFinding(TypedDict):
    """One thing that the cloud was asked about; `do` is empty where it is fine."""

    level: Literal["error", "warning", "ok"]
    what: str
    got: str
    do: str


class PreflightDocument(Document):
    """`espalier preflight`: errors, then warnings, then what is fine."""

    stack: str
    findings: list[PreflightFinding]


class CheckedStack(TypedDict):
    """A stack file that `check` read."""

    name: str
    path: str
    ok: bool
    errors: list[ErrorEntry]


class CheckDocument(Document):
    """`espalier check`."""

    stacks: list[CheckedStack]


class RenderDocument(Document):
    """`espalier render`: paths in the folder, sorted."""

    stack: str
    folder: str
    files: list[str]


class ImagesDocument(Document):
    """`espalier images`."""

    stack: str
    images: list[ImageEntry]


class InitDocument(Document):
    """`espalier init`: paths that were written, and those that were there and are as they were."""

    stack: str
    kind: str
    folder: str
    written: list[str]
    kept: list[str]


class IdentityDocument(Document):
    """`espalier identity`: what is put before names, and the file for an API server of one's own."""

    stack: str
    cluster: str
    issuer: str | None
    prefixes: dict[str, str]
    configuration: dict[str, Any] | None


class StatusDocument(Document):
    """`espalier sim status` and `sim up`."""

    clusters: list[dict[str, Any]]


class EndedEntry(TypedDict):
    """Of a project that has ended, or is about to: since when, by whose word, what to do, and add-ons instead."""

    since: str
    source: str
    instead: str
    successors: list[str]


class AddonRow(TypedDict):
    """An add-on that a stack file may name."""

    id: str
    tier: str
    category: str
    version: str
    state: str
    licence: str
    source: str
    needs: list[str]
    ended: EndedEntry | None


class AddonsDocument(Document):
    """`espalier addons`."""

    addons: list[AddonRow]


class OriginEntry(TypedDict):
    """Where facts come from and of which day they are; `unverified` names columns that nothing else confirmed."""

    source: str
    date: str
    verified: bool
    unverified: list[str]


class MigEntry(TypedDict):
    """A MIG profile; `count` is instances a device at most."""

    profile: str
    slices: int
    memory_slices: int
    memory_gib: int
    count: int


class AcceleratorEntry(TypedDict):
    """A device model; `reference` is the machine of a pool that names none."""

    name: str
    vendor: str
    resource: str
    memory_gib: int
    cores: int
    reference: str
    mig: list[MigEntry]
    labels: dict[str, str]
    origin: OriginEntry


class PriceEntry(TypedDict):
    """USD an hour of a node in one region, or {"$unknown": true}."""

    kind: Literal["reserved", "spot", "flex", "on-demand"]
    region: str
    per_hour: Any
    origin: OriginEntry


class OfferEntry(TypedDict):
    """A machine with so many devices; "" and 0 for none."""

    accelerator: str
    devices: int
    prices: list[PriceEntry]


class BusbwEntry(TypedDict):
    """What all devices reach in an all-reduce, GB/s of bus bandwidth: within a node, and between two."""

    node: Any
    nodes: Any
    origin: OriginEntry


class MachineEntry(TypedDict):
    """A machine type; a column that is not known is {"$unknown": true}. `topologies` holds hosts a TPU slice."""

    cloud: Literal["aws", "gcp", "azure", "onprem"]
    name: str
    offers: list[OfferEntry]
    cloud_accelerator: str
    vcpu: int
    memory_gib: float
    architecture: Literal["amd64", "arm64"]
    local_disk_gb: Any
    network_gbps: Any
    network_cards: Any
    efa: Any
    infiniband: bool
    busbw: BusbwEntry | dict[str, bool]
    topologies: dict[str, int]
    capacity: list[str]
    regions: list[str]
    retired: str
    note: str
    origin: OriginEntry


class CatalogueDocument(Document):
    """`espalier catalogue`."""

    accelerators: list[AcceleratorEntry]
    machines: list[MachineEntry]


class TenantObjectEntry(TypedDict):
    """An object of a tenant; `namespace` is "" for a Namespace itself."""

    kind: str
    namespace: str
    name: str


class TenantPartsEntry(TenantEntry):
    """A tenant with all its objects. `folders` are URLs by namespace, of its parts of a bucket; `secrets` are names of
    what is fetched into each namespace; `domains` are what it may serve by."""

    objects: list[TenantObjectEntry]
    folders: dict[str, str]
    secrets: list[str]
    domains: list[str]


class TenantDocument(Document):
    """`espalier tenant show`, `add` and `remove`: the tenant as it is, or as it was before it was taken out.

    `changes` is what `up` would do to its objects; null where the cluster cannot be asked, and `unasked` says why.
    """

    stack: str
    tenant: TenantPartsEntry
    changes: list[ChangeEntry] | None
    unasked: list[ErrorEntry]


DOCUMENTS: dict[str, Any] = {
    "plan": PlanDocument,
    "check": CheckDocument,
    "preview": ChangesDocument,
    "up": ChangesDocument,
    "destroy": ChangesDocument,
    "verify": VerifyDocument,
    "rehearse": RehearseDocument,
    "preflight": PreflightDocument,
    "render": RenderDocument,
    "images": ImagesDocument,
    "init": InitDocument,
    "identity": IdentityDocument,
    "status": StatusDocument,
    "tenant": TenantDocument,
    "addons": AddonsDocument,
    "catalogue": CatalogueDocument,
    "fetch": FetchDocument,
    "mirror": MirrorDocument,
    "upgrade": UpgradeDocument,
    "sample": SampleDocument,
    "backup": BackupDocument,
    "restore": RestoreDocument,
}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one of `DOCUMENTS`: the document, or errors alone."""
    whole, failed = TypeAdapter(DOCUMENTS[name]).json_schema(), TypeAdapter(Document).json_schema()
    definitions = {**failed.pop("$defs"), **whole.pop("$defs")}
    failed["maxProperties"] = len(failed["properties"])
    schema = {"$defs": definitions, "anyOf": [whole, failed]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def header(command: str, errors: list[ErrorEntry] | None = None) -> Document:
    """The part that every document starts with."""
    return {"schema_version": SCHEMA_VERSION, "command": command, "errors": errors or []}
