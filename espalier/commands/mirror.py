"""`mirror`: what a site without a network needs of a stack: its add-ons' sources, and the list of its images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from espalier import failures
from espalier.addons import RECORDS
from espalier.charts.cache import Cache
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, NoAnswerError, SourceError, SourcesError
from espalier.charts.images import ImageRule
from espalier.charts.lock import Entry, read_lock
from espalier.charts.obtain import Mirror, obtain
from espalier.charts.place import Place, upgrade_first
from espalier.charts.prepare import Progress, cache_folder, with_content
from espalier.charts.registry import Found, Reference, look_up
from espalier.commands.mirror_folder import Carried, refuse_others, write
from espalier.content import is_remote
from espalier.report.console import Output
from espalier.report.documents import ErrorEntry, ImageEntry, MirrorDocument, MirroredImage, MirroredSource, header
from espalier.settings import StackFile, find_stack, load_file
from espalier.types import Mistake, Mistakes

_AT_ONCE = 8
"""Registries are asked for so many images at a time: more is taken for an attack by some."""
_REACH = "Run it again where that registry can be reached, or ask who runs the network; copies by tag need no digest."


def mirror(stack: str, folder: Path, out: Output) -> tuple[int, MirrorDocument]:
    """Writes the folder; gives the exit code and the document.

    Raises Mistakes where the folder holds other things, or a stack file, a digest or a render is wrong, and
    SourcesError where a source is not pinned or cannot be had: nothing is written then. Images whose registry does
    not say their digest are errors of the document, and the folder is there.
    """
    file = load_file(find_stack(stack, Path.cwd()))
    place = Place.of(file.path.resolve().parent, file.name)
    refuse_others(folder, file.name)
    try:
        with out.progress(f"carrying {file.name}") as progress:
            sources = _sources(file, place, progress)
            rows = _images_of_plan(stack)
            images, errors = _Registries(progress).ask(rows, file.settings.sources.registry or "")
            carried = Carried(file.name, file.settings.sources.registry or "", tuple(sources), tuple(images))
            files = write(folder, carried, Cache(cache_folder(file.settings, place)), place.lock)
    except Mistakes as error:
        raise Mistakes(file.located(error.mistakes)) from None
    document: MirrorDocument = {
        **header("mirror", errors),
        "stack": file.name,
        "folder": str(folder),
        "registry": carried.registry,
        "sources": sources,
        "images": images,
        "files": files,
    }
    return (failures.MISSING if errors else 0), document


def _images_of_plan(stack: str) -> list[ImageEntry]:
    from espalier.commands.plan import plan
    from espalier.commands.project import open_project

    return plan(open_project(stack)).document["images"]


def _sources(file: StackFile, place: Place, progress: Progress) -> list[MirroredSource]:
    """All remote sources by the lock's pins; what the cache lacks of these is brought, and no pin moves."""
    settings = file.settings
    records = place.records(RECORDS, settings.addons)
    cache, lock = Cache(cache_folder(settings, place)), read_lock(place.lock)
    site = Mirror(settings.sources.mirror, place.folder) if settings.sources.mirror else None
    downloader, rows = Downloader(), list[MirroredSource]()
    mistakes, missing = list[Mistake](), list[Mistake]()
    for id, (record, _) in with_content(settings, records, place).items():
        if record.content is None or not is_remote(record.content.source):
            continue
        source, pin = record.content.source, lock.get(id)
        where = f"espalier:addons.{id}"
        if pin is not None and pin.is_left_by(source):
            mistakes.append(upgrade_first(place, id, pin, source))
        elif pin is None or not pin.fits(source) or not pin.digest:
            got = f"{source.address} {source.version} is not pinned by {place.lock.name}"
            missing.append(Mistake(where, got, "a source with a pin", f"Run `espalier fetch {place.env}`."))
        else:
            progress(f"looking at {source.address} {source.version}")
            try:
                if not _is_whole(cache, pin.digest):
                    cache.put(obtain(source, pin.digest, downloader, site))
                rows.append(_row(id, pin, cache))
            except DigestError as error:
                mistakes.append(Mistake(f"{place.lock.name}: sources.{id}.digest", error.got, error.wanted, error.do))
            except SourceError as error:
                missing.append(Mistake(where, error.what, "a source that can be had", error.do))
    if mistakes:
        raise Mistakes(mistakes)
    if missing:
        raise SourcesError(missing)
    return rows


def _is_whole(cache: Cache, digest: str) -> bool:
    try:
        return cache.has(digest) and bool(cache.checked(digest))
    except SourceError:
        return False


def _row(id: str, pin: Entry, cache: Cache) -> MirroredSource:
    path = cache.path(pin.digest)
    return {
        "id": id,
        "source": pin.source,
        "version": pin.version,
        "digest": pin.digest,
        "file": f"sha256/{path.name}",
        "bytes": path.stat().st_size,
    }


@dataclass(frozen=True, slots=True)
class _Registries:
    """Asks for images; a registry that cannot be reached is asked once."""

    progress: Progress
    downloader: Downloader = field(default_factory=lambda: Downloader(_REACH))
    silent: dict[str, NoAnswerError] = field(default_factory=dict[str, NoAnswerError])

    def ask(self, rows: Iterable[ImageEntry], registry: str) -> tuple[list[MirroredImage], list[ErrorEntry]]:
        """A row an image, and what is wrong with those that are not known. Raises Mistakes for a wrong digest."""
        used = dict(_by_image(rows, registry))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = dict(zip(used, pool.map(self._look_up, used), strict=True))
        wrong = [
            Mistake(f"image {image}", answer.got, answer.wanted, answer.do)
            for image, answer in answers.items()
            if isinstance(answer, DigestError)
        ]
        if wrong:
            raise Mistakes(wrong)
        rule = ImageRule(registry)
        errors = [
            failures.entry(f"image {image}", answer.what, "an image whose registry says its digest", answer.do)
            for image, answer in answers.items()
            if isinstance(answer, SourceError)
        ]
        return [_image(image, answers[image], rule.apply(image), used[image]) for image in used], errors

    def _look_up(self, image: str) -> Found | SourceError:
        reference = Reference.of(image)
        if reference.host in self.silent:
            return self.silent[reference.host]
        self.progress(f"asking {reference.host} for {reference.repository}")
        try:
            return look_up(reference, self.downloader)
        except NoAnswerError as error:
            why = error.what.partition(" cannot be reached")[2]  # the same words for all images of one registry
            self.silent[reference.host] = NoAnswerError(f"{reference.host} cannot be reached{why}", error.do)
            return self.silent[reference.host]
        except SourceError as error:
            return error


def _by_image(rows: Iterable[ImageEntry], registry: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Upstream's full names, sorted, each with who uses it; without what lies in the stack's registry of itself."""
    rule, found = ImageRule(registry), dict[str, list[dict[str, str]]]()
    for row in rows:
        image = rule.origin(row["image"])
        if image:
            found.setdefault(image, []).append({"addon": row["addon"], "where": row["where"]})
    yield from sorted(found.items())


def _image(image: str, answer: Found | SourceError, to: str, used: Sequence[Mapping[str, str]]) -> MirroredImage:
    reference = Reference.of(image)
    row: MirroredImage = {
        "image": image,
        "name": reference.name,
        "tag": reference.tag,
        "digest": reference.digest,
        "architectures": [],
        "to": to,
        "used": [{"addon": one["addon"], "where": one["where"]} for one in used],
        "unknown": "",
        "do": "",
    }
    if isinstance(answer, SourceError):
        return {**row, "unknown": answer.what, "do": answer.do}
    return {**row, "digest": answer.digest, "architectures": list(answer.platforms)}
