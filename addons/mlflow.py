"""MLflow: runs, models and their files, in a database and a bucket that are given, or on a volume of its own.

Facts: community-charts/helm-charts, mlflow 1.11.5 (values.yaml, templates; MLflow 3.15.1). Of two servers with a file
as their database each would write it: without a database one runs, and is stopped before the next. The chart makes up a
key of sessions with each render; nobody logs in to MLflow itself here (a login stands before it: oauth2-proxy), so that
its Secret is left out. Whoever reaches it sees all runs: it knows no tenants.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.saved import files, sqlite
from espalier.addons.walls import budget, wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic

NAME: Final = "mlflow"
VERSION: Final = "1.11.5"
NAMESPACE: Final = "mlflow"
PORT: Final = 5000
_IMAGE: Final = "burakince/mlflow:3.15.1"
_SESSIONS: Final = "mlflow-flask-server-secret-key"
_DATA: Final = "/data"
_FILE: Final = f"{_DATA}/mlflow.db"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Database(_Strict):
    """A PostgreSQL database."""

    host: str = Field(min_length=1, max_length=253, description="where it is")
    port: int = Field(default=5432, ge=1, le=65535, description="its port")
    name: str = Field(default="mlflow", pattern=r"^[\w-]+$", description="the database")
    secret: Name = Field(description="Secret of namespace mlflow with username and password")


class Bucket(_Strict):
    """Where files of runs go."""

    kind: Literal["s3", "gcs"] = Field(description="S3, or what speaks its protocol; Google Cloud Storage")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", description="the bucket")
    path: str = Field(default="mlflow", pattern=r"^[\w/-]*$", description="a folder in it")
    secret: str = Field(
        default="",
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$",
        description="Secret of namespace mlflow with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; default: the account "
        "mlflow's own identity",
    )


class Options(_Strict):
    """Where runs and files are kept, and by which names the server is asked."""

    database: Database | None = Field(default=None, description="default: a file on a volume, and one server")
    bucket: Bucket | None = Field(default=None, description="default: the same volume")
    hosts: Annotated[list[str], Field(max_length=50)] = Field(
        default=[], description="names by which a gateway asks it, such as mlflow.example.com: others are refused"
    )
    storage: str = Field(default="50Gi", pattern=r"^[1-9][0-9]*[GT]i$", description="the volume, where one is needed")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, and the volume where something has no other place."""
    options: Options = inputs.options
    out = (options.database.port,) if options.database else ()
    walls = (wall(NAMESPACE, (PORT,), out=out),)
    return (*walls, _claim(options.storage) if _on_volume(options) else budget(NAME, NAMESPACE, {"app": NAME}))


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: files go through the server, so that whoever logs runs needs no right to the bucket."""
    options: Options = inputs.options
    twice = not _on_volume(options)
    named = [f"{NAME}.{NAMESPACE}", f"{NAME}.{NAMESPACE}.svc", f"{NAME}.{NAMESPACE}.svc.cluster.local", "localhost"]
    return {
        "replicaCount": 2 if twice else 1,
        "strategy": {"type": "RollingUpdate"} if twice else {"type": "Recreate", "rollingUpdate": None},
        "backendStore": _store(options),
        "artifactRoot": _files(options),
        "flaskServerSecretKey": "no-sessions",
        "serverAllowedHosts": [*(f"{one}*" for one in named), *options.hosts],
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        **(_volume() if _on_volume(options) else {}),
    }


def _on_volume(options: Options) -> bool:
    return options.database is None or options.bucket is None


def _store(options: Options) -> dict[str, Any]:
    if options.database is None:
        return {"databaseMigration": True, "defaultSqlitePath": _FILE}
    given = options.database
    return {
        "databaseMigration": True,
        "postgres": {"enabled": True, "host": given.host, "port": given.port, "database": given.name},
        "existingDatabaseSecret": {"name": given.secret},
    }


def _files(options: Options) -> dict[str, Any]:
    if options.bucket is None:
        return {"proxiedArtifactStorage": True, "defaultArtifactsDestination": f"{_DATA}/artifacts"}
    given = options.bucket
    where: dict[str, Any] = {"enabled": True, "bucket": given.name, "path": given.path}
    if given.kind == "s3" and given.secret:
        where["existingSecret"] = {"name": given.secret}
    return {"proxiedArtifactStorage": True, given.kind: where}


def _volume() -> dict[str, Any]:
    return {
        "extraVolumes": [{"name": "data", "persistentVolumeClaim": {"claimName": NAME}}],
        "extraVolumeMounts": [{"name": "data", "mountPath": _DATA}],
    }


def _claim(size: str) -> Planned:
    """It stays when the add-on goes: with it the runs would."""
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return Planned("volume", {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The server without a key of sessions, taken by a namespace of restricted pods."""
    del inputs
    if manifest["kind"] != "Deployment":
        return manifest
    changed = copy.deepcopy(dict(manifest))
    pod = changed["spec"]["template"]["spec"]
    pod["securityContext"] = {**(pod.get("securityContext") or {}), "seccompProfile": {"type": "RuntimeDefault"}}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        given = container.get("envFrom", ())
        container["envFrom"] = [one for one in given if (one.get("secretRef") or {}).get("name") != _SESSIONS]
    return changed


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="tracking",
    tier="core",
    licence="MIT",
    source="https://github.com/community-charts/helm-charts",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://community-charts.github.io/helm-charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        hooks={f"Secret/{_SESSIONS}": "drop"},
        edit=edit,
        facts=ContentFacts(images=(_IMAGE,)),
    ),
    data=(
        sqlite("runs and models", NAMESPACE, NAME, NAME, NAME, _FILE, given="database"),
        files("files of runs", NAMESPACE, NAME, NAME, NAME, f"{_DATA}/artifacts", given="bucket"),
    ),
    traffic=Traffic(servers=(Peer(NAMESPACE, {"app": NAME}, (PORT,)),)),
)
