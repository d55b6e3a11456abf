"""parliament, the independent linter of IAM policies."""

from __future__ import annotations

import copy
import json
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from tests.clouds.shapes import operations


def _load() -> ModuleType:
    """parliament asks setuptools' pkg_resources where its own files are; setuptools has none of it any more."""
    stand_in = ModuleType("pkg_resources")
    vars(stand_in)["resource_filename"] = lambda package, name: str(Path(_origin(package)).parent / name)
    before = sys.modules.get("pkg_resources")
    sys.modules["pkg_resources"] = before or stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves its files for the collector to close
            import parliament
    finally:
        if before is None:
            del sys.modules["pkg_resources"]
    return parliament


def _origin(package: str) -> str:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin
    return spec.origin


PARLIAMENT = _load()
Sort = Literal["identity", "trust", "resource"]
"""Of a policy: what an identity may do, who may take a role, who may use a resource."""


def findings(document: str | Mapping[str, Any], sort: Sort) -> Iterator[str]:
    """What parliament has against a policy document, in its own words.

    It knows identities' policies alone. A policy of trust says no resource, so it is given one for its actions and
    conditions to be read.
    """
    policy: dict[str, Any] = json.loads(document) if isinstance(document, str) else copy.deepcopy(dict(document))
    if sort == "trust":
        policy["Statement"] = [{**statement, "Resource": "*"} for statement in statements(policy)]
    for statement in statements(policy):
        alone = {**policy, "Statement": [statement]}
        for finding in PARLIAMENT.analyze_policy_string(json.dumps(alone)).findings:
            if not _is_answered(finding, sort, statement, policy):
                better = PARLIAMENT.enhance_finding(finding)
                yield f"{statement.get('Sid', '')} {better.issue}: {better.title} {better.detail or ''}"


_OF_REPOSITORIES = frozenset({"ecr:BatchImportUpstreamImage"})
"""Actions that parliament knows no resource of, though AWS grants them by repositories: ECR user guide,
pull-through-cache-iam, whose example names `repository/<prefix>/*`."""
_PUBLIC_PARAMETER = re.compile(r"arn:aws[-a-z]*:ssm:[-a-z0-9]+::parameter/aws/service/")


def _is_answered(finding: Any, sort: Sort, statement: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    """What parliament says of each statement alone, by definitions of its day, and is no fault.

    - everything is the resource of reads, of a key's own policy and of a role's trust;
    - an action newer than parliament is one that AWS's own model has;
    - a condition is one of its service's, said there of another entry of the same service or of its resources;
    - what an action needs besides is allowed by another statement: a security group is made, and made in a network;
    - AWS's public parameters are of no account;
    - the import of an upstream image is one of its repository's.
    """
    words = str(finding.detail).split()
    if finding.issue == "RESOURCE_STAR":
        return sort != "identity" or all(is_read(action) for action in finding.detail)
    if finding.issue == "UNKNOWN_ACTION":
        service, _, action = words[-1].partition(":")
        return action in operations({"elasticloadbalancing": "elbv2"}.get(service, service))
    if finding.issue == "UNKNOWN_CONDITION_FOR_ACTION":
        return words[2] in _conditions(words[-1].partition(":")[0])
    if finding.issue == "RESOURCE_MISMATCH":
        if all(_PUBLIC_PARAMETER.match(resource) for resource in statement["Resource"]):
            return True
        others = [other for other in statements(policy) if other != statement]
        return all(
            (detail["action"] in _OF_REPOSITORIES and _fits(statement, "arn:*:ecr:*:*:repository/*"))
            or any(detail["action"] in other["Action"] and _fits(other, detail["required_format"]) for other in others)
            for detail in finding.detail
        )
    return False


def _fits(statement: Mapping[str, Any], form: str) -> bool:
    return any(fnmatch(resource, form.replace("arn:*:", "arn:*")) for resource in statement["Resource"])


def is_read(action: str) -> bool:
    """Whether an action, such as `ec2:DescribeImages`, only reads."""
    return action.partition(":")[2].startswith(("Describe", "Get", "List", "BatchGet"))


@cache
def _conditions(service: str) -> frozenset[str]:
    entries = [entry for entry in PARLIAMENT.iam_definition if entry["prefix"] == service]
    said = [condition["condition"] for entry in entries for condition in entry["conditions"]]
    said += [key for entry in entries for resource in entry["resources"] for key in resource["condition_keys"]]
    return frozenset(said)


def statements(document: str | Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy; actions and resources as lists."""
    policy: dict[str, Any] = json.loads(document) if isinstance(document, str) else dict(document)
    found = policy["Statement"]
    return [
        {**one, **{key: _listed(one[key]) for key in ("Action", "Resource", "NotAction") if key in one}}
        for one in (found if isinstance(found, list) else [found])
    ]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
