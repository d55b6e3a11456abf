"""Add-ons of a stack's own: `addons/<id>.yaml` beside the stack files, each a record as data.

They are validated like a stack file, all mistakes at once, and handed to the blueprint with Espalier's own records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from espalier.charts.images import steps
from espalier.charts.values import merged
from espalier.content import (
    ChartSource,
    Content,
    ImagePath,
    KustomizeSource,
    ManifestSource,
    Source,
)
from espalier.settings.base import Strict
from espalier.settings.explain import check
from espalier.settings.strict_yaml import parse
from espalier.settings.tree import Fault, Node, to_mistakes
from espalier.types import AddonInputs, AddonRecord, Mistake, Mistakes

FOLDER = "addons"
_DIGEST = r"^sha256:[0-9a-f]{64}$"
_TEXT = Annotated[str, Field(min_length=1, max_length=1000)]


class Chart(Strict):
    """A Helm chart."""

    name: _TEXT = Field(description="the chart's name")
    repo: _TEXT = Field(description="https://..., oci://..., or a folder beside the stack files that holds the chart's")
    version: _TEXT = Field(description="the chart's version, as a quoted string")
    digest: Annotated[str, Field(pattern=_DIGEST)] | None = Field(
        default=None, description="of the archive; else the lock's"
    )


class Kustomize(Strict):
    """A kustomization."""

    url: _TEXT = Field(description="URL of a .tar.gz, or a folder beside the stack files")
    version: _TEXT = Field(description="its version, as a quoted string")
    folder: _TEXT = Field(default=".", description="the folder with the kustomization within it")
    digest: Annotated[str, Field(pattern=_DIGEST)] | None = Field(
        default=None, description="of the archive; else the lock's"
    )


class Manifests(Strict):
    """Plain objects."""

    url: _TEXT = Field(description="URL of a YAML file, or a file beside the stack files")
    version: _TEXT = Field(description="its version, as a quoted string")
    digest: Annotated[str, Field(pattern=_DIGEST)] | None = Field(
        default=None, description="of the file; else the lock's"
    )


class From(Strict):
    """One of three kinds of source."""

    chart: Chart | None = Field(default=None, description="a Helm chart")
    kustomize: Kustomize | None = Field(default=None, description="a kustomization")
    manifests: Manifests | None = Field(default=None, description="plain objects")


class Image(Strict):
    """Where an object names an image outside its containers."""

    kind: _TEXT = Field(description="the object's kind")
    path: _TEXT = Field(description='such as spec.args[*] or data["config.yaml"]')
    name: _TEXT = Field(default="*", description="the object's name; * matches any text")
    pattern: str = Field(default="", description="a regular expression whose first group is the image")
    parts: tuple[_TEXT, _TEXT, _TEXT] | None = Field(
        default=None, description="keys of repository, name and tag, where mappings at the path or below it have three"
    )
    front: bool = Field(default=False, description="what is there is where images lie, not an image itself")
    optional: bool = Field(default=False, description="whether some renders do not have it")


def _hooks_tag(value: Any) -> str:
    return "<rules>" if isinstance(value, dict) else "<word>"


_Hooks = Annotated[
    Annotated[dict[str, Literal["keep", "drop"]], Tag("<rules>")] | Annotated[Literal["release"], Tag("<word>")],
    Discriminator(_hooks_tag),
]


class Record(Strict):
    """An add-on of the stack's own."""

    source: From = Field(description="where its objects come from")
    namespace: _TEXT = Field(description="the namespace that it is installed into")
    create_namespace: bool = Field(default=True, description="false where another add-on makes the namespace")
    namespace_labels: dict[str, str] = Field(default={}, description="labels of the namespace")
    privileged: bool = Field(default=False, description="whether its pods need access to the host")
    release: str = Field(default="", description="Helm's release name; default: the add-on's id")
    values: dict[str, Any] = Field(default={}, description="the chart's values; the stack file's are laid on them")
    hooks: _Hooks = Field(
        default={}, description="what becomes of hooks, by Kind/name; or release: Helm installs the chart and runs them"
    )
    crds: Literal["keep", "skip"] = Field(default="keep", description="skip where others install its definitions")
    api_versions: tuple[str, ...] = Field(default=(), description="APIs beyond Kubernetes' own that the chart may find")
    cluster_scoped: tuple[str, ...] = Field(default=(), description="kinds of custom resources without a namespace")
    images: tuple[Image, ...] = Field(default=(), description="where else images are named")
    needs: tuple[str, ...] = Field(default=(), description="add-ons that come before it")
    conflicts: tuple[str, ...] = Field(default=(), description="add-ons that cannot be beside it")
    provides: tuple[str, ...] = Field(
        default=(), description="what it is the one owner of, such as device-plugin/habana.ai/gaudi"
    )
    reaches: tuple[str, ...] = Field(default=(), description="devices whose nodes its DaemonSets must reach")
    architectures: tuple[Literal["amd64", "arm64"], ...] = Field(
        default=("amd64", "arm64"), min_length=1, description="processors that all its images are built for"
    )
    everywhere: bool = Field(default=False, description="whether its DaemonSets must reach every node")
    category: str = Field(default="own", description="what it is for")
    licence: str = Field(default="unknown", description="its licence")


class Options(BaseModel):
    """What a stack file may say of such an add-on."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    values: dict[str, Any] = {}
    """Laid on the record's values: mappings merge key by key, lists and scalars replace."""


def records_in(folder: Path, known: Mapping[str, AddonRecord]) -> dict[str, AddonRecord]:
    """The records of `<folder>/addons`, by id. `known` are those that they must not replace.

    Raises Mistakes with all that is wrong in all files.
    """
    records: dict[str, AddonRecord] = {}
    mistakes: list[Mistake] = []
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        id, where = path.stem, f"{FOLDER}/{path.name}"
        if id in known:
            do = "Rename the file: the id is its name."
            mistakes.append(Mistake(where, f"a second add-on {id}", "ids that Espalier does not use itself", do))
            continue
        record, faults = _read(path, where)
        mistakes += to_mistakes(faults, where)
        if record is not None:
            records[id] = _record(id, record)
    if mistakes:
        raise Mistakes(mistakes)
    return records


def _read(path: Path, where: str) -> tuple[Record | None, list[Fault]]:
    try:
        document = parse(path.read_bytes(), where)
    except OSError as error:
        got = f"no reading of it ({error.strerror})"
        return None, [Fault((), got, "a file that can be read", "Mend its permissions.", None, where)]
    faults = list(document.faults)
    if document.root is None or faults:
        return None, faults
    record, faults = check(Record, document.root)
    if not isinstance(record, Record):
        return None, [replace(fault, file=where) for fault in faults]
    return record, _rules(record, document.root, where)


def _rules(record: Record, root: Node, where: str) -> list[Fault]:
    found: list[Fault] = []
    given = [key for key in From.model_fields if getattr(record.source, key) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "nothing"
        do = "Name one kind of source."
        found.append(Fault(("source",), got, "one of chart, kustomize, manifests", do, root.line, where))
    if record.values and record.source.chart is None:
        do = "Remove the values; kustomizations and manifests take none."
        found.append(Fault(("values",), "values", "values for a chart only", do, root.line, where))
    if record.hooks == "release" and record.source.chart is None:
        got, do = "release", "Remove the rule; kustomizations and manifests have no hooks that Helm runs."
        found.append(Fault(("hooks",), got, "release for a chart only", do, root.line, where))
    for index, image in enumerate(record.images):
        try:
            steps(image.path)
        except ValueError as error:
            got, accepted = f"{image.path!r}: {error}", 'a path such as spec.args[*] or data["config.yaml"]'
            found.append(Fault(("images", index, "path"), got, accepted, "Correct the path.", root.line, where))
    return found


def _record(id: str, record: Record) -> AddonRecord:
    source = _source(record.source)
    content = Content(
        source=source,
        namespace=record.namespace,
        create_namespace=record.create_namespace,
        namespace_labels=record.namespace_labels,
        release=record.release,
        values=lambda inputs: _values(record, inputs),
        hooks="release" if record.hooks == "release" else dict(record.hooks),
        crds=record.crds,
        api_versions=record.api_versions,
        cluster_scoped=frozenset(record.cluster_scoped),
        images=tuple(ImagePath(**image.model_dump()) for image in record.images),
    )
    return AddonRecord(
        id=id,
        version=source.version,
        category=record.category,
        tier="optional",
        licence=record.licence,
        source=source.address,
        options=Options,
        content=content,
        needs=frozenset(record.needs),
        conflicts=dict.fromkeys(record.conflicts, ""),
        architectures=frozenset(record.architectures),
        provides=frozenset(record.provides),
        reaches=frozenset(record.reaches),
        everywhere=record.everywhere,
        privileged_namespaces=frozenset({record.namespace} if record.privileged else ()),
    )


def _values(record: Record, inputs: AddonInputs) -> Mapping[str, Any]:
    return merged(record.values, inputs.options.values)


def _source(given: From) -> Source:
    if given.chart is not None:
        chart = given.chart
        return ChartSource(chart.name, chart.version, chart.repo, chart.digest or "")
    if given.kustomize is not None:
        kustomize = given.kustomize
        return KustomizeSource(kustomize.url, kustomize.version, kustomize.folder, kustomize.digest or "")
    assert given.manifests is not None  # noqa: S101 - _rules has seen to it
    return ManifestSource(given.manifests.url, given.manifests.version, given.manifests.digest or "")
