"""Asks for buckets, repositories and hosted zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from espalier.blueprint.clouds.parts import Bucket, Registry, Zone
from espalier.preflight.model import NotAsked
from espalier.preflight.needs import Needs
from espalier.preflight.parts import Part

_ABSENT = ("404", "NoSuchBucket", "RepositoryNotFoundException", "NoSuchHostedZone")
_HIDDEN = ("403", "AccessDenied", "Forbidden")
"""What HeadBucket answers of a bucket that is there and not the caller's to list: it has no other words."""


class Clients(Protocol):
    """Who makes clients."""

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service; in the stack's region where none is named."""


def parts_of(clients: Clients, needs: Needs) -> tuple[Part, ...]:
    """All that the stack makes or names."""
    asked = needs.plan.parts
    return (
        *(_bucket(clients, one) for one in asked.buckets),
        *(_registry(clients, needs, one) for one in asked.registries),
        *(_zone(clients, needs, asked.zone) if asked.zone else ()),
    )


def _failed(error: ClientError | BotoCoreError, part: Part) -> Part:
    """A part of which a question was refused. Of buckets alone a refusal tells that there is one."""
    state: Any = NotAsked(str(error))
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        state = NotAsked(f"{error.operation_name}: {code}")
        if code in _ABSENT:
            state = "absent"
        elif error.operation_name == "HeadBucket" and code in _HIDDEN:
            state = "hidden"
    return Part(key=part.key, what=part.what, made=part.made, state=state)


def _bucket(clients: Clients, wanted: Bucket) -> Part:
    part = Part(key="buckets", what=f"bucket {wanted.name}", made=wanted.given is None, state="absent")
    s3 = clients.client("s3")
    try:
        found = s3.head_bucket(Bucket=wanted.name)
        tags = _bucket_tags(s3, wanted.name) if part.made else {}
    except (ClientError, BotoCoreError) as error:
        return _failed(error, part)
    region = found.get("BucketRegion", "")
    return Part(
        key="buckets", what=part.what, made=part.made, state="there", got=f"in {region}" if region else "", tags=tags
    )


def _bucket_tags(s3: Any, name: str) -> Mapping[str, str]:
    try:
        return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchTagSet":
            return {}
        raise


def _registry(clients: Clients, needs: Needs, wanted: Registry) -> Part:
    part = Part(key="registries", what=f"repository {wanted.url}", made=wanted.given is None, state="absent")
    host = wanted.url.split(".")
    ecr = clients.client("ecr", host[3])
    try:
        rows = ecr.describe_repositories(registryId=host[0], repositoryNames=[wanted.name])["repositories"]
        tags = ecr.list_tags_for_resource(resourceArn=rows[0]["repositoryArn"])["tags"] if part.made else []
    except (ClientError, BotoCoreError) as error:
        return _failed(error, part)
    return Part(
        key="registries",
        what=part.what,
        made=part.made,
        state="there",
        got=f"tags {rows[0].get('imageTagMutability', 'MUTABLE').lower()}",
        tags={tag["Key"]: tag["Value"] for tag in tags},
    )


def _zone(clients: Clients, needs: Needs, wanted: Zone) -> Iterator[Part]:
    """A zone that is made has no name of its own to clash, but in a network that is there already."""
    part = Part(key="dns", what=f"zone {wanted.given or wanted.domain}", made=wanted.given is None, state="absent")
    network, route53 = needs.cluster.network.id, clients.client("route53")
    try:
        if wanted.given is not None:
            yield _given_zone(part, wanted, route53.get_hosted_zone(Id=wanted.given), network)
        elif network is not None:
            rows = route53.list_hosted_zones_by_vpc(VPCId=network, VPCRegion=needs.plan.region)["HostedZoneSummaries"]
            same = [row["HostedZoneId"] for row in rows if row["Name"] == f"{wanted.domain}."]
            tags = _zone_tags(route53, same[0]) if same else {}
            yield Part(key="dns", what=part.what, made=True, state="there" if same else "absent", tags=tags)
    except (ClientError, BotoCoreError) as error:
        yield _failed(error, part)


def _given_zone(part: Part, wanted: Zone, found: Mapping[str, Any], network: str | None) -> Part:
    name, private = found["HostedZone"]["Name"], found["HostedZone"]["Config"]["PrivateZone"]
    networks = [each["VPCId"] for each in found.get("VPCs", ())]
    fault = ""
    if not private:
        fault = "a public zone"
    elif name != f"{wanted.domain}.":
        fault = f"the zone of {name.removesuffix('.')}, not of {wanted.domain}"
    elif network is not None and network not in networks:
        fault = f"{network} is not associated with it"
    return Part(key="dns", what=part.what, made=False, state="there", got=f"private, {name}", fault=fault)


def _zone_tags(route53: Any, zone: str) -> Mapping[str, str]:
    found = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone.removeprefix("/hostedzone/"))
    return {tag["Key"]: tag["Value"] for tag in found["ResourceTagSet"]["Tags"]}
