"""A cluster of Amazon EKS."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from espalier.settings.cloud import CloudCluster


class Eks(CloudCluster):
    """A cluster of Amazon EKS."""

    kind: Literal["eks"] = Field(description="this kind of cluster")
