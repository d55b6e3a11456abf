"""Which IAM permissions and APIs the program's resources need.

Source: IAM permissions reference; each resource is created, read and deleted.
"""

from __future__ import annotations

from collections.abc import Iterable

_VERBS = ("create", "delete", "get")
_RESOURCES = {
    "gcp:container/cluster:Cluster": "container.clusters",
    "gcp:container/nodePool:NodePool": "container.clusters",
    "gcp:compute/network:Network": "compute.networks",
    "gcp:compute/subnetwork:Subnetwork": "compute.subnetworks",
    "gcp:compute/router:Router": "compute.routers",
    "gcp:compute/routerNat:RouterNat": "compute.routers",
    "gcp:compute/firewall:Firewall": "compute.firewalls",
    "gcp:compute/resourcePolicy:ResourcePolicy": "compute.resourcePolicies",
    "gcp:compute/address:Address": "compute.addresses",
    "gcp:serviceaccount/account:Account": "iam.serviceAccounts",
    "gcp:filestore/instance:Instance": "file.instances",
    "gcp:artifactregistry/repository:Repository": "artifactregistry.repositories",
    "gcp:storage/bucket:Bucket": "storage.buckets",
    "gcp:dns/managedZone:ManagedZone": "dns.managedZones",
}
_OTHERS: dict[str, tuple[str, ...]] = {
    "gcp:projects/iAMMember:IAMMember": (
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    "gcp:serviceaccount/iAMMember:IAMMember": ("iam.serviceAccounts.getIamPolicy", "iam.serviceAccounts.setIamPolicy"),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": (
        "artifactregistry.repositories.getIamPolicy",
        "artifactregistry.repositories.setIamPolicy",
    ),
    "gcp:projects/service:Service": ("serviceusage.services.enable", "serviceusage.services.get"),
    "gcp:projects/serviceIdentity:ServiceIdentity": ("serviceusage.services.generateServiceIdentity",),
    "gcp:kms/keyRing:KeyRing": ("cloudkms.keyRings.create", "cloudkms.keyRings.get"),
    "gcp:kms/cryptoKey:CryptoKey": ("cloudkms.cryptoKeys.create", "cloudkms.cryptoKeys.get"),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ("cloudkms.cryptoKeys.setIamPolicy",),
}
PERMISSIONS: dict[str, tuple[str, ...]] = _OTHERS | {
    type_: tuple(f"{stem}.{verb}" for verb in _VERBS) for type_, stem in _RESOURCES.items()
}
"""Type of resource -> permissions without which it cannot be made and deleted."""
_APIS = {
    "gcp:container/": "container.googleapis.com",
    "gcp:compute/": "compute.googleapis.com",
    "gcp:serviceaccount/": "iam.googleapis.com",
    "gcp:kms/": "cloudkms.googleapis.com",
    "gcp:filestore/": "file.googleapis.com",
    "gcp:projects/": "cloudresourcemanager.googleapis.com",
    "gcp:artifactregistry/": "artifactregistry.googleapis.com",
    "gcp:dns/": "dns.googleapis.com",
    "gcp:storage/": "storage.googleapis.com",
}


def permissions_of(types: Iterable[str]) -> list[str]:
    """The permissions that resources of these types need, sorted."""
    return sorted({each for type_ in types for each in PERMISSIONS.get(type_, ())})


def unjudged(types: Iterable[str]) -> list[str]:
    """Types of Google Cloud whose permissions are not known here."""
    return sorted(type_ for type_ in set(types) if type_.startswith("gcp:") and type_ not in PERMISSIONS)


def apis_of(types: Iterable[str]) -> list[str]:
    """The APIs that resources of these types are made by."""
    wanted = {api for type_ in types for stem, api in _APIS.items() if type_.startswith(stem)}
    return sorted(wanted | {"compute.googleapis.com", "container.googleapis.com"})
