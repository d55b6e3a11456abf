"""Asks AWS, by reading calls alone. Everything that is decided is decided in `judge`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound

from espalier.preflight.aws.facts import Denied, Facts, Machine, Quota, Reserved, Running, Subnet
from espalier.preflight.aws.named import named_of
from espalier.preflight.aws.parts import parts_of
from espalier.preflight.aws.permissions import actions_of
from espalier.preflight.aws.settings import image_parameter, keys_of, roles_of
from espalier.preflight.model import NotAsked, NotPossibleError
from espalier.preflight.needs import Needs
from espalier.settings.eks import Eks

Answer = TypeVar("Answer")
Progress = Callable[[str], None]
_ABSENT = ("NotFound", "NoSuchEntity", "ResourceNotFoundException", "ParameterNotFound")
_LOGIN = "Log in (aws sso login, or AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
_AT_ONCE = 50
"""Actions of one simulation; the answer comes in pages."""


class Asker:
    """One account and region. Each method is one question; what is refused becomes NotAsked."""

    def __init__(self, region: str) -> None:
        """Raises NotPossibleError without a profile that can be used."""
        try:
            self._session = boto3.Session(region_name=region)
        except ProfileNotFound as error:
            raise NotPossibleError(str(error), _LOGIN) from None
        self._clients: dict[str, Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service, made once; in the stack's region where none is named."""
        key = f"{service}/{region or self._session.region_name}"
        if key not in self._clients:
            self._clients[key] = self._session.client(service, region_name=region)
        return self._clients[key]

    def identity(self) -> tuple[str, str]:
        """Account and ARN of the caller. Raises NotPossibleError."""
        try:
            found = self.client("sts").get_caller_identity()
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise NotPossibleError(f"no credentials for AWS: {error}", _LOGIN) from None
        except (ClientError, BotoCoreError) as error:
            raise NotPossibleError(f"AWS does not take these credentials: {error}", _LOGIN) from None
        return found["Account"], found["Arn"]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """All items of an operation that answers in pages."""
        pages = self.client(service).get_paginator(operation).paginate(**arguments)
        return [item for page in pages for item in page[key]]


def asked(question: Callable[[], Answer]) -> Answer | NotAsked:
    """The answer; NotAsked where it is refused or cannot be had."""
    try:
        return question()
    except ClientError as error:
        return NotAsked(f"{error.operation_name}: {error.response['Error']['Code']}")
    except BotoCoreError as error:
        return NotAsked(str(error))


def there(question: Callable[[], Answer]) -> Answer | NotAsked | None:
    """As `asked`; None for what AWS does not find."""

    def look() -> Answer | None:
        try:
            return question()
        except ClientError as error:
            if any(word in error.response["Error"]["Code"] for word in _ABSENT):
                return None
            raise

    return asked(look)


def facts_of(needs: Needs, progress: Progress) -> Facts:
    """Everything that the judge wants to know. Raises NotPossibleError."""
    asker = Asker(needs.plan.region)
    account, caller = asker.identity()
    progress("asking for quotas and what runs")
    quotas = asked(lambda: _quotas(asker))
    running = asked(lambda: _running(asker, needs.plan.name))
    addresses = asked(lambda: len(asker.client("ec2").describe_addresses()["Addresses"]))
    networks = asked(lambda: len(asker.pages("ec2", "describe_vpcs", "Vpcs")))
    progress("asking for instance types and reservations")
    offered = asked(lambda: _offered(asker))
    reservations = asked(lambda: _reservations(asker, needs))
    progress("asking for permissions")
    denied = asked(lambda: _denied(asker, caller, actions_of(needs.types())))
    progress("asking for the cluster, its names and its network")
    return Facts(
        account=account,
        caller=caller,
        now=datetime.now(UTC),
        quotas=quotas,
        running=running,
        addresses=addresses,
        networks=networks,
        offered=offered,
        reservations=reservations,
        groups={name: there(lambda name=name: _members(asker, name)) for name in _groups(needs)},
        denied=denied,
        cluster=there(lambda: _cluster(asker, needs.plan.name)),
        taken=_taken(asker, needs),
        vpc=there(lambda: _vpc(asker, needs)),
        subnets=asked(lambda: _subnets(asker, needs.cluster.network.subnets)),
        keys={key: _or_absent(there(lambda key=key: _key(asker, key))) for key in keys_of(needs)},
        roles={role: _role(asker, role) for role in roles_of(needs)},
        named=_named(asker, needs),
        versions=asked(lambda: _versions(asker)),
        images=_images(asker, needs),
        parts=(*parts_of(asker, needs), *named_of(asker, there, needs)),
    )


def _quotas(asker: Asker) -> Mapping[tuple[str, str], Quota]:
    return {
        (service, each["QuotaCode"]): Quota(each["QuotaName"], each["Value"])
        for service in ("ec2", "vpc")
        for each in asker.pages("service-quotas", "list_service_quotas", "Quotas", ServiceCode=service)
        if "Value" in each
    }


def _running(asker: Asker, cluster: str) -> tuple[Machine, ...]:
    alive = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = asker.pages("ec2", "describe_instances", "Reservations", Filters=alive)
    instances = [instance for reservation in found for instance in reservation["Instances"]]
    return tuple(
        Machine(each["InstanceType"], each.get("InstanceLifecycle") == "spot", _vcpus(each))
        for each in instances
        if {"Key": "eks:cluster-name", "Value": cluster} not in each.get("Tags", [])
    )


def _vcpus(instance: Mapping[str, Any]) -> int:
    cpu = instance.get("CpuOptions", {})
    return int(cpu.get("CoreCount", 0)) * int(cpu.get("ThreadsPerCore", 1))


def _offered(asker: Asker) -> Mapping[str, frozenset[str]]:
    rows = asker.pages(
        "ec2", "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="availability-zone"
    )
    zones: dict[str, set[str]] = {}
    for row in rows:
        zones.setdefault(row["InstanceType"], set()).add(row["Location"])
    return {machine: frozenset(found) for machine, found in zones.items()}


def _reservations(asker: Asker, needs: Needs) -> Mapping[str, Reserved | None]:
    """Each by itself: one that is not there would have all refused."""
    wanted = {g.reservation.id for g in needs.groups if g.reservation and g.reservation.id.startswith("cr-")}
    return {name: _reservation(asker, name) for name in sorted(wanted)}


def _reservation(asker: Asker, name: str) -> Reserved | None:
    try:
        answer = asker.client("ec2").describe_capacity_reservations(CapacityReservationIds=[name])
    except ClientError as error:
        if error.response["Error"]["Code"] in (
            "InvalidCapacityReservationId.NotFound",
            "InvalidCapacityReservationId.Malformed",
        ):
            return None
        raise
    rows = answer["CapacityReservations"]
    if not rows:
        return None
    row = rows[0]
    return Reserved(
        row["InstanceType"],
        row["AvailabilityZone"],
        row["TotalInstanceCount"],
        row["AvailableInstanceCount"],
        row["State"],
        row.get("ReservationType", "default") == "capacity-block",
        row.get("EndDate"),
    )


def _groups(needs: Needs) -> list[str]:
    found = {g.reservation.id for g in needs.groups if g.reservation and not g.reservation.id.startswith("cr-")}
    return sorted(found)


def _members(asker: Asker, group: str) -> tuple[Reserved, ...]:
    asker.client("resource-groups").get_group(Group=group)  # says by itself that there is none
    rows = asker.pages("resource-groups", "list_group_resources", "ResourceIdentifiers", Group=group)
    names = [row["ResourceArn"].rpartition("/")[2] for row in rows]
    found = [_reservation(asker, name) for name in names if name.startswith("cr-")]
    return tuple(each for each in found if each is not None)


def _denied(asker: Asker, caller: str, actions: list[str]) -> tuple[Denied, ...]:
    """What IAM's simulator does not allow the caller; asked on all resources."""
    source = _policy_source(asker, caller)
    found: list[Denied] = []
    for start in range(0, len(actions) if source else 0, _AT_ONCE):
        rows = asker.pages(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=source,
            ActionNames=actions[start : start + _AT_ONCE],
        )
        found += [
            Denied(row["EvalActionName"], row["EvalDecision"] == "explicitDeny", bool(row.get("MissingContextValues")))
            for row in rows
            if row["EvalDecision"] != "allowed"
        ]
    return tuple(found)


def _policy_source(asker: Asker, caller: str) -> str:
    """The user or role whose policies count; "" for the root user, who may do everything."""
    resource = caller.split(":", 5)[5]
    if resource == "root":
        return ""
    if resource.startswith("assumed-role/"):
        return str(asker.client("iam").get_role(RoleName=resource.split("/")[1])["Role"]["Arn"])
    return caller


def _cluster(asker: Asker, name: str) -> Running:
    eks = asker.client("eks")
    found = eks.describe_cluster(name=name)["cluster"]
    groups = asker.pages("eks", "list_nodegroups", "nodegroups", clusterName=name)
    versions = {
        group: eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"].get("version")
        for group in groups
    }
    return Running(found["version"], found.get("tags", {}), {group: v for group, v in versions.items() if v})


def _taken(asker: Asker, needs: Needs) -> Mapping[str, Mapping[str, str] | NotAsked]:
    found = {
        f"role {name}": there(lambda name=name: _role_tags(asker, name)) for name in needs.names("aws:iam/role:Role")
    }
    for name in needs.names("aws:cloudwatch/logGroup:LogGroup"):
        found[f"log group {name}"] = asked(lambda name=name: _log_group_tags(asker, name))
    return {what: tags for what, tags in found.items() if tags is not None}


def _role_tags(asker: Asker, name: str) -> Mapping[str, str]:
    role = asker.client("iam").get_role(RoleName=name)["Role"]
    return {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}


def _log_group_tags(asker: Asker, name: str) -> Mapping[str, str] | None:
    logs = asker.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    group = next((each for each in groups if each["logGroupName"] == name), None)
    return logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"] if group else None


def _vpc(asker: Asker, needs: Needs) -> str:
    if needs.cluster.network.id is None:
        return ""
    found = asker.client("ec2").describe_vpcs(VpcIds=[needs.cluster.network.id])["Vpcs"][0]
    return f"{found['State']}, {found['CidrBlock']}"


def _subnets(asker: Asker, names: Iterable[str]) -> Mapping[str, Subnet | None]:
    wanted = list(names)
    if not wanted:
        return {}
    filters = [{"Name": "subnet-id", "Values": wanted}]
    found = asker.pages("ec2", "describe_subnets", "Subnets", Filters=filters)
    tables = (
        asker.pages(
            "ec2",
            "describe_route_tables",
            "RouteTables",
            Filters=[{"Name": "vpc-id", "Values": sorted({each["VpcId"] for each in found})}],
        )
        if found
        else []
    )
    rows = {
        each["SubnetId"]: Subnet(
            each["VpcId"], each["AvailabilityZone"], each["AvailableIpAddressCount"], _is_public(each, tables)
        )
        for each in found
    }
    return {name: rows.get(name) for name in wanted}


def _is_public(subnet: Mapping[str, Any], tables: Iterable[Mapping[str, Any]]) -> bool:
    """By its own route table, or else the main one of its network."""
    own = [t for t in tables if any(a.get("SubnetId") == subnet["SubnetId"] for a in t["Associations"])]
    main = [t for t in tables if t["VpcId"] == subnet["VpcId"] and any(a.get("Main") for a in t["Associations"])]
    routes = [route for table in (own or main)[:1] for route in table["Routes"]]
    return any(str(route.get("GatewayId", "")).startswith("igw-") for route in routes)


def _key(asker: Asker, key: str) -> str:
    return str(asker.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


def _or_absent(state: str | NotAsked | None) -> str | NotAsked:
    return "" if state is None else state


def _role(asker: Asker, arn: str) -> bool | NotAsked:
    found = there(lambda: asker.client("iam").get_role(RoleName=arn.rpartition("/")[2]))
    return found if isinstance(found, NotAsked) else found is not None


def _named(asker: Asker, needs: Needs) -> Mapping[str, bool | NotAsked]:
    """The policy of a permissions boundary, and a file system of EFS."""
    cluster, found = needs.cluster, dict[str, Any]()
    assert isinstance(cluster, Eks)  # noqa: S101 - of its own kind
    if policy := cluster.roles.boundary:
        found[f"policy {policy}"] = there(lambda: asker.client("iam").get_policy(PolicyArn=policy))
    if cluster.storage and cluster.storage.type == "efs" and (system := cluster.storage.id):
        efs = asker.client("efs")
        found[f"file system {system}"] = there(lambda: efs.describe_file_systems(FileSystemId=system))
    return {what: each if isinstance(each, NotAsked) else each is not None for what, each in found.items()}


def _versions(asker: Asker) -> Mapping[str, str]:
    rows = asker.pages("eks", "describe_cluster_versions", "clusterVersions")
    return {row["clusterVersion"]: row["versionStatus"] for row in rows if row["versionStatus"] != "UNSUPPORTED"}


def _images(asker: Asker, needs: Needs) -> Mapping[str, str | NotAsked | None]:
    releases = {need.group: need.release for need in needs.groups}
    wanted = {image_parameter(needs, group, releases[group.name]) for group in needs.plan.groups}
    return {
        name: there(lambda name=name: asker.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        for name in sorted(name for name in wanted if name)
    }
