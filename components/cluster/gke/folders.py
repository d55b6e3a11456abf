"""Rights of tenants' pods in their parts of buckets, as resources."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pulumi
from pulumi_gcp import projects, storage

from espalier.blueprint.clouds.gke import GkePlan


def folders(name: str, plan: GkePlan, buckets: Mapping[str, pulumi.Input[str]], opts: pulumi.ResourceOptions) -> None:
    """A right for each namespace that has a part of a bucket. `buckets` are URLs, each known once its bucket stands."""
    if not plan.folders:
        return
    # The project's number is in the name of GKE's agent; asking for the agent makes it where it is not there yet.
    agent = projects.ServiceIdentity(
        f"{name}-agent-folders", project=plan.project, service="container.googleapis.com", opts=opts
    )
    number = agent.member.apply(_number)
    names = {bucket.name: buckets[bucket.key] for bucket in plan.parts.buckets}
    for folder in plan.folders:
        pool = pulumi.Output.concat(
            "principal://iam.googleapis.com/projects/", number, "/locations/global/workloadIdentityPools/", folder.pool
        )
        storage.BucketIAMMember(
            f"{name}-folder-{folder.namespace}",
            bucket=pulumi.Output.from_input(names[folder.bucket]).apply(lambda _, own=folder.bucket: own),
            role=folder.role,
            member=pulumi.Output.concat(pool, "/subject/", folder.subject),
            condition=storage.BucketIAMMemberConditionArgs(
                title=f"folder-of-{folder.namespace}"[:100],
                description="Objects of this namespace and no others",
                expression=folder.condition,
            ),
            opts=opts,
        )


def _number(member: str) -> str:
    """The number in serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com."""
    found = re.search(r"[0-9]+(?=@)", member)
    return found[0] if found else ""
