"""`upgrade`: shows what newer content of a stack's add-ons changes, object by object, then pins it in the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from espalier import failures
from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.charts.cache import Cache
from espalier.charts.download import Downloader
from espalier.charts.errors import SourceError, SourcesError
from espalier.charts.images import ImageRule
from espalier.charts.lock import Entry, read_lock, write_lock
from espalier.charts.obtain import Mirror, obtain
from espalier.charts.place import Place
from espalier.charts.prepare import Progress, cache_folder, with_content
from espalier.charts.stage import Stage
from espalier.charts.upgrade import ObjectChange, compare, compare_names, counts
from espalier.commands.asking import ask
from espalier.content import ChartSource, Content, Recorded, Rendered, Source
from espalier.report.console import Output
from espalier.report.documents import ErrorEntry, UpgradedAddon, UpgradeDocument, header
from espalier.settings import StackFile, find_stack, load_file
from espalier.types import AddonRecord, Mistake, Mistakes, older


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One add-on that goes from a pin to another."""

    id: str
    record: AddonRecord
    old: Entry
    new: Entry
    changes: Sequence[ObjectChange]
    unseen: str = ""
    """Why its objects are compared by their names alone."""

    def refused(self, accepted: Iterable[str] = ()) -> dict[str, list[ErrorEntry]]:
        """What cannot be done in place and nobody has taken on, by what `--accept` calls it, with what to do."""
        where = f"espalier:addons.{self.id}"
        found = {
            change.object: [failures.entry(where, change.refused, "what can be done in place", change.do)]
            for change in self.changes
            if change.refused
        }
        if by_version := list(self._by_version(where)):
            found[self.id] = by_version
        return {name: rows for name, rows in sorted(found.items()) if name not in accepted}

    def _by_version(self, where: str) -> Iterator[ErrorEntry]:
        old, new = self.old.version, self.new.version
        accept = f"then say --accept {self.id}."
        for step in self.record.upgrades:
            if step.between(old, new):
                got = f"{old} to {new}: {step.why} ({step.source})"
                yield failures.entry(where, got, "a step that can be taken", f"{step.do} Where that is done, {accept}")
        if older(new, old):
            do = f"Name {old} again; where its project lets it go back, save its data, {accept}"
            yield failures.entry(where, f"{old} to {new} goes back", "a version that is not older", do)


def upgrade(stack: str, out: Output, *, yes: bool, accepted: Sequence[str]) -> int:
    """Compares what the lock pins with what the add-ons' records name now, and writes the lock after a yes.

    Raises Mistakes where a file, a record or a render is wrong or `accepted` names nothing that is refused, and
    SourcesError where a new source cannot be had.
    """
    file = load_file(find_stack(stack, Path.cwd()))
    place = Place.of(file.path.resolve().parent, file.name)
    try:
        round_ = _Round(file, place)
        with out.progress(f"comparing versions for {file.name}") as progress:
            upgrades = round_.compared(progress)
    except Mistakes as error:
        raise Mistakes(file.located(error.mistakes)) from None
    _all_of_use(upgrades, accepted)
    errors = [row for each in upgrades for rows in each.refused(accepted).values() for row in rows]
    document = _document(file.name, place, upgrades, errors)
    for line in told(document):
        out.people.print(line, markup=False)
    if upgrades and not errors:
        if not yes:
            ask(f"Pin this in {place.lock.name}?", out)
        round_.write()
        document["written"] = True
        out.people.print(f"pinned in {place.lock.name}: commit it; `espalier preview {file.name}` asks the cluster")
    for row in errors:
        out.errors.print(f"{row['path']}: {row['got']}\n  {row['do']}", markup=False)
    out.document(document)
    return failures.FAILED if errors else 0


class _Round:
    """One upgrade of one stack: its pins as they are, and as they are to be."""

    def __init__(self, file: StackFile, place: Place) -> None:
        self._settings, self._place = file.settings, place
        self._records = place.records(RECORDS, self._settings.addons)
        build(self._settings, self._records, known=place.catalogue())
        self._cache = Cache(cache_folder(self._settings, place))
        self._old = read_lock(place.lock)
        self._new = dict(self._old)

    def compared(self, progress: Progress) -> list[Upgrade]:
        wanted = with_content(self._settings, self._records, self._place)
        moved = {
            id: record
            for id, (record, _) in wanted.items()
            if record.content is not None and id in self._old and self._old[id].is_left_by(record.content.source)
        }
        if not moved:
            return []
        self._bring(moved, progress)
        before = {id: (_as_it_was(record, self._old[id]), inputs) for id, (record, inputs) in wanted.items()}
        old, _ = self._stage(self._old).contents({id: before[id] for id in wanted if id in self._old}, progress)
        new, mistakes = self._stage(self._new).contents({id: wanted[id] for id in wanted if id in self._new}, progress)
        if mistakes:
            raise Mistakes(mistakes)
        return [self._upgrade(id, record, old[id], new[id]) for id, record in moved.items()]

    def _stage(self, pins: Mapping[str, Entry]) -> Stage:
        return Stage(self._place, self._cache, pins, ImageRule())

    def _bring(self, moved: Mapping[str, AddonRecord], progress: Progress) -> None:
        """New content comes into the cache; old that is missing too, where it can be had."""
        mirror = self._settings.sources.mirror
        site = Mirror(mirror, self._place.folder) if mirror else None
        downloader, missing = Downloader(), list[Mistake]()
        for id, record in moved.items():
            source, old = _content(record).source, self._old[id]
            progress(f"fetching {source.address} {source.version}")
            try:
                digest = self._cache.put(obtain(source, source.digest, downloader, site))
                self._new[id] = Entry(source.address, source.version, digest)
            except SourceError as error:
                missing.append(Mistake(f"espalier:addons.{id}", error.what, "a source that can be had", error.do))
            if not self._cache.has(old.digest):
                # Without it, it is compared by the names that the lock has.
                with suppress(SourceError):
                    self._cache.put(obtain(_source_of(source, old), old.digest, downloader, site))
        if missing:
            raise SourcesError(missing)

    def _upgrade(self, id: str, record: AddonRecord, old: Rendered | Recorded, new: Rendered | Recorded) -> Upgrade:
        pins = self._old[id], self._new[id]
        if isinstance(new, Recorded):
            raise Mistakes([Mistake(f"espalier:addons.{id}", new.why, "content that renders", new.do)])
        self._new[id] = replace(pins[1], facts=new.facts)
        if isinstance(old, Recorded):
            return Upgrade(id, record, *pins, compare_names(pins[0].facts, new.facts), old.why)
        return Upgrade(id, record, *pins, compare(_manifests(old), _manifests(new)))

    def write(self) -> None:
        write_lock(self._place.lock, self._new)


def _manifests(content: Rendered) -> list[Mapping[str, object]]:
    release = content.release.objects if content.release else ()
    return [*(planned.manifest for planned in content.objects), *release]


def _content(record: AddonRecord) -> Content:
    if record.content is None:
        raise ValueError(f"{record.id} has no content")
    return record.content


def _as_it_was(record: AddonRecord, pin: Entry) -> AddonRecord:
    """The record with the source that the lock pins; its values and rules are those of today."""
    content = _content(record)
    source = _source_of(content.source, pin) if pin.digest else content.source
    return replace(record, content=replace(content, source=source, facts=None))


def _source_of(source: Source, pin: Entry) -> Source:
    """What a lock's entry names, of the same kind as the record's source."""
    if isinstance(source, ChartSource):
        repo, _, name = pin.source.rpartition("/")
        return ChartSource(name, pin.version, repo, pin.digest)
    return replace(source, url=pin.source, version=pin.version, digest=pin.digest)


def _all_of_use(upgrades: Sequence[Upgrade], accepted: Sequence[str]) -> None:
    """Raises Mistakes for an `--accept` that names nothing: it is misspelt, or an earlier upgrade's."""
    known = {name for each in upgrades for name in each.refused()}
    if unknown := [name for name in accepted if name not in known]:
        takes = ", ".join(sorted(known)) or "nothing: nothing is refused"
        raise Mistakes([Mistake("--accept", name, takes, "Leave it out, or correct it.") for name in unknown])


def _document(stack: str, place: Place, upgrades: Sequence[Upgrade], errors: list[ErrorEntry]) -> UpgradeDocument:
    rows: list[UpgradedAddon] = [
        {
            "id": each.id,
            "from": each.old.version,
            "to": each.new.version,
            "source": each.new.source,
            "digest": each.new.digest,
            "unseen": each.unseen,
            "changes": [
                {"object": row.object, "op": row.op, "fields": list(row.fields), "note": row.note}
                for row in each.changes
            ],
        }
        for each in upgrades
    ]
    return {**header("upgrade", errors), "stack": stack, "lock": str(place.lock), "addons": rows, "written": False}


FEW = 5
"""Fields of a change that are shown."""


def told(document: UpgradeDocument) -> list[str]:
    """The document in lines for people."""
    if not document["addons"]:
        return ["Nothing to upgrade: the lock pins what the add-ons name."]
    lines: list[str] = []
    for row in document["addons"]:
        count = counts([change["op"] for change in row["changes"]])
        lines.append(f"{row['id']}  {row['from']} -> {row['to']}  {count}")
        if row["unseen"]:
            lines.append(f"  compared by names alone: {row['unseen']}")
        for change in row["changes"]:
            fields = ", ".join(change["fields"][:FEW]) + (" ..." if len(change["fields"]) > FEW else "")
            words = [change["op"].ljust(8), change["object"], fields, f"({change['note']})" if change["note"] else ""]
            lines.append("  " + "  ".join(word for word in words if word))
    return lines
