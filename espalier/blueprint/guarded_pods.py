"""What pods of tenants may not have or run, and where they may not land, whoever makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.admission import narrowing
from espalier.blueprint.guard_terms import TENANTS, note_of, rule
from espalier.blueprint.priorities import SPOT_CLASSES


def _of_pods(operations: Sequence[str], *resources: str) -> dict[str, Any]:
    return {"resourceRules": [rule("", resources, operations, "Namespaced")], "namespaceSelector": TENANTS}


def pods(known: Sequence[tuple[str, int, str]]) -> dict[str, Any]:
    """What pods may not have, whoever makes them: mostly a controller does, in its own name.

    Kueue's Workloads are asked, too: one is let in, and others' put out for it, before it has a pod. One whose class
    stays what it was may be changed by Kueue even if its tenant has lost that class since: else it would never go.
    """
    classes = ",".join(name for name, _, _ in known)
    least = min(value for _, value, _ in known)
    noted = note_of(names.PRIORITIES)
    named = 'object.spec.?priorityClassName.orValue("")'
    asked = ("priority", "priorityClassName", "priorityClassRef")
    anew = " || ".join(f"object.spec.?{key} != oldObject.spec.?{key}" for key in asked)
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("", ["pods"], ["CREATE"], "Namespaced"),
                rule("kueue.x-k8s.io", ["workloads"], ["CREATE", "UPDATE"], "Namespaced"),
            ],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [{"name": "asks-for-a-class-anew", "expression": f"oldObject == null || {anew}"}],
        "variables": [
            {"name": "classes", "expression": f'({noted} == "" ? "{classes}" : {noted}).split(",")'},
            {"name": "named", "expression": f"object.spec.?priorityClassRef.?name.orValue({named})"},
        ],
        "validations": [
            {
                # A class below all of ours takes nothing from anyone: it may be the cluster's own default.
                "expression": 'variables.named == "" || variables.named in variables.classes '
                f"|| object.spec.?priority.orValue(0) < {least}",
                "messageExpression": '"priority class " + variables.named + " is not for this tenant; '
                'name one of " + variables.classes.join(", ") + ", or none"',
                "message": "a priority class that is not for this tenant",
                "reason": "Forbidden",
            },
            {
                "expression": 'object.spec.?nodeName.orValue("") == ""',
                "message": "a pod that names its node goes round the scheduler, its queue and its taints: remove "
                "spec.nodeName, and select a pool by nodeSelector",
                "reason": "Forbidden",
            },
        ],
    }


_IS_SPOTS: Final = f'object.spec.?priorityClassName.orValue("") in {json.dumps(list(SPOT_CLASSES))}'
"""CEL: the pod has a class of those for spot nodes alone."""


def kept_away() -> dict[str, Any]:
    """Pods get a node affinity that keeps them off pools and kinds of capacity that are not their tenant's."""

    def away(label: str, note: str) -> str:
        values = f'"key": dyn("{label}"), "operator": dyn("NotIn"), "values": dyn({note_of(note)}.split(","))'
        return f'({note_of(note)} == "" ? [] : [{{{values}}}])'

    operator = f'{_IS_SPOTS} ? dyn("In") : dyn("NotIn")'
    by_class = f'[{{"key": dyn("{names.CAPACITY}"), "operator": {operator}, "values": dyn(["spot"])}}]'
    every = (
        away(names.POOL, names.FORBIDDEN_POOLS),
        away(names.CAPACITY, names.FORBIDDEN_CAPACITY),
        f'({note_of(names.SPOT_BY_CLASS)} == "" ? [] : {by_class})',
    )
    return narrowing(_of_pods(["CREATE"], "pods"), [], [{"name": "away", "expression": " + ".join(every)}])


def placed_apart() -> dict[str, Any]:
    """Before Kubernetes 1.36 nothing is added to pods: those that could land there select where they go instead."""
    own = 'toleration.?key.orValue("").startsWith("node.kubernetes.io/")'
    extended = 'c.?resources.?limits.orValue({}).exists(name, name.contains("/"))'
    return {
        "matchConstraints": _of_pods(["CREATE"], "pods"),
        "variables": [
            {
                "name": "may",
                "expression": f"object.spec.containers.exists(c, {extended}) "
                f"|| object.spec.?tolerations.orValue([]).exists(toleration, !{own})",
            },
            {"name": "kind", "expression": f'object.spec.?nodeSelector[?"{names.CAPACITY}"].orValue("")'},
        ],
        "validations": [
            {
                "expression": f'!variables.may || {note_of(note)} == "" '
                f'|| !(object.spec.?nodeSelector[?"{label}"].orValue("") in (\',\' + {note_of(note)}).split(","))',
                "messageExpression": f'"select by spec.nodeSelector a {label} that is none of " + {note_of(note)}',
                "message": f"a {label} that is not this tenant's",
                "reason": "Forbidden",
            }
            for label, note in ((names.POOL, names.FORBIDDEN_POOLS), (names.CAPACITY, names.FORBIDDEN_CAPACITY))
        ]
        + [
            {
                "expression": f'!variables.may || {note_of(names.SPOT_BY_CLASS)} == "" || ({_IS_SPOTS} '
                '? variables.kind == "spot" : !(variables.kind in ["", "spot"]))',
                "message": f"select by spec.nodeSelector a {names.CAPACITY}: spot with a priority class for spot, and "
                "another with any other class or none",
                "reason": "Forbidden",
            }
        ],
    }


def images() -> dict[str, Any]:
    """Images of a tenant that names registries come from these: a pod's may be changed while it runs, and added to."""
    of = 'object.spec.?{}.orValue([]).map(c, c.?image.orValue(""))'
    lists = [of.format(name) for name in ("containers", "initContainers", "ephemeralContainers")]
    volumes = 'object.spec.?volumes.orValue([]).filter(v, has(v.image)).map(v, v.image.?reference.orValue(""))'
    allowed = 'variables.registries.exists(r, image.startsWith(r + "/"))'
    return {
        "matchConstraints": _of_pods(["CREATE", "UPDATE"], "pods", "pods/ephemeralcontainers"),
        "variables": [
            {"name": "noted", "expression": note_of(names.REGISTRIES)},
            {"name": "registries", "expression": 'variables.noted.split(",")'},
            {"name": "images", "expression": " + ".join((*lists, volumes))},
        ],
        "validations": [
            {
                "expression": f'variables.noted == "" || variables.images.all(image, {allowed})',
                "messageExpression": f'"image " + variables.images.filter(image, !{allowed}).join(", ") + " is not '
                'from a registry of this tenant: " + variables.registries.join(", ")',
                "message": "an image that is not from a registry of this tenant",
                "reason": "Forbidden",
            }
        ],
    }


def queues() -> dict[str, Any]:
    """Work of Volcano and KAI names its queue itself: its tenant's, or none, in all kinds that name one.

    By spec.queue of Volcano's Jobs and of both systems' PodGroups, which controllers make of the labels of what owns a
    pod, by an annotation or a label of the pod itself (volcano.sh/apis, scheduling/v1beta1/labels.go; KAI-Scheduler,
    pkg/podgrouper). `default` is what Volcano's webhook writes where nothing is named.
    """
    labels, annotations = "object.metadata.?labels", "object.metadata.?annotations"
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("", ["pods"], ["CREATE", "UPDATE"], "Namespaced"),
                rule("batch.volcano.sh", ["jobs"], ["CREATE", "UPDATE"], "Namespaced"),
                rule("scheduling.volcano.sh", ["podgroups"], ["CREATE", "UPDATE"], "Namespaced"),
                rule("scheduling.run.ai", ["podgroups"], ["CREATE", "UPDATE"], "Namespaced"),
            ],
            "namespaceSelector": TENANTS,
        },
        "variables": [
            {"name": "own", "expression": f'namespaceObject.metadata.labels["{names.TENANT}"]'},
            {
                "name": "named",
                "expression": f'[{labels}[?"kai.scheduler/queue"].orValue(""), '
                f'{annotations}[?"scheduling.volcano.sh/queue-name"].orValue(""), '
                'request.kind.kind == "Pod" ? "" : string(object.spec.?queue.orValue(""))]',
            },
        ],
        "validations": [
            {
                "expression": 'variables.named.all(queue, queue in ["", "default", variables.own])',
                "messageExpression": '"queue " + variables.named.filter(queue, queue != "").join(", ") + " is not this '
                'tenant\'s; name " + variables.own + ", or none"',
                "message": "a queue that is not this tenant's",
                "reason": "Forbidden",
            }
        ],
    }
