"""Images in rendered objects: found and rewritten by the same walk, in containers and where records say."""

from __future__ import annotations

import base64
import binascii
import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from espalier.content import ImagePath
from espalier.types import Planned

Change = Callable[[str], str]

_GROUPS = ("initContainers", "containers", "ephemeralContainers")
_STEP = re.compile(r'\.?([A-Za-z0-9_-]+)|\["([^"]*)"\]|\[(\*|\d+)\]')
_IMAGE = re.compile(r"[\w][\w.\-/:]*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class ImageRule:
    """How images are rewritten. `registry` replaces nothing but stands before the full name; `digests` pins images.

    registry.example.com/mirror makes docker.io/library/nginx:1.2 to registry.example.com/mirror/docker.io/library/
    nginx:1.2: the layout that pull-through mirrors have. `digests` is by the image as it was rendered.
    """

    registry: str = ""
    digests: Mapping[str, str] = field(default_factory=dict[str, str])

    def apply(self, image: str) -> str:
        digest = self.digests.get(image, "")
        pinned = f"{image}@{digest}" if digest and "@" not in image else image
        if not self.registry or pinned.startswith(f"{self.registry}/"):
            return pinned
        return f"{self.registry}/{full_name(pinned)}"

    def origin(self, image: str) -> str:
        """The full name behind what `apply` gave; "" for an image that lies in the registry of itself."""
        if not self.registry or not image.startswith(f"{self.registry}/"):
            return full_name(image)
        behind = image.removeprefix(f"{self.registry}/")
        return behind if full_name(behind) == behind else ""

    def apply_to(self, objects: Iterable[Planned]) -> tuple[Planned, ...]:
        """The objects of a record with the images of their containers rewritten."""
        if not self.registry and not self.digests:
            return tuple(objects)
        return tuple(replace(planned, manifest=rewrite_images(planned.manifest, (), self)) for planned in objects)


AS_WRITTEN: Final = ImageRule()


def full_name(image: str) -> str:
    """An image's name with its registry, as container runtimes complete it (distribution/reference, normalize.go)."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


@dataclass(frozen=True, slots=True)
class _Pen:
    """What is done with an image, and with what names none that is pulled: the front of one, or one turned off."""

    image: Change
    other: Change


def images_of(objects: Sequence[Mapping[str, Any]], paths: Sequence[ImagePath] = ()) -> list[str]:
    """Every image that the objects name, sorted, each once."""
    return sorted({image for obj in objects for image, _ in places_of(obj, paths)})


def places_of(obj: Mapping[str, Any], paths: Sequence[ImagePath] = ()) -> list[tuple[str, str]]:
    """Every image that an object names, with the declared path; "" for one of a container."""
    found: list[tuple[str, str]] = []
    _containers(dict(obj), _noting(found, ""))  # what is noted is written back as it was
    for path in paths:
        _hidden(dict(obj), path, _noting(found, path.path))
    return list(dict.fromkeys(found))


def _noting(found: list[tuple[str, str]], where: str) -> _Pen:
    def note(image: str) -> str:
        found.append((image, where))
        return image

    return _Pen(note, _as_is)


def _as_is(text: str) -> str:
    return text


def rewrite_images(obj: Mapping[str, Any], paths: Sequence[ImagePath], rule: ImageRule) -> dict[str, Any]:
    """A copy of an object with every image rewritten."""
    changed = copy.deepcopy(dict(obj))
    pen = _Pen(rule.apply, rule.apply)
    _containers(changed, pen)
    for path in paths:
        _hidden(changed, path, pen)
    return changed


def unused_paths(objects: Sequence[Mapping[str, Any]], paths: Sequence[ImagePath]) -> list[ImagePath]:
    """Declared paths that lead to no image: misspelt, or left behind by a new version of the chart."""
    pen = _Pen(_as_is, _as_is)
    return [path for path in paths if not path.optional and not any(_hidden(dict(obj), path, pen) for obj in objects)]


def _containers(obj: dict[str, Any], pen: _Pen) -> None:
    for containers in _container_lists(obj):
        for container in containers:
            if isinstance(container, dict) and isinstance(container.get("image"), str) and container["image"]:
                container["image"] = pen.image(container["image"])


def _container_lists(node: Any) -> Iterator[list[Any]]:
    """Lists of containers anywhere: in pod templates, and in the pod templates inside custom resources."""
    rest: list[Any] = [node]
    while rest:  # without a call for each node: definitions have half a million
        node = rest.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if isinstance(value, (dict, list)):
                    rest.append(value)
                if key in _GROUPS and isinstance(value, list):
                    yield value
        else:
            rest += [value for value in node if isinstance(value, (dict, list))]


def _hidden(obj: dict[str, Any], path: ImagePath, pen: _Pen) -> int:
    """Rewrites the images at one declared path; gives how many there are."""
    if obj.get("kind") != path.kind or not fnmatchcase(str(obj.get("metadata", {}).get("name", "")), path.name):
        return 0
    count = 0
    for holder, key in list(_places(obj, steps(path.path))):
        if path.parts:
            count += _in_parts(holder[key], path.parts, pen, on=True)
            continue
        coded = path.kind == "Secret" and path.path.startswith("data")
        text = _decoded(holder[key]) if coded else holder[key]
        if not isinstance(text, str):
            continue
        changed, found = _in_text(text, path, pen)
        holder[key] = (
            base64.b64encode(changed.encode()).decode() if coded and found else changed if found else holder[key]
        )
        count += found
    return count


def _in_text(text: str, path: ImagePath, pen: _Pen) -> tuple[str, int]:
    """The text with its images rewritten, and how many there are."""
    change = pen.other if path.front else pen.image
    if path.pattern:
        found = len(re.findall(path.pattern, text))
        return re.sub(path.pattern, lambda match: _within(match, change), text), found
    return (change(text), 1) if _IMAGE.fullmatch(text) else (text, 0)


def _within(match: re.Match[str], change: Change) -> str:
    whole, start = match.group(0), match.start()
    return whole[: match.start(1) - start] + change(match.group(1)) + whole[match.end(1) - start :]


def _in_parts(node: Any, keys: tuple[str, str, str], pen: _Pen, *, on: bool) -> int:
    """Mappings below `node` that name an image by parts; those within what is not `enabled` are pulled by nobody."""
    if isinstance(node, list):
        return sum(_in_parts(value, keys, pen, on=on) for value in node)
    if not isinstance(node, dict):
        return 0
    on = on and node.get("enabled") is not False
    count = sum(_in_parts(value, keys, pen, on=on) for value in node.values())
    parts = [node.get(key) for key in keys]
    if not all(isinstance(part, str) and part for part in parts):
        return count
    repository, name, version = map(str, parts)
    joint = "@" if version.startswith("sha256:") else ":"
    named, _, digest = (pen.image if on else pen.other)(f"{repository}/{name}{joint}{version}").partition("@")
    node[keys[0]] = named.removesuffix(f":{version}").removesuffix(f"/{name}")
    node[keys[2]] = digest or version
    return count + 1


def _decoded(value: Any) -> str | None:
    """What a Secret's data holds; None where it is no text."""
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def steps(path: str) -> list[str | int]:
    """The steps of a path; "*" stands for all. Raises ValueError for text that is no path."""
    found: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"no path from {path[position:]!r} on")
        name, quoted, index = match.groups()
        found.append(name or quoted if index is None else index if index == "*" else int(index))
        position = match.end()
    return found


def _places(node: Any, path: Sequence[str | int]) -> Iterator[tuple[Any, Any]]:
    """The holders and keys that a path leads to."""
    step, rest = path[0], path[1:]
    keys: list[Any] = []
    if isinstance(node, MutableMapping):
        keys = list(node) if step == "*" else [step] if step in node else []
    elif isinstance(node, MutableSequence):
        keys = list(range(len(node))) if step == "*" else [step] if isinstance(step, int) and step < len(node) else []
    for key in keys:
        if rest:
            yield from _places(node[key], rest)
        else:
            yield node, key
