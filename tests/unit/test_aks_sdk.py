"""What docs/clouds.md says that Pulumi's SDK lacks of AKS: once it has it, that is to be taken, and the page mended."""

from __future__ import annotations

import inspect

from azure.mgmt.containerservice import models
from pulumi_azure_native import containerservice


def inputs_of(resource: type) -> set[str]:
    """Names of a resource's inputs, as its constructor has them."""
    return set(inspect.signature(vars(resource)["_internal_init"]).parameters)


def test_artifact_streaming_is_of_the_api_and_not_of_the_sdk() -> None:
    """Hence a pool's `preload` is refused."""
    assert "artifact_streaming_profile" in models.ManagedClusterAgentPoolProfileProperties.__annotations__
    assert "gpu_profile" in inputs_of(containerservice.AgentPool)
    assert "artifact_streaming_profile" not in inputs_of(containerservice.AgentPool)


def test_keys_of_secrets_that_rotate_are_of_the_api_and_not_of_the_sdk() -> None:
    """Hence the key of Secrets is one of the KMS plugin's, which holds on to one version."""
    profile = "kubernetes_resource_object_encryption_profile"
    assert profile in models.ManagedClusterSecurityProfile.__annotations__
    assert "azure_key_vault_kms" in containerservice.ManagedClusterSecurityProfileArgsDict.__annotations__
    assert profile not in containerservice.ManagedClusterSecurityProfileArgsDict.__annotations__
