"""docs/addon-records.md, written from the records: what each add-on needs, takes, gives and is in the way of.

`python -m espalier.addons.pages` writes it; a test holds it to the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from espalier.addons import RECORDS
from espalier.addons.charted import Options as Charted
from espalier.addons.samples import SAMPLES
from espalier.addons.saved import lines
from espalier.types import AddonRecord, ByHand

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "addon-records.md"
_HEAD: Final = """\
# Add-ons, one by one

Written from the records by `python -m espalier.addons.pages`. How they work together is in [Add-ons](addons.md). Every
add-on takes `existing` where its section says so, and an option that is not listed is refused. Versions are those that
a stack gets; the lock holds the digests.
"""


def page() -> str:
    """The whole page."""
    there = [RECORDS[id] for id in sorted(RECORDS) if RECORDS[id].state != "retired"]
    tiers = (("Core", "core"), ("Further add-ons", "optional"))
    parts = [_HEAD]
    for title, tier in tiers:
        parts.append(f"## {title}\n")
        parts += ["\n".join(_section(record)) for record in there if record.tier == tier]
    return "\n".join(parts)


def _section(record: AddonRecord) -> Iterator[str]:
    yield f"### {record.id}\n"
    yield f"{record.version} · {record.category} · {record.licence} · <{record.source}>\n"
    for row in _facts(record):
        yield f"- {row}"
    yield ""
    yield from _kept(record)
    if record.options is Charted:
        yield "`values`: the chart's own, laid on those that Espalier sets.\n"
        return
    options = list(_options(record.options.model_json_schema()))
    if options:
        yield "| Option | Default | Meaning |"
        yield "|---|---|---|"
        yield from (f"| `{key}` | {default} | {meaning} |" for key, default, meaning in options)
        yield ""


def _facts(record: AddonRecord) -> Iterator[str]:
    ended = record.ended
    images = "" if len(record.architectures) > 1 else ", ".join(record.architectures)
    named = (
        ("needs", record.needs),
        ("comes after, where they are there:", record.after),
        ("not beside", record.conflicts),
        ("namespace", (record.content.namespace,) if record.content else ()),
        ("its pods reach their node in", record.privileged_namespaces),
        ("samples:", [name for name, sample in SAMPLES.items() if record.id in sample.needs]),
    )
    said = (
        (f"{record.state} since {ended.since}: {ended.instead}" if ended else ""),
        *(f"{word} {_words(sorted(names))}" for word, names in named if names),
        (f"tenants write {_kinds(record.work)}" if record.work else ""),
        (f"tenants read {_kinds(record.seen)}" if record.seen else ""),
        (f"images for {images} alone" if images else ""),
        *(f"`{other}` {window}" for other, window in sorted(record.versions.items())),
        (f"Kubernetes {record.kubernetes}" if record.kubernetes else ""),
        ("`existing: <version>` where the cluster has it already" if record.may_exist else ""),
    )
    return (text for text in said if text)


def _kept(record: AddonRecord) -> Iterator[str]:
    """What it keeps, how that is saved and comes back, what stays when it leaves, and how to delete that."""
    for data in record.data:
        given = f" With `{data.given}` it is there, and its backup is yours." if data.given else ""
        yield f"Keeps {data.what}: {data.where}.{given}\n"
        if isinstance(data.by, ByHand):
            yield f"Save by hand: {data.by.save}.\n\nBring back by hand: {data.by.restore}.\n"
            continue
        for word, text in zip(("Save", "Bring back"), lines(data, data.by), strict=True):
            yield f"{word}:\n\n```sh\n{text}\n```\n"
    facts = record.content.facts if record.content and record.content.crds == "keep" else None
    if facts and facts.crds:
        do = f"`kubectl delete crd {' '.join(facts.crds)}` deletes them with all that was made of them"
        yield f"When it leaves the stack, its definitions stay: {do}.\n"
    spaces = {data.namespace: [claim for one in record.data for claim in one.claims] for data in record.data}
    for namespace, claims in sorted(spaces.items()):
        do = f"`kubectl -n {namespace} delete pvc <name>` deletes the data"
        named = _words(list(dict.fromkeys(claims)))
        yield f"When it leaves the stack, its claims stay ({named}), and so does the namespace: {do}.\n"


def _words(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _kinds(groups: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    return ", ".join(f"{_words(kinds)} ({group})" for group, kinds in groups)


def _options(schema: Mapping[str, Any], prefix: str = "", root: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Key, default and meaning of each option, those of an object in it after it."""
    root = root or schema
    required = schema.get("required", ())
    for key, said in schema.get("properties", {}).items():
        default = "to be given" if key in required else f"`{json.dumps(said.get('default'))}`"
        yield f"{prefix}{key}", default, str(said.get("description", "")).replace("|", "\\|")
        for inner, ending in _inside(said, root):
            yield from _options(inner, f"{prefix}{key}{ending}.", root)


def _inside(said: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for one in (said, *said.get("anyOf", ())):
        for holder, ending in ((one, ""), (one.get("items", {}), "[]")):
            if "$ref" in holder:
                yield root["$defs"][holder["$ref"].rpartition("/")[2]], ending


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
