"""`fetch`: brings what a stack's add-ons are rendered from into the cache, and pins it in the stack's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.charts.cache import Cache
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, SourceError, SourcesError
from espalier.charts.lock import Entry, read_lock, write_lock
from espalier.charts.obtain import Mirror, obtain
from espalier.charts.place import Place
from espalier.charts.prepare import cache_folder, contents_of, with_content
from espalier.content import Content, Contents, Rendered, is_remote
from espalier.report.console import Output
from espalier.report.documents import FetchDocument, FetchedSource, header
from espalier.settings import Settings, StackFile, find_stack, load_file
from espalier.types import AddonRecord, Mistake, Mistakes


def fetch(stack: str, out: Output) -> FetchDocument:
    """Fetches what the cache lacks, renders all once, and writes `<env>.lock`.

    Raises Mistakes where the stack file, a record, a digest or a render is wrong, and SourcesError where a source
    cannot be had; what could be had is in the cache and in the lock by then.
    """
    file = load_file(find_stack(stack, Path.cwd()))
    place = Place.of(file.path.resolve().parent, file.name)
    try:
        records = place.records(RECORDS, file.settings.addons)
        return _fetch(file, records, place, out)
    except Mistakes as error:
        raise Mistakes(file.located(error.mistakes)) from None


def _fetch(file: StackFile, records: Mapping[str, AddonRecord], place: Place, out: Output) -> FetchDocument:
    settings = file.settings
    build(settings, records, known=place.catalogue())  # with a mistake in it, the lock would lose what it holds
    wanted = {id: record for id, (record, _) in with_content(settings, records, place).items()}
    round_ = _Round(settings, place)
    with out.progress(f"fetching for {file.name}") as progress:
        for id, record in wanted.items():
            if record.content is not None:
                progress(f"fetching {record.content.source.address} {record.content.source.version}")
                round_.take(id, record.content)
        round_.write_lock()
        contents, mistakes = contents_of(settings, records, place, progress)
    round_.note(contents)
    round_.write_lock()
    if found := [*round_.mistakes, *mistakes]:
        raise Mistakes(found)
    if round_.missing:
        raise SourcesError(round_.missing)
    return {**header("fetch"), "stack": file.name, "lock": str(place.lock), "sources": round_.rows}


class _Round:
    """One fetch of one stack: what was brought, and what was wrong."""

    def __init__(self, settings: Settings, place: Place) -> None:
        mirror = settings.sources.mirror
        self._place = place
        self._cache = Cache(cache_folder(settings, place))
        self._mirror = Mirror(mirror, place.folder) if mirror else None
        self._downloader = Downloader()
        self._old = read_lock(place.lock)
        self._new: dict[str, Entry] = {}
        self.rows: list[FetchedSource] = []
        self.missing: list[Mistake] = []
        self.mistakes: list[Mistake] = []

    def take(self, id: str, content: Content) -> None:
        """Brings one source, if the cache lacks it."""
        source, old = content.source, self._old.get(id)
        if old is not None and old.is_left_by(source):
            self._new[id] = old  # which is told of when it is rendered
            return
        pinned = old.digest if old is not None and old.fits(source) else source.digest
        entry = Entry(source.address, source.version, pinned)
        if old is not None and old.fits(source):
            entry = replace(entry, facts=old.facts)
            self._new[id] = entry  # kept, also where it cannot be had now
        if not is_remote(source):
            self._new[id] = replace(entry, digest="")
            return
        try:
            fetched = not (pinned and self._intact(pinned))
            digest = self._cache.put(obtain(source, pinned, self._downloader, self._mirror)) if fetched else pinned
        except DigestError as error:
            where = f"{self._place.lock.name}: sources.{id}.digest"
            self.mistakes.append(Mistake(where, error.got, error.wanted, error.do))
            return
        except SourceError as error:
            self.missing.append(Mistake(f"espalier:addons.{id}", error.what, "a source that can be had", error.do))
            return
        self._new[id] = replace(entry, digest=digest)
        self.rows.append(_row(id, self._new[id], fetched))

    def _intact(self, digest: str) -> bool:
        """Whether the cache has it, whole: a file that was changed is fetched anew."""
        try:
            return self._cache.has(digest) and bool(self._cache.checked(digest))
        except SourceError:
            return False

    def note(self, contents: Contents) -> None:
        """What a render showed goes into the lock, for plans without the cache."""
        for id, content in contents.items():
            if id in self._new and isinstance(content, Rendered):
                self._new[id] = replace(self._new[id], facts=content.facts)

    def write_lock(self) -> None:
        """A stack without sources has no lock."""
        if self._new or self._place.lock.exists():
            write_lock(self._place.lock, self._new)


def _row(id: str, entry: Entry, fetched: bool) -> FetchedSource:
    return {
        "id": id,
        "source": entry.source,
        "version": entry.version,
        "digest": entry.digest,
        "fetched": fetched,
    }


def told(document: FetchDocument) -> Sequence[str]:
    """The document in lines for people."""
    if not document["sources"]:
        return ["Nothing to fetch: no add-on of this stack has a remote source."]
    lines = [
        f"{row['id']}: {row['source']} {row['version']} {'fetched' if row['fetched'] else 'is in the cache'}"
        for row in document["sources"]
    ]
    return [*lines, f"pinned in {Path(document['lock']).name}: commit it"]
