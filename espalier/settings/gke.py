"""A Standard cluster of Google Kubernetes Engine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from espalier.settings.cloud import CloudCluster


class Gke(CloudCluster):
    """A Standard cluster of Google Kubernetes Engine."""

    kind: Literal["gke"] = Field(description="this kind of cluster")
