"""What every resource of Azure has in common: where it is, its tags, its parent and provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, slots=True)
class Azure:
    """The place that resources are made in."""

    component: pulumi.ComponentResource
    name: str
    """The component's name, with which all names of resources begin."""
    group: pulumi.Input[str]
    """Resource group."""
    location: str
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource | None
    """Of the subscription; None is the deployer's own."""

    def options(
        self,
        *,
        after: Iterable[pulumi.Resource] = (),
        ignore: Iterable[str] = (),
        protect: bool = False,
    ) -> pulumi.ResourceOptions:
        """Options of a child. `ignore` are property paths as the provider spells them."""
        return pulumi.ResourceOptions(
            parent=self.component,
            provider=self.provider,
            depends_on=list(after),
            ignore_changes=list(ignore),
            protect=protect or None,
        )
