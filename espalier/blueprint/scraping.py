"""What monitors of tenants may not ask of Prometheus, whom every tenant's wall lets in at all ports."""

from __future__ import annotations

from typing import Any, Final

from espalier.blueprint.guard_terms import A_TENANTS, NO_DEPLOYER, TENANTS, rule

_SELECTED: Final = (
    "!object.spec.?namespaceSelector.?any.orValue(false) "
    "&& object.spec.?namespaceSelector.?matchNames.orValue([]).all(name, name == request.namespace)"
)
_FILES: Final = " && ".join(f"!has(e.tlsConfig.{name})" for name in ("caFile", "certFile", "keyFile"))
_PLAIN: Final = (
    "!e.?honorLabels.orValue(false) && !has(e.bearerTokenFile) && !has(e.oauth2) "
    "&& !has(e.proxyUrl) && !has(e.proxyFromEnvironment) "
    f"&& (!has(e.tlsConfig) || ({_FILES}))"
)
"""A file is Prometheus' own, its token among these; a proxy and who gives out tokens are called by Prometheus. Labels
that are honoured say whose metrics they are, and would pass for another's."""
_LABEL: Final = (
    "(e.?relabelings.orValue([]) + e.?metricRelabelings.orValue([]))"
    '.all(r, r.?action.orValue("replace").lowerAscii() != "labelmap" '
    '&& !(r.?targetLabel.orValue("") in ["exported_namespace", "job", "namespace"]) '
    '&& !r.?targetLabel.orValue("").startsWith("__") && !r.?targetLabel.orValue("").contains("$"))'
)
"""Labels that begin with __ say whom Prometheus asks, __address__ first (Prometheus, configuration: relabel_config)."""


def monitors() -> dict[str, Any]:
    """Monitors of a tenant choose pods of their own namespace, as they are found there."""
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("monitoring.coreos.com", ["podmonitors", "servicemonitors"], ["CREATE", "UPDATE"], "Namespaced")
            ],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [A_TENANTS, NO_DEPLOYER],
        "variables": [
            {
                "name": "endpoints",
                "expression": "object.spec.?endpoints.orValue([]) + object.spec.?podMetricsEndpoints.orValue([])",
            }
        ],
        "validations": [
            {
                "expression": _SELECTED,
                "message": "a monitor of a tenant chooses pods of its own namespace: remove spec.namespaceSelector",
                "reason": "Forbidden",
            },
            {
                "expression": f"variables.endpoints.all(e, {_PLAIN} && {_LABEL})",
                "message": "a monitor of a tenant asks what it selects, by Secrets of its own, and says whose it is: "
                "remove proxies, oauth2, files, honorLabels, labelmap, and the target labels job, namespace, "
                "exported_namespace and such that begin with __",
                "reason": "Forbidden",
            },
        ],
    }
