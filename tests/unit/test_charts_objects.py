"""What of a render a server or a controller would undo: an `up` with nothing to do stays one."""

from __future__ import annotations

from typing import Any

from espalier.charts.objects import complete, objects_of
from espalier.charts.tool import Item
from espalier.content import ChartSource, Content

CONTENT = Content(source=ChartSource("one", "1.0.0", "https://charts.example.com"), namespace="n", hooks={"*": "keep"})


def role(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, **more}


def test_rules_that_a_controller_gathers_are_its_own() -> None:
    gathered = {"clusterRoleSelectors": [{"matchLabels": {"to": "r"}}]}
    assert "rules" not in complete(role(rules=[], aggregationRule=gathered), CONTENT, {})
    assert complete(role(rules=[]), CONTENT, {})["rules"] == []


def test_a_hook_that_is_kept_stays_when_it_has_run() -> None:
    metadata = {"name": "certs", "annotations": {"helm.sh/hook": "pre-install"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"ttlSecondsAfterFinished": 30}}
    objects, mistakes = objects_of("one", CONTENT, [Item("certs.yaml", False, job)], {})
    assert mistakes == []
    assert [one.manifest["spec"] for one in objects] == [{}]
