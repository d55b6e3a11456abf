"""What a set of add-ons must not be: each refusal with its reason, what to do, and upstream's own word on it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, cast

from pydantic import ValidationError

from espalier.settings.base import hyphenated
from espalier.settings.tree import path_text
from espalier.types import AddonRecord, Facts, Mistake, PoolFacts, Traffic, Window

Wanted = Mapping[str, Mapping[str, Any]]
"""Options by add-on, as the stack file has them."""
Records = Mapping[str, AddonRecord]

EXISTING: Final = "existing"
"""The option of every add-on that says which version of it the cluster has already."""
NOT_OPEN: Final[Mapping[str, str]] = {
    "BUSL-1.1": "https://spdx.org/licenses/BUSL-1.1.html",
    "Elastic-2.0": "https://spdx.org/licenses/Elastic-2.0.html",
    "SSPL-1.0": "https://spdx.org/licenses/SSPL-1.0.html",
}
"""Licences that are public and not open source, by SPDX id: use in production may need a contract."""
_SECRET: Final = re.compile(r"(?i)secret|password|passwd|token|bindpw|credential")
_VERSION: Final = re.compile(r"v?\d+(\.\d+){1,2}")


def own_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the add-on's own model judges."""
    return {key: value for key, value in options.items() if key != EXISTING}


def existing_version(options: Mapping[str, Any]) -> str:
    """The version that the cluster has already; "" where Espalier installs it."""
    return str(options.get(EXISTING) or "")


def needs_of(record: AddonRecord, facts: Facts) -> frozenset[str]:
    """The add-ons that come before it on such a cluster."""
    return record.needs | record.needs_on(facts)


def provides_of(record: AddonRecord, options: Mapping[str, Any]) -> frozenset[str]:
    """What it is the one owner of, with such options; with wrong ones, as without any."""
    if record.provides_by is None:
        return record.provides
    try:
        return record.provides_by(record.options.model_validate(own_options(options)))
    except ValidationError:
        return record.provides


def traffic_of(record: AddonRecord, options: Mapping[str, Any]) -> Traffic:
    """What goes through tenants' walls with such options; of one that the cluster has already, with its defaults."""
    if record.traffic_by is None:
        return record.traffic
    return record.traffic_by(record.options.model_validate(own_options(options)))


def unreadable(wanted: Wanted, records: Records) -> list[Mistake]:
    """Add-ons that are not there, and options that these do not have."""
    return [mistake for id in sorted(wanted) for mistake in _unreadable(id, wanted[id], records)]


def impossible(
    wanted: Wanted, records: Records, facts: Facts, pools: Sequence[PoolFacts], licences: Collection[str]
) -> list[Mistake]:
    """All reasons why these add-ons cannot be in one cluster, or not in this one."""
    known = {id: records[id] for id in sorted(set(wanted) & set(records)) if records[id].state != "retired"}
    made = {id: record for id, record in known.items() if not existing_version(wanted[id])}
    found: list[Mistake] = []
    for id, record in made.items():
        found += _missing(id, wanted, records, facts)
        found += record.refuses(facts)
        found += _wrong_kubernetes(record, facts)
        found += _wrong_processors(record, pools)
        found += _unread_licence(record, licences)
    for id, record in known.items():
        found += _conflicting(id, record, wanted)
        found += _wrong_versions(record, wanted, records, facts)
    return [*found, *_two_owners(known, wanted)]


def path_of(id: str) -> str:
    """The key path of an add-on."""
    return path_text((id,), "espalier:addons")


def _unreadable(id: str, options: Mapping[str, Any], records: Records) -> Iterator[Mistake]:
    record = records.get(id)
    if record is None:
        near = get_close_matches(id, records, n=1)
        do = f"Did you mean {near[0]!r}?" if near else "Remove it."
        names = ", ".join(sorted(id for id, known in records.items() if known.state != "retired"))
        yield Mistake(path_of(id), repr(id), names, do)
        return
    if record.state == "retired" and record.ended is not None:
        ended = record.ended
        accepted = " or ".join(ended.successors) or "add-ons that are maintained"
        yield Mistake(path_of(id), f"{id}, retired since {ended.since} ({ended.source})", accepted, ended.instead)
        return
    yield from _wrong_existing(record, options)
    try:
        record.options.model_validate(own_options(options))
    except ValidationError as error:
        known = ", ".join(map(hyphenated, record.options.model_fields)) or "no options"
        for fault in error.errors():
            path = _without_tags(fault["loc"], options)
            # Of what is within an option, the model says best what is accepted.
            accepted = known if len(path) < 2 or fault["type"] == "extra_forbidden" else fault["msg"]
            if fault["type"] == "value_error":
                accepted = fault["msg"].removeprefix("Value error, ")
            do = "Correct or remove the option."
            yield Mistake(path_text(path, path_of(id)), _shown(path, fault), accepted, do)


def _without_tags(loc: Sequence[str | int], options: Any) -> tuple[str | int, ...]:
    """Where a fault is, without the names that pydantic gives to the kinds of a union."""
    path: list[str | int] = []
    for at, step in enumerate(loc):
        inner = _within(options, step)
        if inner is not None or at == len(loc) - 1:
            path.append(step)
            options = inner
    return tuple(path)


def _within(options: Any, step: str | int) -> Any:
    if isinstance(options, Mapping):
        return cast("Mapping[str | int, Any]", options).get(step)
    return cast("list[Any]", options)[step] if isinstance(options, list) and isinstance(step, int) else None


def _shown(path: Sequence[str | int], fault: Mapping[str, Any]) -> str:
    """What was found; nothing of what may be a secret, since whoever puts one here did not mean it to be told."""
    if fault["type"] == "missing":
        return "nothing"
    if any(_SECRET.search(str(step)) for step in path):
        return "a value that is not shown"
    value = fault["input"]
    return "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else repr(value)[:60]


def _wrong_existing(record: AddonRecord, options: Mapping[str, Any]) -> Iterator[Mistake]:
    if EXISTING not in options:
        return
    path, version = f"{path_of(record.id)}.{EXISTING}", options[EXISTING]
    if not record.may_exist:
        accepted = "an add-on that Espalier installs: what else it makes counts on how this one is set up"
        yield Mistake(path, repr(version)[:60], accepted, f"Remove `{EXISTING}`.")
    elif not isinstance(version, str) or not _VERSION.fullmatch(version):
        accepted = f'the version that the cluster has, in quotes, such as "{record.version.removeprefix("v")}"'
        yield Mistake(path, repr(version)[:60], accepted, "Say which version is there.")
    elif others := sorted(own_options(options)):
        accepted = f"{EXISTING} alone: nothing of it is installed"
        yield Mistake(path, f"{EXISTING} beside {', '.join(others)}", accepted, "Remove the other options.")


def _missing(id: str, wanted: Wanted, records: Records, facts: Facts) -> Iterator[Mistake]:
    """What it needs and is not there, and what that needs in its turn: all of it, so that one edit is enough."""
    asked = [(need, id) for need in sorted(needs_of(records[id], facts))]
    seen: set[str] = set()
    while asked:
        need, by = asked.pop(0)
        if need in wanted or need in seen:
            continue
        seen.add(need)
        record = records.get(need)
        got = f"no {need}" if by == id else f"no {need}, which {by} needs"
        do = f"Add `{need}: {{}}` to espalier:addons."
        if record is not None and record.may_exist:
            version = record.version.removeprefix("v")
            do = f'{do[:-1]}, or `{need}: {{{EXISTING}: "{version}"}}` where the cluster has it already.'
        yield Mistake(path_of(id), got, f"{need} beside it", do)
        asked += [(more, need) for more in sorted(needs_of(record, facts))] if record else []


def _conflicting(id: str, record: AddonRecord, wanted: Wanted) -> Iterator[Mistake]:
    for other in sorted(set(record.conflicts) & set(wanted)):
        why = record.conflicts[other]
        accepted = f"one of the two: {why}" if why else "one of the two"
        yield Mistake(path_of(id), f"beside {other}", accepted, f"Remove {id} or {other}.")


def _wrong_kubernetes(record: AddonRecord, facts: Facts) -> Iterator[Mistake]:
    window = record.kubernetes
    if window is not None and not window.holds(facts.kubernetes_version):
        accepted = f"{window}, for which {record.version} is made{_word(window)}"
        do = "Take one of these versions, or another add-on."
        yield Mistake(path_of(record.id), f"Kubernetes {facts.kubernetes_version}", accepted, do)


def _wrong_versions(record: AddonRecord, wanted: Wanted, records: Records, facts: Facts) -> Iterator[Mistake]:
    if existing_version(wanted[record.id]):
        return
    for other, window in sorted(record.versions.items()):
        if other not in wanted or other not in records:
            continue
        version = existing_version(wanted[other]) or version_of(records[other], facts)
        if not window.holds(version):
            accepted = f"{other} {window} beside {record.id} {record.version}{_word(window)}"
            do = f"Upgrade {other} first, or remove {record.id}."
            yield Mistake(path_of(record.id), f"{other} {version}", accepted, do)


def version_of(record: AddonRecord, facts: Facts) -> str:
    """The version that Espalier installs on such a cluster."""
    return record.version_on(facts) if record.version_on else record.version


def _word(window: Window) -> str:
    return f" ({window.source})" if window.source else ""


def _wrong_processors(record: AddonRecord, pools: Sequence[PoolFacts]) -> Iterator[Mistake]:
    """Pools on which its pods would end with an exec format error: those without a taint, and those it must reach."""
    for pool in pools:
        processor = pool.shape.labels.get("kubernetes.io/arch", "amd64")
        reached = record.everywhere or bool(record.reaches & set(pool.shape.devices))
        kept_off = any(taint.effect != "PreferNoSchedule" for taint in pool.shape.taints)
        if processor in record.architectures or (kept_off and not reached):
            continue
        built = " and ".join(sorted(record.architectures))
        got = f"{record.id} on pool {pool.name}, whose nodes are {processor}"
        do = f"Remove {record.id}, or make the pool of {built}" + ("." if reached else ", or taint it.")
        yield Mistake(path_of(record.id), got, f"nodes of {built}: its images are built for no other", do)


def _unread_licence(record: AddonRecord, licences: Collection[str]) -> Iterator[Mistake]:
    for licence in re.findall(r"[\w.-]+", record.licence):
        if licence in NOT_OPEN and licence not in licences:
            accepted = "licences that are open source, or that the stack file says are agreed to"
            agree = f"Read it ({NOT_OPEN[licence]}), and if you may use it, add `licences: [{licence}]`"
            do = f"{agree} under espalier:, or remove {record.id}."
            yield Mistake(path_of(record.id), f"{record.id} under {licence}, which is not open source", accepted, do)


# One owner --------------------------------------------------------------------------------------------------------

_KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    # what is owned -> what the owner does, what is accepted, how to go without it in one of the two
    "apiservice": ("serves", "one server of each API", "turn this API off in one of the two"),
    "crd": ("brings", "one owner of each definition", "leave the definition out of one of the two"),
    "gatewayclass": ("serves", "one controller of each GatewayClass", "rename the class in one of the two"),
    "ingressclass": ("serves", "one controller of each IngressClass", "rename the class in one of the two"),
    "webhook": ("brings", "one owner of each webhook", "turn the webhook off in one of the two"),
}
_WHY: Final[Mapping[str, str]] = {
    "argoproj.io": "two controllers work on each Workflow, https://github.com/argoproj/argo-workflows/issues/6390",
    "cert-manager.io": "two webhooks judge each Certificate, "
    "https://github.com/kubeflow/community-distribution/issues/1796",
    "external.metrics.k8s.io": "of two servers one is never asked, https://github.com/kedacore/keda/issues/470",
    "gateway.networking.k8s.io": "their channels differ, and whoever applies last takes fields away, "
    "https://github.com/kubernetes-sigs/gateway-api/issues/4809",
    "mpijobs.kubeflow.org": "v1 and v2beta1 exclude one another, https://github.com/kubeflow/trainer/issues/1930",
    "nfd.k8s-sigs.io": "a cluster has one discovery, https://github.com/Mellanox/network-operator/issues/1212",
}
"""Why it matters, by the name of what is owned or by its group."""


def _two_owners(known: Records, wanted: Wanted) -> Iterator[Mistake]:
    """What two add-ons own: each would undo the other's, or the second take it over in silence."""
    first: dict[str, str] = {}
    shared: dict[tuple[str, str, str], list[str]] = {}
    for id, record in known.items():
        for what in sorted(_owned(record, wanted[id])):
            owner = first.setdefault(what, id)
            if owner != id and owner not in record.conflicts and id not in known[owner].conflicts:
                kind, _, name = what.partition("/")
                shared.setdefault((id, owner, kind), []).append(name)
    for (id, owner, kind), names in sorted(shared.items()):
        verb, accepted, other_way = _KINDS[kind]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        whys = dict.fromkeys(filter(None, map(_why, names)))
        accepted = "; ".join([accepted, *whys])
        do = f"Remove {owner} or {id}, or {other_way}."
        yield Mistake(path_of(id), f"{names[0]}{more}, which add-on {owner} {verb} already", accepted, do)


def _owned(record: AddonRecord, options: Mapping[str, Any]) -> set[str]:
    content = record.content
    crds = content.facts.crds if content and content.facts and content.crds == "keep" else ()
    tokens = {what for what in provides_of(record, options) if what.partition("/")[0] in _KINDS}
    return tokens | {f"crd/{name}" for name in crds}


def _why(name: str) -> str:
    """By the name itself, else by the longest group that it belongs to."""
    parts = name.split(".")
    return next((_WHY[group] for at in range(len(parts)) if (group := ".".join(parts[at:])) in _WHY), "")
