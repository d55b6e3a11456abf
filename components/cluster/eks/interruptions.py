"""The queue that Karpenter reads EC2's warnings from, as resources."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan


def interruptions(parent: pulumi.Resource, name: str, plan: EksPlan) -> list[pulumi.Resource]:
    """The queue with the rules that fill it, where the plan has one: all before Karpenter reads it, and after it."""
    wanted = plan.interruptions
    if wanted is None:
        return []
    inside = pulumi.ResourceOptions(parent=parent)
    queue = aws.sqs.Queue(
        f"{name}-interruptions",
        name=wanted.queue,
        message_retention_seconds=300,
        sqs_managed_sse_enabled=True,
        tags=dict(plan.tags),
        opts=inside,
    )
    policy = aws.sqs.QueuePolicy(
        f"{name}-interruptions-policy",
        queue_url=queue.url,
        policy=json.dumps(wanted.policy, sort_keys=True),
        opts=inside,
    )
    made: list[pulumi.Resource] = [queue, policy]
    for event, pattern in wanted.events.items():
        rule = aws.cloudwatch.EventRule(
            f"{name}-interruptions-{event}",
            name=f"{wanted.queue}-{event}",
            event_pattern=json.dumps(pattern, sort_keys=True),
            tags=dict(plan.tags),
            opts=inside,
        )
        target = aws.cloudwatch.EventTarget(
            f"{name}-interruptions-{event}-target", rule=rule.name, arn=queue.arn, target_id="karpenter", opts=inside
        )
        made += [rule, target]
    return made
