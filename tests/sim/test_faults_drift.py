"""Others change, take over, delete and make anew what a stack has: seeded, over many kinds, shown and mended."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.destroy import destroy
from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.preview import preview
from espalier.engine.up import up
from espalier.kube import Client, Kind, Manifest
from espalier.kube.discovery import group_path
from tests.sim.faults.stack import LOGICAL, PROJECT, Item, items, live, ops, program, wrongs

STACK = "drifts"
SIZE = 6
OTHER = "somebody-else"
HELM = {"meta.helm.sh/release-name": "theirs", "meta.helm.sh/release-namespace": "there"}
EDITS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"value": "other"}},
    "Secret": {"data": {"value": "b3RoZXI="}},
    "Service": {"spec": {"selector": {"app": "other"}}},
    "Deployment": {"spec": {"minReadySeconds": 77}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]},
    "Thing": {"spec": {"value": "other"}},
}


@dataclass(frozen=True)
class Meddler:
    """Somebody else, with a field manager of a name of their own."""

    client: Client

    def path(self, obj: Manifest, *, one: bool = True) -> str:
        kind = self.client.find(kind_of(obj))
        metadata = obj["metadata"]
        path = f"{group_path(obj['apiVersion'])}/namespaces/{metadata['namespace']}/{kind.plural}"
        return f"{path}/{metadata['name']}" if one else path

    def edit(self, obj: Manifest) -> None:
        """Changes a field of ours, as `kubectl edit` does."""
        self._merge(obj, EDITS[obj["kind"]])

    def label(self, obj: Manifest) -> None:
        self._merge(obj, {"metadata": {"labels": {LOGICAL: "other"}}})

    def unlabel(self, obj: Manifest) -> None:
        self._merge(obj, {"metadata": {"labels": {LOGICAL: None}}})

    def take(self, obj: Manifest) -> None:
        """Takes a field over by server-side apply, and changes it."""
        metadata = {"name": obj["metadata"]["name"], "namespace": obj["metadata"]["namespace"]}
        body = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, **EDITS[obj["kind"]]}
        query = {"fieldManager": OTHER, "force": "true"}
        self.client.request(
            "PATCH", self.path(obj), query=query, body=body, content_type="application/apply-patch+yaml"
        )

    def delete(self, obj: Manifest) -> None:
        self.client.request("DELETE", self.path(obj), body={})

    def anew(self, obj: Manifest, notes: Manifest | None = None, *, edited: bool = False) -> None:
        """Deletes it and makes one of the same name, which has another UID; with annotations, or other values."""
        self.delete(obj)
        kept = {key: obj["metadata"][key] for key in ("name", "namespace", "labels")} | {"annotations": notes or {}}
        body = {key: value for key, value in obj.items() if key not in ("status", "metadata")}
        if obj["kind"] == "Service":
            body["spec"] = {"clusterIP": "None", "selector": obj["spec"]["selector"]}
        if edited:
            for key, value in EDITS[obj["kind"]].items():
                body[key] = {**body[key], **value} if isinstance(value, dict) else value
        self.client.request(
            "POST", self.path(obj, one=False), query={"fieldManager": OTHER}, body={**body, "metadata": kept}
        )

    def _merge(self, obj: Manifest, body: Any) -> None:
        kind = "application/merge-patch+json"
        self.client.request("PATCH", self.path(obj), query={"fieldManager": OTHER}, body=body, content_type=kind)


def kind_of(obj: Manifest) -> Kind:
    return Kind(obj["apiVersion"], obj["kind"])


CHANGES: dict[str, tuple[Callable[[Meddler, Manifest], None], str]] = {
    "edit": (Meddler.edit, "update"),
    "label": (Meddler.label, "update"),
    "unlabel": (Meddler.unlabel, "update"),
    "take": (Meddler.take, "update"),
    "delete": (Meddler.delete, "create"),
}


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Iterator[Client]:
    made = Client.connect(kubeconfig)
    up(program(STACK, "a", SIZE), connection=made)
    yield made
    destroy(PROJECT, STACK, made)
    assert live(made, STACK) == []


def by_logical(client: Client) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["labels"][LOGICAL]: obj for obj in live(client, STACK)}


def inside() -> list[Item]:
    return [item for item in items(STACK, "a", SIZE) if item.inside]


def previewed(client: Client, **options: Any) -> dict[str, str]:
    changes = preview(program(STACK, "a", SIZE), connection=client, **options)
    return {change.urn.rpartition("::")[2]: change.op for change in changes}


def mended(client: Client, **options: Any) -> None:
    """`up` mends all; after it there is nothing to do."""
    up(program(STACK, "a", SIZE), connection=client, **options)
    problems = wrongs(client, STACK, items(STACK, "a", SIZE))
    assert not problems, "\n".join(problems)
    assert set(ops(up(program(STACK, "a", SIZE), connection=client))) == {"same"}


@pytest.mark.parametrize("seed", range(4))
def test_what_others_change_is_shown_and_mended(client: Client, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - the same at each run
    found, meddler = by_logical(client), Meddler(client)
    done = {item.logical: draw.choice(sorted(CHANGES)) for item in draw.sample(inside(), 14)}
    for logical, change in sorted(done.items()):
        CHANGES[change][0](meddler, found[logical])
    told = f"seed {seed}: {done}"
    said = previewed(client)
    for logical, change in sorted(done.items()):
        kind = found[logical]["kind"]
        assert said[logical] == CHANGES[change][1], f"{told}: {change} of {kind} {logical}"
    # Who reads of a changed object is not known to be the same before that one is mended.
    readers = {item.logical for item in inside() if item.reads in done}
    others = {logical: op for logical, op in said.items() if logical not in done.keys() | readers}
    assert set(others.values()) == {"same"}, f"{told}: {others}"
    mended(client)


def made_anew(client: Client, seed: int, **how: Any) -> list[str]:
    """Makes some objects anew; gives their logical names."""
    draw = random.Random(seed)  # noqa: S311
    found, meddler = by_logical(client), Meddler(client)
    done = sorted(item.logical for item in draw.sample([item for item in inside() if item.kind.kind in EDITS], 6))
    for logical in done:
        meddler.anew(found[logical], **how)
    return done


def refused(client: Client, run: Callable[[Client], Any], words: str) -> set[str]:
    """What is refused; nothing changes meanwhile."""
    versions = {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in live(client, STACK)}
    with pytest.raises((ApplyFailed, RefusedError), match=words) as caught:
        run(client)
    assert versions == {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in live(client, STACK)}
    return {problem.urn.rpartition("::")[2] for problem in caught.value.problems}


@pytest.mark.parametrize("seed", range(2))
def test_what_was_made_anew_by_hand_is_shown_and_mended(client: Client, seed: int) -> None:
    done = made_anew(client, seed)
    said = previewed(client)
    assert {said[logical] for logical in done} == {"update"}, f"seed {seed}: {done}"
    mended(client)


def test_what_a_tool_made_anew_is_its_own_until_it_is_taken_over(client: Client) -> None:
    done = made_anew(client, 3, notes=HELM)
    assert refused(client, previewed, "Helm release") == set(done)
    assert refused(client, mended, "Helm release") == set(done)
    mended(client, adopt=True)


def test_what_was_made_anew_with_other_values_is_mended_by_force(client: Client) -> None:
    done = made_anew(client, 4, edited=True)
    assert refused(client, previewed, OTHER) == set(done)
    with pytest.raises(ApplyFailed, match=OTHER):
        mended(client)
    mended(client, force=True)
