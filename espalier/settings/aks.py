"""A cluster of Azure Kubernetes Service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from espalier.settings.cloud import CloudCluster


class Aks(CloudCluster):
    """A cluster of Azure Kubernetes Service."""

    kind: Literal["aks"] = Field(description="this kind of cluster")
