"""Caches of public registries in ECR, as resources."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from espalier.blueprint.clouds.eks import EksPlan


def image_cache(parent: pulumi.Resource, name: str, plan: EksPlan) -> list[pulumi.Resource]:
    """A rule for each registry that the plan caches, under the registry's own name."""
    return [
        aws.ecr.PullThroughCacheRule(
            f"{name}-images-{upstream}",
            ecr_repository_prefix=upstream,
            upstream_registry_url=upstream,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for upstream in plan.image_cache
    ]
