"""Judges registered resources by all rules: pure, deterministic, and the same for a plan, an apply and CrossGuard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from espalier.policies.registry import RULES
from espalier.policies.resources import PLATFORM_TYPE, Index, index_of
from espalier.policies.values import is_hidden, listing, mapping
from espalier.types import Finding, Registered, Rule, Verdict

UNUSED_WAIVER = "unused-waiver"
UNUSED_WAIVER_DESCRIPTION = "Every waiver covers a finding; one that covers none hides a later mistake."


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that is accepted: `policy` is a rule's name, `resource` a glob over resource names."""

    policy: str
    resource: str
    reason: str

    def covers(self, policy: str, resource: str) -> bool:
        return self.policy == policy and fnmatchcase(resource, self.resource)


def judge(resources: Sequence[Registered]) -> tuple[Verdict, ...]:
    """One verdict a rule, in the registry's order, and one on waivers that cover nothing.

    A waived finding stays in its verdict with the waiver's reason. Findings are sorted by URN and text, since the
    order of registration differs from run to run.
    """
    index = index_of(resources)
    facts, doubt = platform_facts(index)
    waivers = waivers_of(facts)
    verdicts = [judge_rule(rule, index, facts, waivers, doubt) for rule in RULES]
    return (*verdicts, _judge_waivers(index, waivers, verdicts))


def judge_rule(
    rule: Rule,
    resources: Sequence[Registered],
    facts: Mapping[str, Any] | None,
    waivers: Sequence[Waiver] = (),
    doubt: Sequence[str] = (),
) -> Verdict:
    """What one rule says; `doubt` is what could not be judged for any rule."""
    findings: set[Finding] = set()
    not_judged = set(doubt)
    for result in rule.judge(resources, facts):
        if isinstance(result, str):
            not_judged.add(result)
        else:
            findings.add(_waive(rule.name, result, waivers))
    ordered = sorted(findings, key=lambda finding: (finding.urn, finding.message))
    return Verdict(rule.name, rule.level, tuple(ordered), tuple(sorted(not_judged)))


def facts_of(resource: Registered) -> Mapping[str, Any] | None:
    """The facts of a Platform component; None for any other resource, and where they cannot be read."""
    facts = resource.props.get("facts") if resource.type == PLATFORM_TYPE else None
    return mapping(facts) if isinstance(facts, Mapping) and not is_hidden(facts) else None


def platform_facts(index: Index) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The facts of the first Platform by URN, and what that leaves in doubt."""
    known = [(platform, facts) for platform in index.platforms if (facts := facts_of(platform)) is not None]
    if not index.platforms:
        return None, ()
    if not known:
        return None, ("the facts of the Platform are not known",)
    others = [platform.name for platform in index.platforms if platform is not known[0][0]]
    doubt = [f"Platform {name}: only the facts of {known[0][0].name} were used" for name in others]
    return known[0][1], tuple(doubt)


def waivers_of(facts: Mapping[str, Any] | None) -> tuple[Waiver, ...]:
    """The waivers in the facts; one without a policy, a resource or a reason covers nothing and is left out."""
    entries = [mapping(entry) for entry in listing(mapping(facts).get("waivers"))]
    fields = [tuple(entry.get(key) for key in ("policy", "resource", "reason")) for entry in entries]
    return tuple(
        Waiver(policy, resource, reason)
        for policy, resource, reason in fields
        if isinstance(policy, str) and isinstance(resource, str) and isinstance(reason, str) and reason
    )


def name_of(urn: str) -> str:
    """The resource's name, which is the last part of its URN (it may itself hold "::")."""
    return urn.split("::", 3)[-1]


def _waive(policy: str, finding: Finding, waivers: Iterable[Waiver]) -> Finding:
    name = name_of(finding.urn)
    reason = next((waiver.reason for waiver in waivers if waiver.covers(policy, name)), None)
    return replace(finding, waived=reason)


def _judge_waivers(index: Index, waivers: Sequence[Waiver], verdicts: Sequence[Verdict]) -> Verdict:
    """Advisory: an unused waiver breaks nothing today."""
    names = {verdict.name: [name_of(finding.urn) for finding in verdict.findings] for verdict in verdicts}
    unused = [
        waiver
        for waiver in waivers
        if not any(waiver.covers(waiver.policy, name) for name in names.get(waiver.policy, ()))
    ]
    findings = tuple(
        Finding(index.platform_urn, f"unused waiver: {waiver.policy} on {waiver.resource} covers no finding; remove it")
        for waiver in unused
    )
    return Verdict(UNUSED_WAIVER, "advisory", findings)
