"""Calls of the Kubernetes API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from espalier.kube.discovery import ApiResource, Discovery
from espalier.kube.errors import ApiError
from espalier.kube.kinds import Kind, Manifest, Reference, reference_of
from espalier.kube.kubeconfig import Kubeconfig
from espalier.kube.transport import Transport
from espalier.kube.watch import Watch

FIELD_MANAGER = "espalier"
_PAGE = 500
_WATCH_SILENCE = 90.0
"""Seconds without a byte after which a watch counts as cut; the API server sends a bookmark about once a minute."""
_JSON = "application/json"
_POD = Kind("v1", "Pod")
_PATCH_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Client:
    """The Kubernetes API of one cluster as one user. Safe to use from many threads.

    Every call raises ApiError when the API server refuses and UnreachableError when it does not answer. What may pass
    by itself is tried again for up to `retries.PATIENCE` seconds, and told to who was given to `tell`.
    """

    def __init__(self, transport: Transport, *, user: str = "", groups: tuple[str, ...] = ()) -> None:
        self._transport = transport
        self._user = user
        self._groups = groups
        self._before_write: Callable[[], None] | None = None
        self._discovery = Discovery(lambda path: self.request("GET", path))

    @classmethod
    def connect(cls, source: Kubeconfig | str | Path, context: str | None = None, *, pool: int = 64) -> Client:
        """Makes a client from a kubeconfig, or from its path or text; nothing is sent yet.

        `pool` is how many connections are kept open.
        """
        config = source if isinstance(source, Kubeconfig) else Kubeconfig.load(source, context)
        return cls(Transport(config, pool), user=config.user, groups=config.groups)

    @property
    def kubeconfig(self) -> Kubeconfig:
        """What the client was made from."""
        return self._transport.kubeconfig

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Client:
        """Gives a client over the same connections that impersonates a user."""
        view = Client(self._transport, user=user, groups=tuple(groups))
        view._discovery = self._discovery
        return view

    def before_writing(self, check: Callable[[], None]) -> Client:
        """Gives a client over the same connections that calls `check` before each change it sends, again each time.

        What `check` raises ends the call, and nothing is sent.
        """
        view = self.as_user(self._user, self._groups)
        view._before_write = check
        return view

    def tell(self, say: Callable[[str], None] | None) -> None:
        """Gives who hears, one line at a time and from any thread, that the API server keeps us waiting."""
        self._transport.outage.tell(say)

    def hurry(self, on: bool = True) -> None:
        """While on, nothing is tried again and whoever waits for another try gets the error: for a run that ends."""
        self._transport.hurry(on)

    @property
    def given_up(self) -> bool:
        """Whether a request was tried for as long as it makes sense, and nothing was answered since."""
        return self._transport.given_up

    def close(self) -> None:
        """Closes idle connections; a later call opens new ones."""
        self._transport.close()

    def find(self, kind: Kind) -> ApiResource:
        """Tells how a kind is served. Raises UnknownKindError."""
        return self._discovery.find(kind)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        timeout: float = 30.0,
        repeatable: bool | None = None,
    ) -> Any:
        """Sends one request and reads the JSON answer; `timeout` is in seconds for each read.

        `repeatable` tells whether doing it twice is as good as once; without it, all but POST and JSON patches are.
        """
        headers = {"Accept": _JSON, "User-Agent": FIELD_MANAGER}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, separators=(",", ":")).encode()
        response = self._transport.send(
            method,
            _with_query(path, query),
            headers=headers,
            user=self._user,
            groups=self._groups,
            body=data,
            timeout=timeout,
            repeatable=_is_repeatable(method, content_type) if repeatable is None else repeatable,
            before=None if method == "GET" else self._before_write,
        )
        return _parse(response.data)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads one object."""
        return self.request("GET", self._discovery.path(kind, namespace, quote(name)))

    def find_object(self, reference: Reference) -> dict[str, Any] | None:
        """Reads one object, or gives None where there is none (or its kind is not served)."""
        try:
            return self.get(reference.kind, reference.name, reference.namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: Kind, namespace: str | None = None, **query: str) -> list[dict[str, Any]]:
        """Reads all objects of a kind, page by page; `query` takes labelSelector, fieldSelector."""
        return self.list_at(kind, namespace, **query)[0]

    def list_at(self, kind: Kind, namespace: str | None = None, **query: str) -> tuple[list[dict[str, Any]], str]:
        """Reads all objects of a kind, and the resourceVersion from which a watch goes on."""
        path = self._discovery.path(kind, namespace)
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            paging = {"limit": _PAGE} | ({"continue": token} if token else {})
            try:
                answer = self.request("GET", path, query={**query, **paging})
            except ApiError as error:
                if error.status != 410 or not token:
                    raise
                # The pages took longer than etcd keeps their version: from the start.
                items, token = [], ""
                continue
            for item in answer["items"]:
                # Items of a list leave these two out.
                item.update(apiVersion=kind.api_version, kind=kind.kind)
            items.extend(answer["items"])
            token = answer["metadata"].get("continue")
            if not token:
                return items, answer["metadata"]["resourceVersion"]

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> dict[str, Any]:
        """Creates an object; one that exists is an ApiError with reason AlreadyExists.

        Where the answer was lost and the object then exists with all that was sent, it is the one that was created.
        """
        kind = Kind(manifest["apiVersion"], manifest["kind"])
        path = self._discovery.path(kind, manifest["metadata"].get("namespace"))
        # The API server would draw another name each time.
        repeatable = dry_run or bool(manifest["metadata"].get("name"))
        try:
            return self.request("POST", path, query=_writing(dry_run), body=manifest, repeatable=repeatable)
        except ApiError as error:
            return self._written_before(manifest, error, "AlreadyExists")

    def replace(self, manifest: Manifest, *, dry_run: bool = False) -> dict[str, Any]:
        """Overwrites an object; with a resourceVersion that is not the live one it is a Conflict.

        Where the answer was lost and the live object then has all that was sent, it was written.
        """
        try:
            return self.request("PUT", self._path(manifest), query=_writing(dry_run), body=manifest)
        except ApiError as error:
            return self._written_before(manifest, error, "Conflict")

    def _written_before(self, manifest: Manifest, error: ApiError, reason: str) -> dict[str, Any]:
        """Gives what an earlier try of the same request has written; raises `error` where none has."""
        if error.after_lost_answer and error.reason == reason:
            live = self.find_object(reference_of(manifest))
            if live is not None and _holds(live, _unversioned(manifest)):
                return live
        raise error

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> dict[str, Any]:
        """Applies an object on the server's side; a field of another manager is a Conflict without `force`."""
        query = _writing(dry_run) | ({"force": "true"} if force else {})
        return self.request(
            "PATCH", self._path(manifest), query=query, body=manifest, content_type=_PATCH_TYPES["apply"]
        )

    def patch(
        self,
        kind: Kind,
        name: str,
        body: Any,
        *,
        namespace: str | None = None,
        how: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Patches an object; `how` is merge, strategic or json."""
        path = self._discovery.path(kind, namespace, quote(name)) + (f"/{subresource}" if subresource else "")
        return self.request("PATCH", path, query=_writing(dry_run), body=body, content_type=_PATCH_TYPES[how])

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Deletes an object; with `uid` only that very one, another of its name is a Conflict.

        The answer is a Status where it is gone already, else the object. Where an answer was lost and there is no
        object then, it was deleted.
        """
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        if dry_run:
            body["dryRun"] = ["All"]
        path = self._discovery.path(kind, namespace, quote(name))
        try:
            # Without a UID a second try might hit what someone made in the meantime.
            return self.request("DELETE", path, body=body, repeatable=bool(uid) or dry_run)
        except ApiError as error:
            if error.status == 404 and error.after_lost_answer:
                return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            raise

    def log(self, pod: str, namespace: str, container: str, *, most: int = 1 << 20) -> str:
        """Reads what a container has written so far, at most so many bytes of its beginning."""
        path = self._discovery.path(_POD, namespace, quote(pod)) + "/log"
        response = self._transport.send(
            "GET",
            _with_query(path, {"container": container, "limitBytes": most}),
            headers={"Accept": "*/*", "User-Agent": FIELD_MANAGER},
            user=self._user,
            groups=self._groups,
        )
        return response.data.decode(errors="replace")

    def watch(
        self, kind: Kind, resource_version: str, namespace: str | None = None, *, seconds: int = 300, **query: str
    ) -> Watch:
        """Follows a kind from a resourceVersion on, for so many seconds; see `Watch`."""
        all_query = {
            **query,
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }
        response = self._transport.send(
            "GET",
            _with_query(self._discovery.path(kind, namespace), all_query),
            headers={"Accept": _JSON, "User-Agent": FIELD_MANAGER},
            user=self._user,
            groups=self._groups,
            timeout=_WATCH_SILENCE,
            stream=True,
        )
        return Watch(response, self.kubeconfig.server)

    def _path(self, manifest: Manifest) -> str:
        reference = reference_of(manifest)
        return self._discovery.path(reference.kind, reference.namespace, quote(reference.name))


def _writing(dry_run: bool) -> dict[str, Any]:
    # Strict: a field that the kind does not have is refused instead of dropped.
    return {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})


def _with_query(path: str, query: Mapping[str, Any] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _is_repeatable(method: str, content_type: str) -> bool:
    return method != "POST" and content_type != _PATCH_TYPES["json"]


def _unversioned(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "resourceVersion"}
    return {**manifest, "metadata": metadata}


def _holds(live: Any, sent: Any) -> bool:
    """Tells whether all that was sent is in a live value."""
    if isinstance(sent, Mapping):
        return isinstance(live, Mapping) and all(_holds(live.get(key), value) for key, value in sent.items())
    return live == sent


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
