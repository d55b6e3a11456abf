"""What scalers of tenants may not ask of KEDA, whose operator asks Prometheus and other addresses in its own name.

Facts: kedacore/keda v2.20, apis/keda/v1alpha1 (scaledobject, scaledjob, triggerauthentication), pkg/scaling/resolver.
A TriggerAuthentication may have the operator use its own cloud identity, or send its own token to a Vault at any
address; an external scaler or a metrics API is called at the address that its trigger says. Prometheus has the metrics
of all tenants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from espalier.blueprint.guard_terms import NO_DEPLOYER, TENANTS, rule

MONITORING: Final = "monitoring"
"""Where the add-on kube-prometheus-stack has it."""
_TYPES: Final = ("cpu", "cron", "kubernetes-workload", "memory", "prometheus")
"""Triggers that ask nobody, the API server for pods of the namespace itself, or the cluster's Prometheus."""
_OWN: Final = ("configMapTargetRef", "env", "secretTargetRef")
"""What a TriggerAuthentication takes from its namespace alone."""

_LABELS: Final = r"\s*\([a-zA-Z0-9_,\s]*\)"
_MATCHER: Final = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"[^"\\]*"'
_TOKENS: Final = (
    rf"\b[a-zA-Z_:][a-zA-Z0-9_:]*\s*[{{]\s*({_MATCHER}\s*,\s*)*@(\s*,\s*{_MATCHER})*\s*,?\s*[}}]",  # a selector
    rf"\b[a-z_]+\s*\b(by|without)\b{_LABELS}",  # an aggregation
    rf"\b(by|without|on|ignoring|group_left|group_right)\b{_LABELS}",
    r"\b(and|or|unless|bool|offset)\b",
    r"\b[a-z_0-9]+\s*\(",  # a function
    r"\b[0-9][0-9.]*(ms|[smhdwy])?\b",
    r"\[\s*[0-9a-z]+\s*(:\s*[0-9a-z]*\s*)?\]",
    r"[-+*/%^()<>=!,\s]",
)
QUERY: Final = f"^({'|'.join(_TOKENS)})+$"
"""Queries of Prometheus whose every selector has the mark @, put there in place of its namespace. Names that stand
alone are none of these words: a metric of whomever it is. Strings are in selectors only, and end where they seem to."""


def prometheus_of(wanted: Mapping[str, Mapping[str, Any]]) -> str:
    """The namespace of the Prometheus that KEDA asks, by the options of a stack's add-ons."""
    return str(wanted.get("keda", {}).get("prometheus-namespace", MONITORING))


def scalers(prometheus: str) -> dict[str, Any]:
    """Whoever makes them: KServe makes one of what a tenant wrote. `prometheus` is the namespace that Prometheus is in.

    One that is there already may still be changed in what is not its spec, such as by the operator's finalizer.
    """
    marked = 't.metadata.?query.orValue("").replace("exported_" + variables.own, "@").replace(variables.own, "@")'
    address = rf"^https?://[a-z0-9-]+[.]{prometheus}([.]svc([.]cluster[.]local)?)?(:[0-9]+)?(/[a-zA-Z0-9/_-]*)?$"
    asks = (
        f"t.metadata.?serverAddress.orValue(\"\").matches('{address}') "
        '&& !has(t.metadata.queryParameters) && !t.metadata.?query.orValue("").contains("@") '
        f"&& {marked}.matches(r'{QUERY}')"
    )
    own = json.dumps(list(_OWN))
    return {
        "matchConstraints": {
            "resourceRules": [
                rule(
                    "keda.sh",
                    ["scaledjobs", "scaledobjects", "triggerauthentications"],
                    ["CREATE", "UPDATE"],
                    "Namespaced",
                )
            ],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [
            {
                "name": "changes-what-is-asked",
                "expression": "oldObject == null || object.?spec != oldObject.?spec",
            },
            NO_DEPLOYER,
        ],
        "variables": [
            {"name": "own", "expression": "'namespace=\"' + request.namespace + '\"'"},
            {"name": "triggers", "expression": "object.spec.?triggers.orValue([])"},
        ],
        "validations": [
            {
                "expression": f"variables.triggers.all(t, t.type in {json.dumps(list(_TYPES))} "
                '&& t.?authenticationRef.?kind.orValue("TriggerAuthentication") == "TriggerAuthentication")',
                "message": "KEDA would ask others in its own name: triggers are of type "
                f"{', '.join(_TYPES[:-1])} or {_TYPES[-1]}, and no ClusterTriggerAuthentication's",
                "reason": "Forbidden",
            },
            {
                "expression": f'variables.triggers.all(t, t.type != "prometheus" || ({asks}))',
                "messageExpression": '"a trigger asks Prometheus in namespace '
                f"{prometheus} for what is this namespace's: each selector of its query has \" + variables.own",
                "message": "a trigger that asks for what is not this namespace's",
                "reason": "Forbidden",
            },
            {
                "expression": f'request.kind.kind != "TriggerAuthentication" || object.spec.all(key, key in {own})',
                "message": f"a TriggerAuthentication of a tenant has {', '.join(_OWN)} alone: by others KEDA would use "
                "an identity of its own, or send its token",
                "reason": "Forbidden",
            },
        ],
    }
