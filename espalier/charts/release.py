"""Charts that Helm itself installs, where a record says `hooks: release`: what becomes a Release, and what cannot.

The namespace, the definitions of `crds/` and the record's own objects stay objects of their own and come first; all
else is the Release's. It is rendered here all the same, for plans and policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from espalier.charts.images import ImageRule, images_of
from espalier.charts.objects import CRD, complete, fault_of, flat
from espalier.charts.tool import Item
from espalier.content import Content, Release, Rendered, hook_events, is_hook, reference
from espalier.types import Mistake, Planned

_KEPT = "helm.sh/resource-policy"


@dataclass(frozen=True, slots=True)
class ByHelm:
    """One chart with its values and what its render gave. `path` is the pinned archive, or the chart's folder."""

    id: str
    content: Content
    path: Path
    digest: str
    values: Mapping[str, Any]
    rows: Sequence[Item]
    scopes: Mapping[str, bool]

    def released(self, plain: Rendered) -> Rendered:
        """`plain`, the content as objects of its own, as what comes before a Release and the Release."""
        within = {reference(manifest) for manifest in self._within()}
        objects = tuple(planned.manifest for planned in plain.objects if planned.suffix in within)
        before = [planned for planned in plain.objects if planned.suffix not in within]
        hooks = tuple(self._hooks())
        name, namespace = self.content.release or self.id, self.content.namespace
        images = images_of([*(planned.manifest for planned in plain.objects), *hooks], self.content.images)
        known = self.content.facts.images if self.content.facts else ()  # what hooks write, only the record knows
        return replace(
            plain,
            objects=tuple(_without_needs(planned, within) for planned in before),
            facts=replace(plain.facts, images=tuple(sorted({*images, *known}))),
            release=Release(name, namespace, self.path, self.digest, self.values, objects, hooks),
        )

    def without_hooks(self, plain: Rendered) -> Rendered:
        """For a cluster that runs no containers, where no hook has an effect: the objects, and the hooks' names."""
        names = {f"hook {_named(hook)}" for hook in self._hooks()}
        return replace(plain, withheld=tuple(sorted({*plain.withheld, *names})))

    def mistakes(self, rule: ImageRule) -> list[Mistake]:
        """What a Release cannot be: each would break, or be lost, when Helm installs the chart."""
        found = [self._mistake(*text) for row in flat(self.rows) if not row.crd for text in self._faults(row.object)]
        objects = [*self._within(), *self._hooks()]
        found += [
            self._mistake(
                f"the image {image}, which Helm takes from where the chart has it",
                f"images of espalier:sources.registry ({rule.apply(image)})",
                "Give the image by the chart's values, or each hook a rule, keep or drop, instead of `release`.",
            )
            for image in images_of(objects, self.content.images)
            if rule.apply(image) != image
        ]
        if not any(True for _ in self._hooks()):
            got = "release for a chart without hooks"
            found.append(self._mistake(got, "release where hooks need it", "Remove the rule."))
        return found

    def _faults(self, obj: Any) -> Iterator[tuple[str, str, str]]:
        if is_hook(obj) or fault_of(obj):
            return
        metadata = obj["metadata"]
        kept = (metadata.get("annotations") or {}).get(_KEPT) == "keep"
        if obj["kind"] == CRD and (self.content.crds == "skip" or not kept):
            yield (
                f"{_named(obj)} among the templates, which Helm deletes with the release",
                "definitions in crds/, or with helm.sh/resource-policy: keep",
                "Turn it off by the chart's values and bring it by another add-on.",
            )
        if obj["kind"] == "Namespace" and metadata["name"] == self.content.namespace:
            yield (
                f"{_named(obj)} among the templates, into which the release goes",
                "a namespace that is there before",
                "Turn it off by the chart's values.",
            )

    def _within(self) -> Iterator[dict[str, Any]]:
        """The release's objects but for hooks."""
        for row in flat(self.rows):
            if not row.crd and not is_hook(row.object) and not fault_of(row.object):
                yield complete(row.object, self.content, self.scopes)

    def _hooks(self) -> Iterator[dict[str, Any]]:
        """Its hooks, but for those that only test. One may have a generated name: Helm makes it anew each time."""
        for row in flat(self.rows):
            events = hook_events(row.object)
            if is_hook(row.object) and not all(event.startswith("test") for event in events):
                yield complete(row.object, self.content, self.scopes)

    def _mistake(self, got: str, accepted: str, do: str) -> Mistake:
        return Mistake(f"espalier:addons.{self.id}: hooks", got, accepted, do)


def _without_needs(planned: Planned, names: set[str]) -> Planned:
    return replace(planned, needs=tuple(need for need in planned.needs if need not in names))


def _named(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    return f"{manifest['kind']}/{metadata.get('name') or metadata.get('generateName')}"
