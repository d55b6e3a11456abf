"""The services of a project that a cluster needs."""

from __future__ import annotations

import pulumi
from pulumi_gcp import projects

from espalier.blueprint.clouds.gke import GkePlan


def switch_on(name: str, plan: GkePlan, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Switches them on; they stay on when the cluster goes, since others in the project may need them."""
    return [
        projects.Service(
            f"{name}-api-{service.split('.')[0]}",
            project=plan.project,
            service=service,
            disable_on_destroy=False,
            opts=opts,
        )
        for service in plan.apis
    ]
