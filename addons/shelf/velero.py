"""Velero: backups of namespaces, volumes by snapshots; each day those whose volumes hold what add-ons keep.

Facts: velero chart 12.1.0 (values.yaml, templates/schedule.yaml), Velero v1.18 csi.md: snapshots by CSI drivers need
EnableCSI, and go on without their definitions (https://github.com/velero-io/velero/pull/6062); a provider's own need a
VolumeSnapshotLocation, of which the chart makes one without a provider where none is given.

No hook runs in a database's pod (backup-hooks.md): a lock ends with the command that takes it, before the snapshot is
made, and a snapshot is of one moment, from which InnoDB and SQLite recover as from a power cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field

from espalier.addons import charted
from espalier.addons.charted import chart
from espalier.addons.walls import wall
from espalier.charts.values import merged
from espalier.content import Content
from espalier.types import AddonInputs, AddonRecord

SCHEDULE: Final = "stack"
"""The chart calls it velero-stack."""
_FIELD: Final = r"[0-9A-Za-z*/,?-]+"
Cron = Annotated[str, Field(pattern=rf"^(|@(hourly|daily|weekly|monthly)|{_FIELD}( {_FIELD}){{4}})$", max_length=100)]
Hours = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}h$")]


class Options(charted.Options):
    """When the stack's data are saved, and for how long."""

    schedule: Cron = Field(
        default="0 2 * * *",
        description="when the namespaces that hold what add-ons keep are saved, as cron says it, by UTC; empty: never",
    )
    ttl: Hours = Field(default="720h", description="how long each of these backups is kept, such as 720h")
    tenants: bool = Field(default=False, description="tenants' namespaces, too: volumes of notebooks and of jobs")


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """One server: it has no election. Node agents, which need the host, are left out: volumes go by snapshots."""
    options: Options = inputs.options
    given = options.values.get("configuration")
    by_provider = bool(isinstance(given, Mapping) and given.get("volumeSnapshotLocation"))
    ours = {
        "upgradeCRDs": False,
        "cleanUpCRDs": False,
        "deployNodeAgent": False,
        "snapshotsEnabled": by_provider,
        "configuration": {} if by_provider else {"features": "EnableCSI"},
        "schedules": _schedules(inputs),
    }
    return merged(ours, options.values)


def _schedules(inputs: AddonInputs) -> dict[str, Any]:
    """None without a namespace: Velero would take an empty list for all of them."""
    options: Options = inputs.options
    spaces = sorted({*inputs.kept, *(inputs.workspaces if options.tenants else ())})
    if not spaces or not options.schedule:
        return {}
    template = {"includedNamespaces": spaces, "snapshotVolumes": True, "ttl": f"{options.ttl}0m0s"}
    return {SCHEDULE: {"schedule": options.schedule, "template": template}}


_ROW: Final = chart(
    "velero",
    "12.1.0",
    "https://vmware-tanzu.github.io/helm-charts",
    "velero",
    category="backup",
    licence="Apache-2.0",
    source="https://github.com/vmware-tanzu/helm-charts",
    crds={
        "velero.io": "backuprepositories backups backupstoragelocations datadownloads datauploads "
        "deletebackuprequests downloadrequests podvolumebackups podvolumerestores restores schedules "
        "serverstatusrequests volumesnapshotlocations"
    },
    images=("docker.io/velero/velero:v1.18.1",),
    user=65532,
    walls=(wall("velero", (8085,)),),
    asks={
        "configuration.backupStorageLocation": "where backups go: a list with name, provider and bucket",
        "initContainers": "the plugin of that provider, pinned",
    },
)


def _with_values(content: Content | None) -> Content:
    assert content is not None  # noqa: S101 - a chart is content
    return replace(content, values=values)


VELERO: Final[AddonRecord] = replace(_ROW, options=Options, content=_with_values(_ROW.content))
RECORDS: Final = (VELERO,)
