"""Where an add-on's objects come from when it is not Espalier itself that writes them: sources, rules, what is known.

All plain data. `espalier.charts` fetches and renders it; the blueprint is handed the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from espalier.types import AddonInputs, Planned

HOOK = "helm.sh/hook"
"""The annotation that makes an object a hook."""
HookRule = Literal["keep", "drop"]
"""What becomes of a hook: an object in its place of the order, or nothing (a record's own objects may replace it)."""
ByHelm = Literal["release"]
"""Helm itself installs the chart and runs its hooks; only Pulumi's engine can, by its Kubernetes provider."""


@dataclass(frozen=True, slots=True)
class ChartSource:
    """A Helm chart.

    `repo` is an HTTP repository (https://..., which holds an index.yaml), the part of an OCI reference before the
    chart's name (oci://registry/path), or a folder beside the stack files that holds the chart's own folder.
    `digest` is the archive's, as sha256:<64 hex digits>, where the record pins it; "" leaves that to the lock.
    """

    name: str
    version: str
    repo: str
    digest: str = ""

    @property
    def address(self) -> str:
        return f"{self.repo.rstrip('/')}/{self.name}"


@dataclass(frozen=True, slots=True)
class KustomizeSource:
    """A folder with a kustomization: beside the stack files, or `folder` within an archive (.tgz, .tar.gz) at a URL.

    `further` are folders of the same source that are rendered after it, each by itself.
    """

    url: str
    version: str
    folder: str = "."
    digest: str = ""
    further: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """All of them, in the order of rendering."""
        return (self.folder, *self.further)

    @property
    def address(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A file of plain objects in YAML: beside the stack files, or at a URL."""

    url: str
    version: str
    digest: str = ""

    @property
    def address(self) -> str:
        return self.url


Source = ChartSource | KustomizeSource | ManifestSource


def is_remote(source: Source) -> bool:
    """Whether the source is fetched; one beside the stack files is versioned with them and needs no pin."""
    return "://" in source.address


@dataclass(frozen=True, slots=True)
class ImagePath:
    """Where else than in containers an object names an image.

    `path` is like `spec.template.spec.containers[*].args[*]` or `data["config.yaml"]`; what a Secret's `data` holds is
    decoded. `pattern` is a regular expression whose first group is the image, for text that holds more than it:
    `--image=(\\S+)`.
    """

    kind: str
    path: str
    name: str = "*"
    pattern: str = ""
    parts: tuple[str, str, str] | None = None
    """Keys of repository, name and tag (or digest), where mappings at `path` or below name an image by three."""
    front: bool = False
    """What is there is where images lie that a controller completes: rewritten, and no image of itself."""
    optional: bool = False
    """Some renders do not have it."""


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What a plan may say of content that it cannot see: names from an earlier render, kept in the lock."""

    objects: tuple[str, ...] = ()
    """As kubectl writes them: deployment.apps/name, with /namespace/ between where there is one."""
    crds: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def no_values(inputs: AddonInputs) -> Mapping[str, Any]:
    """The chart's own values."""
    del inputs
    return {}


def as_it_is(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object as it was rendered."""
    del inputs
    return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is rendered for an add-on, and by which rules."""

    source: Source
    namespace: str
    """The release's namespace."""
    create_namespace: bool = True
    """Whether the namespace is made, where the content does not bring it; false where another add-on makes it."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of that namespace, such as its Pod Security level."""
    release: str = ""
    """Helm's release name; default: the add-on's id."""
    values: Callable[[AddonInputs], Mapping[str, Any]] = no_values
    hooks: Mapping[str, HookRule] | ByHelm = field(default_factory=dict[str, HookRule])
    """Rules by `Kind/name`, where * matches any text, or "release". Hooks that only test are dropped always."""
    crds: Literal["keep", "skip"] = "keep"
    """Whether the content's definitions are applied, or come from elsewhere."""
    api_versions: tuple[str, ...] = ()
    """What the chart may count on beyond Kubernetes itself: cert-manager.io/v1, or with a kind after it."""
    cluster_scoped: frozenset[str] = frozenset()
    """Kinds of custom resources without a namespace, where no definition in the stack's content says so."""
    images: tuple[ImagePath, ...] = ()
    edit: Callable[[AddonInputs, Mapping[str, Any]], Mapping[str, Any] | None] = as_it_is
    """What becomes of each object, for sources that take no values: changed, or None to leave it out. Of a chart that
    Helm installs nothing can be changed."""
    facts: ContentFacts | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A chart that Helm installs, after the add-on's other objects. `chart` is the pinned archive, or a folder."""

    name: str
    namespace: str
    chart: Path
    digest: str
    values: Mapping[str, Any]
    objects: tuple[Mapping[str, Any], ...]
    """What it consists of by our own render, for plans and policies."""
    hooks: tuple[Mapping[str, Any], ...]
    """Its hooks, as rendered, but for those that only test."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Content as objects, in the order of installation."""

    objects: tuple[Planned, ...]
    facts: ContentFacts
    withheld: tuple[str, ...] = ()
    """What a cluster without containers goes without: webhooks and APIs whose server is a Service, Helm's hooks."""
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Content that cannot be seen now: why, what to do, and what the lock says of it."""

    why: str
    do: str
    facts: ContentFacts = field(default_factory=ContentFacts)


def reference(manifest: Mapping[str, Any]) -> str:
    """An object as kubectl would name it, with its namespace: deployment.apps/default/web, namespace/team."""
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    metadata = manifest["metadata"]
    kind = str(manifest["kind"]).lower()
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{kind}{'.' if group else ''}{group}/{where}{metadata['name']}"


def hook_events(obj: Any) -> set[str]:
    """When Helm runs an object as a hook: pre-install, test, ...; empty for an ordinary object."""
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    notes = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = str(notes.get(HOOK) or "") if isinstance(notes, Mapping) else ""
    return {event.strip() for event in text.split(",")} - {""}


def is_hook(obj: Any) -> bool:
    """Whether Helm runs an object as a hook; a definition counts as an object whatever it is annotated with."""
    return bool(hook_events(obj)) and obj.get("kind") != "CustomResourceDefinition"


Contents = Mapping[str, Rendered | Recorded]
"""By add-on."""
