"""Property paths as Pulumi writes them: `spec.replicas`, `metadata.annotations["a.b/c"]`, `spec.ports[*].name`.

Grammar: pulumi, sdk/go/common/resource/property_path.go (ParsePropertyPath, Contains).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from espalier.engine.values import Json

Step = str | int
"""A field's name, an index of a list, or `*` for all at this level."""
Path = tuple[Step, ...]

_STEP = re.compile(r'(?:^|\.)([^.\[\]"]+)|\.?\[(?:(\d+)|(\*)|"((?:[^"\\]|\\.)+)")\]')
WHAT = 'a path such as spec.replicas, metadata.annotations["a.b/c"], spec.ports[0].name or spec.ports[*] is accepted'


def parse(text: str) -> Path:
    """Reads a path. Raises ValueError with what is accepted."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            break
        name, index, every, quoted = match.groups()
        steps.append(int(index) if index else name or every or quoted.replace('\\"', '"'))
        at = match.end()
    if not steps or at < len(text):
        raise ValueError(f"{text!r} is no property path; {WHAT}")
    return tuple(steps)


def covers(pattern: Path, path: Path) -> bool:
    """Tells whether `path` is what the pattern names, or inside it."""
    if len(path) < len(pattern):
        return False
    return all(wanted in ("*", step) for wanted, step in zip(pattern, path, strict=False))


def following(paths: Iterable[Path], step: Step | None) -> tuple[Path, ...]:
    """What is left of the paths that go through `step`; a step without a name is met by `*` alone."""
    return tuple(path[1:] for path in paths if path[0] == "*" or (step is not None and path[0] == step))


def text_of(path: Path) -> str:
    """A path for people: `spec.ports[0].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def without(value: Json, paths: tuple[Path, ...]) -> Json:
    """The value without what the paths name; items of lists keep their places."""
    if not paths:
        return value
    if isinstance(value, dict):
        below = {key: following(paths, key) for key in value}
        return {key: without(item, below[key]) for key, item in value.items() if () not in below[key]}
    if isinstance(value, (list, tuple)):
        steps = [following(paths, index) for index in range(len(value))]
        return [None if () in rest else without(item, rest) for item, rest in zip(value, steps, strict=True)]
    return value


def differences(before: Json, after: Json, path: Path = ()) -> Iterator[Path]:
    """The paths at which two values differ; lists of different lengths differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            if key not in before or key not in after:
                yield (*path, key)
            else:
                yield from differences(before[key], after[key], (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from differences(left, right, (*path, index))
    elif before != after:
        yield path
