"""All content of one stack, from pins to ordered objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from espalier.charts.cache import Cache, digest_of
from espalier.charts.errors import SourceError
from espalier.charts.images import ImageRule, images_of, rewrite_images, unused_paths
from espalier.charts.lock import Entry, read_lock
from espalier.charts.objects import CRD, Object, objects_of, scopes_of
from espalier.charts.phases import in_order, withheld
from espalier.charts.place import Place, upgrade_first
from espalier.charts.prepare import Progress, cache_folder, recorded
from espalier.charts.release import ByHelm
from espalier.charts.render import Request, folder_digest, render
from espalier.charts.tool import Item
from espalier.content import Content, ContentFacts, Contents, Recorded, Rendered, is_remote, reference
from espalier.settings import Settings
from espalier.types import AddonInputs, AddonRecord, Mistake, Mistakes, Planned

Wanted = Mapping[str, tuple[AddonRecord, AddonInputs]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the content of a stack lies, and what its lock pins."""

    place: Place
    cache: Cache
    lock: Mapping[str, Entry]
    rule: ImageRule
    mistakes: tuple[Mistake, ...] = ()

    @classmethod
    def of(cls, settings: Settings, place: Place) -> Stage:
        cache, rule = Cache(cache_folder(settings, place)), ImageRule(settings.sources.registry or "")
        try:
            return cls(place, cache, read_lock(place.lock), rule)
        except Mistakes as error:
            return cls(place, cache, {}, rule, error.mistakes)

    def contents(self, wanted: Wanted, progress: Progress) -> tuple[Contents, list[Mistake]]:
        """Each add-on's content, and all that is wrong; an add-on with mistakes counts as not there."""
        contents: dict[str, Rendered | Recorded] = {}
        items: dict[str, tuple[Sequence[Item], Path, str]] = {}
        mistakes = list(self.mistakes)
        for id, (record, inputs) in wanted.items():
            found = self._rendered(id, record, inputs, progress)
            if isinstance(found, Recorded):
                contents[id] = found
            elif isinstance(found, list):
                mistakes += found
                contents[id] = recorded("its content has mistakes", "Correct them.", record)
            else:
                items[id] = found
        scopes = scopes_of(item for rows, _, _ in items.values() for item in rows)
        for id, (rows, path, digest) in items.items():
            contents[id], faults = self._complete(id, *wanted[id], rows, path, digest, scopes)
            mistakes += faults
        return contents, mistakes

    def _rendered(
        self, id: str, record: AddonRecord, inputs: AddonInputs, progress: Progress
    ) -> tuple[Sequence[Item], Path, str] | Recorded | list[Mistake]:
        """What its render gave, and where the archive, file or folder lies, with its digest."""
        content = _content(record)
        located = self._located(id, record, content)
        if not isinstance(located, tuple):
            return located
        path, digest = located
        values = content.values(inputs)
        request = Request(id, content, values, inputs.facts.kubernetes_version, path, digest)
        try:
            if content.hooks == "release" and is_remote(content.source):
                self.cache.checked(digest)  # Helm reads the archive itself, whatever render is at hand
            rows, faults = render(request, self.cache, progress)
        except SourceError as error:
            return [Mistake(f"espalier:addons.{id}", error.what, "the content that is pinned", error.do)]
        return faults or (rows, path, digest)

    def _located(self, id: str, record: AddonRecord, content: Content) -> tuple[Path, str] | Recorded | list[Mistake]:
        source = content.source
        if not is_remote(source):
            return self._beside(id, content)
        entry = self.lock.get(id)
        fetch = f"Run `espalier fetch {self.place.env}`"
        if entry is not None and entry.is_left_by(source):
            return [upgrade_first(self.place, id, entry, source)]
        if entry is not None and not entry.fits(source):
            entry = None  # it lay beside the stack files, and has no pin
        pins = [digest for digest in (entry.digest if entry else "", source.digest) if digest]
        if len(set(pins)) > 1:
            where = f"{self.place.lock.name}: sources.{id}.digest"
            return [Mistake(where, pins[0], pins[1], "Find out which is right, then mend the record or fetch again.")]
        known = entry.facts if entry and entry.facts.objects else None
        if not pins:
            why, do = f"{source.address} {source.version} is not pinned by {self.place.lock.name}", f"{fetch}."
            return recorded(why, do, record)
        if not self.cache.has(pins[0]):
            why = f"{source.address} {source.version} is not in the cache {self.cache.folder}"
            do = f"{fetch}; without a network, carry the cache here or name a mirror (espalier:sources)."
            return Recorded(why, do, known) if known else recorded(why, do, record)
        return self.cache.path(pins[0]), pins[0]

    def _beside(self, id: str, content: Content) -> tuple[Path, str] | list[Mistake]:
        """A source beside the stack files."""
        path = self.place.folder / content.source.address
        where = f"espalier:addons.{id}"
        if not path.exists():
            return [Mistake(where, f"no {content.source.address} beside the stack files", "a path", "Mend the path.")]
        digest = folder_digest(path) if path.is_dir() else digest_of(path.read_bytes())
        if content.source.digest and content.source.digest != digest:
            return [Mistake(where, digest, content.source.digest, "Restore the files, or mend the record's digest.")]
        return path, digest

    def _complete(
        self,
        id: str,
        record: AddonRecord,
        inputs: AddonInputs,
        rows: Sequence[Item],
        path: Path,
        digest: str,
        scopes: Mapping[str, bool],
    ) -> tuple[Rendered, list[Mistake]]:
        content = _content(record)
        objects, mistakes = objects_of(id, content, rows, scopes)
        objects = list(_edited(objects, content, inputs))
        mistakes += _unused(id, content, objects)
        objects, left_out = (objects, []) if inputs.facts.runs_containers else withheld(objects)
        objects = [_mirrored(obj, content, self.rule) for obj in objects]
        ordered = in_order(content, objects, () if mistakes else self.rule.apply_to(record.objects(inputs)))
        plain = Rendered(ordered, facts_of(ordered, content), tuple(left_out))
        if content.hooks != "release":
            return plain, mistakes
        chart = ByHelm(id, content, path, digest, content.values(inputs), rows, scopes)
        mistakes += chart.mistakes(self.rule)
        return (chart.released(plain) if inputs.facts.runs_containers else chart.without_hooks(plain)), mistakes


def _content(record: AddonRecord) -> Content:
    if record.content is None:
        raise ValueError(f"{record.id} has no content")
    return record.content


def _unused(id: str, content: Content, objects: Sequence[Object]) -> list[Mistake]:
    unused = unused_paths([obj.manifest for obj in objects], content.images)
    do = "Correct or remove the path: an image that is not found is not mirrored either."
    return [
        Mistake(f"espalier:addons.{id}: images", f"{path.kind}: {path.path}", "a path that leads to an image", do)
        for path in unused
    ]


def _edited(objects: Sequence[Object], content: Content, inputs: AddonInputs) -> Iterator[Object]:
    """The objects as the record wants them, without those that it leaves out."""
    for obj in objects:
        manifest = content.edit(inputs, obj.manifest)
        if manifest is not None:
            yield replace(obj, manifest=dict(manifest))


def _mirrored(obj: Object, content: Content, rule: ImageRule) -> Object:
    manifest = rewrite_images(obj.manifest, content.images, rule) if rule.registry or rule.digests else obj.manifest
    return Object(obj.source, manifest, obj.hook, obj.weight, obj.retain)


def facts_of(objects: Sequence[Planned], content: Content) -> ContentFacts:
    """What is recorded of a render."""
    manifests = [planned.manifest for planned in objects]
    return ContentFacts(
        objects=tuple(sorted(reference(manifest) for manifest in manifests)),
        crds=tuple(sorted(manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == CRD)),
        images=tuple(images_of(manifests, content.images)),
    )
