"""Host names: a tenant serves by those of its own domains alone, whatever its roles let it make."""

from __future__ import annotations

from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.guard_terms import A_TENANTS, NO_DEPLOYER, TENANTS, note_of, rule

_KINDS: Final = (
    ("gateway.networking.k8s.io", ("grpcroutes", "httproutes", "tcproutes", "tlsroutes", "udproutes")),
    ("networking.istio.io", ("virtualservices",)),
    ("networking.k8s.io", ("ingresses",)),
)
"""Kinds by which a namespace serves outside itself. Routes of TCP and UDP know no host names: they would take a port of
all tenants' gateway."""
_HOSTS: Final = (
    'request.kind.kind == "Ingress" ? object.spec.?rules.orValue([]).map(r, r.?host.orValue("")) '
    ': request.kind.kind == "VirtualService" ? object.spec.?hosts.orValue([]) : object.spec.?hostnames.orValue([])'
)
_OWN: Final = 'variables.domains.exists(d, host == d || host.endsWith("." + d))'


def host_names() -> dict[str, Any]:
    """Refuses people and the namespace's own service accounts: controllers write what the platform lets them."""
    return {
        "matchConstraints": {
            "resourceRules": [rule(group, kinds, ["CREATE", "UPDATE"], "Namespaced") for group, kinds in _KINDS],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [A_TENANTS, NO_DEPLOYER],
        "variables": [
            {"name": "noted", "expression": note_of(names.DOMAINS)},
            {"name": "domains", "expression": 'variables.noted == "" ? [] : variables.noted.split(",")'},
            {"name": "hosts", "expression": _HOSTS},
            {
                "name": "certified",
                "expression": 'request.kind.kind == "Ingress" ? object.spec.?tls.orValue([]) : []',
            },
        ],
        "validations": [
            {
                "expression": f"variables.hosts.size() > 0 && variables.hosts.all(host, {_OWN}) "
                f"&& variables.certified.all(t, t.?hosts.orValue([]).all(host, {_OWN})) "
                '&& (request.kind.kind != "Ingress" || !has(object.spec.defaultBackend))',
                "messageExpression": 'variables.noted == "" ? "this tenant has no domain to serve by: ask who runs the '
                'platform for `exposure`, it is in the stack file" : "name hosts of the tenant\'s own domains alone, '
                'and no default backend: " + variables.domains.join(", ")',
                "message": "a host name that is not this tenant's",
                "reason": "Forbidden",
            }
        ],
    }
