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
    group: str
    """Resource group. Plain, so that a plan shows it; `base` is what it waits for."""
    location: str
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource | None
    """Of the subscription; None is the deployer's own."""
    subscription: str
    """Its id; "" where only the deployer's configuration knows it."""
    base: tuple[pulumi.Resource, ...] = ()
    """What all that is made comes after: the resource group, where that is made."""

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
            depends_on=[*self.base, *after],
            ignore_changes=list(ignore),
            protect=protect or None,
        )
