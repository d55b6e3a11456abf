"""The rules as policies of CrossGuard, Pulumi's own policy engine.

A rule that judges each resource by itself stops a resource before it is made; the others judge the whole stack, at the
end of the preview that comes before every update. What a policy could not judge is reported by an advisory policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from espalier.policies.judge import (
    UNUSED_WAIVER,
    UNUSED_WAIVER_DESCRIPTION,
    facts_of,
    judge,
    judge_rule,
    platform_facts,
    waivers_of,
)
from espalier.policies.registry import RULES
from espalier.policies.resources import PLATFORM_TYPE, Index
from espalier.policies.values import UNKNOWN
from espalier.types import Registered, Rule, Verdict

NAME = "espalier"
NOT_JUDGED = "not-judged"
_LEVELS = {"mandatory": EnforcementLevel.MANDATORY, "advisory": EnforcementLevel.ADVISORY}


@dataclass(slots=True)
class Memory:
    """The facts that Platform was registered with, kept for what is analysed after it.

    CrossGuard shows a resource policy one resource at a time, and a stack policy the outputs of components, not their
    inputs. A component is analysed before its children, which need its URN.
    """

    platform: Registered | None = None

    def see(self, resource: Registered) -> None:
        if resource.type == PLATFORM_TYPE and facts_of(resource) is not None:
            self.platform = resource

    def complete(self, resources: Sequence[Registered]) -> Index:
        """The resources, with Platform as it was registered where its outputs hold no facts."""
        kept = self.platform
        if kept is None:
            return Index(resources)
        return Index([kept if r.urn == kept.urn and facts_of(r) is None else r for r in resources])


def policies() -> list[Policy]:
    """All policies for a `PolicyPack`, sharing one memory: call it once a pack."""
    memory = Memory()
    wrapped = [_resource_policy(r, memory) if r.scope == "resource" else _stack_policy(r, memory) for r in RULES]
    return [*wrapped, _not_judged_policy(memory), _unused_waiver_policy(memory)]


def _resource_policy(rule: Rule, memory: Memory) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Registered(args.urn, args.resource_type, args.name, plain(args.props))
        memory.see(resource)
        facts = facts_of(memory.platform) if memory.platform else None
        _report(judge_rule(rule, Index([resource]), facts, waivers_of(facts)), report)

    return ResourceValidationPolicy(
        name=rule.name,
        description=rule.description,
        validate=validate,
        enforcement_level=_LEVELS[rule.level],
        remediation_steps=rule.fix,
    )


def _stack_policy(rule: Rule, memory: Memory) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        index = memory.complete(_registered(args))
        facts, doubt = platform_facts(index)
        _report(judge_rule(rule, index, facts, waivers_of(facts), doubt), report)

    return StackValidationPolicy(
        name=rule.name,
        description=rule.description,
        validate=validate,
        enforcement_level=_LEVELS[rule.level],
        remediation_steps=rule.fix,
    )


def _not_judged_policy(memory: Memory) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for verdict in judge(memory.complete(_registered(args))):
            for text in verdict.not_judged:
                report(f"{verdict.name}: {text}", None)

    return StackValidationPolicy(
        name=NOT_JUDGED,
        description="What a policy could not judge is told, never passed in silence.",
        validate=validate,
        enforcement_level=EnforcementLevel.ADVISORY,
    )


def _unused_waiver_policy(memory: Memory) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        _report(judge(memory.complete(_registered(args)))[-1], report)

    return StackValidationPolicy(
        name=UNUSED_WAIVER,
        description=UNUSED_WAIVER_DESCRIPTION,
        validate=validate,
        enforcement_level=EnforcementLevel.ADVISORY,
    )


def _report(verdict: Verdict, report: ReportViolation) -> None:
    for finding in verdict.findings:
        if finding.waived is None:
            report(finding.message, finding.urn)


def _registered(args: StackValidationArgs) -> list[Registered]:
    return [Registered(r.urn, r.resource_type, r.name, plain(r.props)) for r in args.resources]


def plain(props: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON of properties that CrossGuard guards: reading an unknown one raises, here it becomes a mark."""
    return {key: _read(props, key) for key in props}


def _read(holder: Any, key: Any) -> Any:
    try:
        value = holder[key]
    except UnknownValueError:
        return UNKNOWN
    if isinstance(value, Mapping):
        return plain(cast(Mapping[str, Any], value))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_read(value, place) for place in range(len(cast(Sequence[Any], value)))]
    return value if isinstance(value, str | int | float | bool) else None
