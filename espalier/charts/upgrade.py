"""What another version of an add-on's content changes, object by object, and what of it cannot be done in place.

Pure: two renders go in, rows come out. Which fields cannot change is Kubernetes' own validation (pkg/apis/*/validation,
1.36): a replacement is told of, and what would lose data, or what an API server would refuse, is refused before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from espalier.charts.images import images_of
from espalier.content import ContentFacts, reference
from espalier.engine.paths import covers, differences, parse, text_of

Manifest = Mapping[str, Any]
Op = Literal["add", "remove", "change", "replace", "rename"]

FIXED: Final[Mapping[str, tuple[str, ...]]] = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "Job": ("spec.template", "spec.selector", "spec.completionMode"),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"),
    "Service": ("spec.clusterIP",),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    "PriorityClass": ("value", "preemptionPolicy"),
    "IngressClass": ("spec.controller",),
    "RuntimeClass": ("handler",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName", "spec.volumeMode", "spec.selector"),
    "PersistentVolume": ("spec",),
    "CustomResourceDefinition": ("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"),
}
"""Fields by kind that only a new object can have otherwise. Of a ConfigMap or Secret with `immutable`, its data."""
_HOLD_DATA: Final = ("Namespace", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition")
"""A new object of these would be empty."""
_LOST: Final = "Save what it holds and move it to where the new version looks; then say --accept {object}."


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What becomes of one object. `refused` says why that cannot be done in place, "" where it can; `do` what to do."""

    object: str
    op: Op
    fields: tuple[str, ...] = ()
    note: str = ""
    refused: str = ""
    do: str = ""


def compare(old: Iterable[Manifest], new: Iterable[Manifest]) -> list[ObjectChange]:
    """All that differs between two renders of an add-on, by the objects' names."""
    before = {reference(manifest): manifest for manifest in old}
    after = {reference(manifest): manifest for manifest in new}
    gone = {name: before[name] for name in sorted(before.keys() - after.keys())}
    made = {name: after[name] for name in sorted(after.keys() - before.keys())}
    renamed = _renamed(gone, made)
    rows = [_gone(name, manifest, renamed.get(name, "")) for name, manifest in gone.items()]
    successors = {new: old for old, new in renamed.items()}
    for name in made:
        was = successors.get(name)
        rows.append(ObjectChange(name, "rename", note=f"was {was}") if was else ObjectChange(name, "add"))
    both = before.keys() & after.keys()
    rows += [_changed(name, before[name], after[name]) for name in both if before[name] != after[name]]
    return sorted(rows, key=lambda row: row.object)


def compare_names(old: ContentFacts, new: ContentFacts) -> list[ObjectChange]:
    """The same where the old content cannot be seen: what comes and what goes, by name."""
    rows = [ObjectChange(name, "add") for name in set(new.objects) - set(old.objects)]
    for name in set(old.objects) - set(new.objects):
        if name.startswith(("statefulset.apps/", "persistentvolumeclaim/", "persistentvolume/", "namespace/")):
            rows.append(_lost(name, "may hold data, and the new version does not have it"))
        else:
            rows.append(ObjectChange(name, "remove", note=_STAYS if _is_definition(name) else ""))
    return sorted(rows, key=lambda row: row.object)


_STAYS: Final = "stays in the cluster with its objects; delete it by hand when nobody needs these"


def _is_definition(name: str) -> bool:
    return name.startswith("customresourcedefinition.")


def _gone(name: str, manifest: Manifest, successor: str) -> ObjectChange:
    note = f"{successor} takes its place" if successor else ""
    if _is_definition(name):
        return ObjectChange(name, "remove", note=_STAYS)
    if _kept(manifest):
        return ObjectChange(name, "remove", note="stays in the cluster: helm.sh/resource-policy says so")
    if manifest["kind"] == "StatefulSet" and manifest["spec"].get("volumeClaimTemplates"):
        takes = f", and {successor}, which takes its place, starts empty" if successor else ""
        return _lost(name, f"keeps data in claims that nothing uses any more{takes}")
    if manifest["kind"] in _HOLD_DATA:
        return _lost(name, "would be deleted with what it holds")
    return ObjectChange(name, "remove", note=note)


def _lost(name: str, why: str) -> ObjectChange:
    return ObjectChange(name, "remove", refused=f"{name} {why}", do=_LOST.format(object=name))


def _kept(manifest: Manifest) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get("helm.sh/resource-policy", "")).strip().lower() == "keep"


def _renamed(gone: Mapping[str, Manifest], made: Mapping[str, Manifest]) -> dict[str, str]:
    """Old name -> new name, for workloads that run the same images, and of which there is one each."""
    before, after = _by_images(gone), _by_images(made)
    return {
        before[key][0]: after[key][0]
        for key in sorted(before.keys() & after.keys())
        if len(before[key]) == len(after[key]) == 1
    }


def _by_images(objects: Mapping[str, Manifest]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for name, manifest in objects.items():
        if images := images_of([manifest]):
            key = (str(manifest["kind"]), *sorted(_repository(image) for image in images))
            found.setdefault(key, []).append(name)
    return found


def _repository(image: str) -> str:
    """An image without its tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _changed(name: str, old: Manifest, new: Manifest) -> ObjectChange:
    paths = sorted(differences(old, new), key=text_of)
    fields = tuple(text_of(path) for path in paths)
    kind = str(new["kind"])
    if kind == "CustomResourceDefinition":
        return _definition(name, old, new, fields)
    fixed = [parse(field) for field in _fixed(kind, old)]
    forcing = [text_of(path) for path in paths if any(covers(each, path) or covers(path, each) for each in fixed)]
    if not forcing:
        return ObjectChange(name, "change", fields)
    told = ", ".join(forcing)
    if kind in _HOLD_DATA:
        do = _LOST.format(object=name)
        return ObjectChange(name, "replace", fields, refused=f"{name} cannot change {told} and holds data", do=do)
    note = f"deleted and made anew for {told}"
    if kind == "StatefulSet":
        note += "; its claims stay as they are"
    return ObjectChange(name, "replace", fields, note)


def _fixed(kind: str, old: Manifest) -> tuple[str, ...]:
    if kind in ("ConfigMap", "Secret"):
        return ("data", "binaryData", "stringData", "immutable") if old.get("immutable") else ()
    return FIXED.get(kind, ())


def _definition(name: str, old: Manifest, new: Manifest, fields: tuple[str, ...]) -> ObjectChange:
    """A definition's versions: one that objects may be stored in must stay until they are stored in another."""
    fixed = [parse(field) for field in FIXED["CustomResourceDefinition"]]
    forcing = [text_of(path) for path in differences(old, new) if any(covers(each, path) for each in fixed)]
    if forcing:
        why = f"{name} cannot change {', '.join(sorted(forcing))} while it has objects"
        return ObjectChange(name, "replace", fields, refused=why, do=_LOST.format(object=name))
    there = {version["name"] for version in new["spec"]["versions"]}
    stored = [version["name"] for version in old["spec"]["versions"] if version.get("storage")]
    if lost := [version for version in stored if version not in there]:
        why = f"{name} drops {', '.join(lost)}, in which its objects are stored"
        do = (
            "Go through a version that has both, write each object once (kubectl get -o json | kubectl replace -f -) "
            f"and take the old one out of status.storedVersions; then say --accept {name}."
        )
        return ObjectChange(name, "change", fields, refused=why, do=do)
    unserved = sorted(_served(old) - _served(new))
    note = f"no longer serves {', '.join(unserved)}: manifests and clients that name it fail" if unserved else ""
    return ObjectChange(name, "change", fields, note)


def _served(definition: Manifest) -> set[str]:
    return {version["name"] for version in definition["spec"]["versions"] if version.get("served")}


def counts(ops: Sequence[Op]) -> str:
    """How many of each, for people: `2 add, 1 replace`."""
    order: tuple[Op, ...] = ("add", "change", "replace", "rename", "remove")
    return ", ".join(f"{ops.count(op)} {op}" for op in order if op in ops) or "no object changes"
