"""The platform of the current stack: settings, checked and typed, become Pulumi components."""

import pulumi

from espalier.components import Platform
from espalier.settings import from_pulumi

platform = Platform("platform", {"settings": from_pulumi()})

pulumi.export("namespaces", platform.namespaces)
if platform.kubeconfig is not None:
    pulumi.export("kubeconfig", platform.kubeconfig)
for part, found in platform.parts.items():
    pulumi.export(part, found)
