"""One source with one set of values becomes what its renderer gives: once, then from the cache."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from espalier.charts.apis import api_versions
from espalier.charts.cache import Cache
from espalier.charts.errors import SourceError
from espalier.charts.tool import Item, Problem, Progress, ask, version
from espalier.content import ChartSource, Content, KustomizeSource, is_remote
from espalier.types import Mistake


@dataclass(frozen=True, slots=True)
class Request:
    """What is rendered: everything that decides the outcome."""

    id: str
    content: Content
    values: Mapping[str, Any]
    kubernetes: str
    """The minor version, such as 1.36."""
    path: Path
    """The archive, file or folder."""
    digest: str
    """Of what lies there; content from the cache is held against it before it is used."""

    def body(self) -> dict[str, Any]:
        """What the renderer is asked, apart from where the source lies."""
        source = self.content.source
        return {
            "mode": "helm" if isinstance(source, ChartSource) else "kustomize",
            "release": self.content.release or self.id,
            "namespace": self.content.namespace,
            "kubernetes": f"v{self.kubernetes}.0",
            "apiVersions": api_versions(self.kubernetes, self.content.api_versions),
            "values": dict(self.values),
        }


def render(request: Request, cache: Cache, progress: Progress) -> tuple[Sequence[Item], list[Mistake]]:
    """The objects as rendered, or why there are none. Raises SourceError, and what building the renderer raises."""
    if not isinstance(request.content.source, ChartSource | KustomizeSource):
        _hold_against_pin(request, cache)
        return _manifests(request)
    key = key_of(request)
    earlier = cache.render(key)
    if earlier is not None:
        return [Item(**row) for row in earlier], []
    _hold_against_pin(request, cache)
    progress(f"rendering {request.id}")
    items, problems = _rendered(request, progress)
    if problems:
        return (), [_mistake(request, problem) for problem in problems]
    cache.put_render(key, [asdict(item) for item in items])
    return items, []


def _hold_against_pin(request: Request, cache: Cache) -> None:
    if is_remote(request.content.source):
        cache.checked(request.digest)


def key_of(request: Request) -> str:
    """The hash of everything that decides what a render gives, under which the cache keeps it."""
    source = request.content.source
    folders = list(source.folders) if isinstance(source, KustomizeSource) else []
    parts = [version(), request.digest, folders, request.body()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of a folder beside the stack files: of its files' names and contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0".encode() + data)
    return f"sha256:{digest.hexdigest()}"


def _rendered(request: Request, progress: Progress) -> tuple[Sequence[Item], Sequence[Problem]]:
    source = request.content.source
    if isinstance(source, ChartSource):
        return ask({**request.body(), "path": str(request.path)}, progress)
    assert isinstance(source, KustomizeSource)  # noqa: S101 - for the type checker
    if request.path.is_dir():
        return _of_folders(request, request.path, source, progress)
    with tempfile.TemporaryDirectory(prefix="espalier-") as scratch:
        try:
            with tarfile.open(request.path) as archive:
                archive.extractall(scratch, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise SourceError(f"{source.url} is no archive that can be unpacked ({error})", "Use a .tar.gz.") from None
        return _of_folders(request, Path(scratch), source, progress)


def _of_folders(
    request: Request, root: Path, source: KustomizeSource, progress: Progress
) -> tuple[Sequence[Item], Sequence[Problem]]:
    """What all folders give, and all their problems."""
    answers = [ask({**request.body(), "path": str(root / folder)}, progress) for folder in source.folders]
    return [item for items, _ in answers for item in items], [one for _, problems in answers for one in problems]


_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
"""YAML as kubectl reads it: dates and numbers to the base of 60 are text."""

_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def _manifests(request: Request) -> tuple[Sequence[Item], list[Mistake]]:
    name = request.content.source.address.rpartition("/")[2]
    try:
        documents = list(yaml.load_all(request.path.read_bytes(), _Loader))
        documents = json.loads(json.dumps(documents, allow_nan=False))  # keys become text, as for kubectl
    except (yaml.YAMLError, ValueError, TypeError) as error:
        problem = Problem("template", name, " ".join(str(error).split()))
        return (), [_mistake(request, problem)]
    return [Item(name, False, document) for document in documents if document is not None], []


def _mistake(request: Request, problem: Problem) -> Mistake:
    path = f"espalier:addons.{request.id}"
    where = f"{problem.where}: " if problem.where else ""
    match problem.kind:
        case "schema":
            keys = [key.replace("~1", "/").replace("~0", "~") for key in problem.where.split("/")[1:]]
            got = _at(request.values, keys)
            do = "Correct the value: in the stack file, or in the add-on's record."
            accepted = f"what the chart's schema takes: {problem.message}"
            return Mistake(".".join([path, "values", *keys]), got, accepted, do)
        case "random":
            do = "Give by values, from a Secret of your own, what the chart would make up, or turn the template off."
            return Mistake(path, f"{where}{problem.message}", "a render that is the same each time", do)
        case "template":
            return Mistake(
                path, f"{where}{problem.message}", "a source that renders", "Correct the values or the source."
            )
        case _:
            remote = "://" in problem.message or "git" in problem.message
            do = "Copy what it loads into the source." if remote else "Correct the add-on's record, or the chart."
            return Mistake(path, f"{request.content.source.address}: {problem.message}", "a source that fits", do)


def _at(values: Any, keys: Sequence[str]) -> str:
    for key in keys:
        if isinstance(values, Mapping) and key in values:
            values = values[key]
        elif isinstance(values, list) and key.isdigit() and int(key) < len(values):
            values = values[int(key)]
        else:
            return "nothing, or the chart's default"
    return repr(values)[:60]
