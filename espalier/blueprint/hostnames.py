"""Host names: a tenant serves by those of its own domains alone, and its own pods, whatever its roles let it make."""

from __future__ import annotations

from typing import Any, Final

from espalier.blueprint import names
from espalier.blueprint.guard_terms import A_TENANTS, NO_DEPLOYER, TENANTS, note_of, rule

_KINDS: Final = (
    ("", ("services",)),
    ("cert-manager.io", ("certificates",)),
    ("getambassador.io", ("hosts", "mappings", "tcpmappings")),
    ("gateway.networking.k8s.io", ("grpcroutes", "httproutes", "tcproutes", "tlsroutes", "udproutes")),
    ("networking.istio.io", ("virtualservices",)),
    ("networking.k8s.io", ("ingresses",)),
    ("serving.knative.dev", ("domainmappings",)),
)
"""Kinds by which a namespace serves outside itself. Routes of TCP and UDP know no host names: they would take a port of
all tenants' gateway. external-dns gives names to Services by an annotation, the
cluster's issuers certify any."""
_NAMELESS: Final = 'request.kind.kind in ["Certificate", "Service"]'
_ANNOTATED: Final = 'object.metadata.?annotations[?"external-dns.alpha.kubernetes.io/{}"].orValue("")'
_HOSTS: Final = (
    'request.kind.kind == "Ingress" ? object.spec.?rules.orValue([]).map(r, r.?host.orValue("")) '
    ': request.kind.kind == "VirtualService" ? object.spec.?hosts.orValue([]) '
    ': request.kind.kind == "Service" ? [] '
    ': request.kind.kind == "Certificate" ? (object.spec.?issuerRef.?kind.orValue("") != "ClusterIssuer" ? [] '
    ": object.spec.?dnsNames.orValue([]) + (has(object.spec.commonName) ? [object.spec.commonName] : [])) "
    ': request.kind.kind == "DomainMapping" ? [object.metadata.name] '
    ': request.kind.group == "getambassador.io" ? [object.spec.?hostname.orValue(object.spec.?host.orValue(""))] '
    ": object.spec.?hostnames.orValue([])"
)
_EMISSARYS: Final = (
    'request.kind.group != "getambassador.io" || request.kind.kind == "Host" '
    "|| (object.spec.?host_regex.orValue(false) != true && (variables.service.size() < 2 "
    "|| variables.service[1] == request.namespace))"
)
"""A Mapping of Emissary leads to a Service of the namespace, under a host name that is no expression."""
_HTTP: Final = "object.spec.?http.orValue([])"
_HERE: Final = (
    '{0}.?destination.?host.orValue(has({0}.host) ? {0}.host : "").split(".").size() < 2 '
    '|| {0}.?destination.?host.orValue(has({0}.host) ? {0}.host : "").split(".")[1] == request.namespace'
)
"""A Service of the namespace, by its short name or by <service>.<namespace>..."""
_LEADS_HOME: Final = (
    'request.kind.kind == "VirtualService" '
    f"? ({_HTTP} + object.spec.?tcp.orValue([]) + object.spec.?tls.orValue([])).all(r, "
    f"r.?route.orValue([]).all(d, {_HERE.format('d')})) "
    f"&& {_HTTP}.all(r, !has(r.delegate) && (!has(r.mirror) || [r.mirror].all(d, {_HERE.format('d')})) "
    f"&& r.?mirrors.orValue([]).all(d, {_HERE.format('d')})) "
    ': !request.kind.kind.endsWith("Route") || object.spec.?rules.orValue([]).all(r, '
    'r.?backendRefs.orValue([]).all(b, b.?group.orValue("") != "networking.istio.io") '
    "&& r.?filters.orValue([]).all(f, "
    'f.?requestMirror.?backendRef.?group.orValue("") != "networking.istio.io"))'
)
"""A gateway is let in by every tenant's wall: whoever names another's Service would reach it through that. Between
namespaces the Gateway API asks for a ReferenceGrant, but not for Istio's own kind Hostname (istio, its conversion)."""
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
                "name": "annotated",
                "expression": f'({_ANNOTATED.format("hostname")} + "," + {_ANNOTATED.format("internal-hostname")})'
                '.split(",").map(host, host.trim()).filter(host, host != "")',
            },
            {
                "name": "url",
                "expression": 'request.kind.group != "getambassador.io" ? "" : object.spec.?service.orValue("")',
            },
            {
                "name": "service",
                "expression": 'variables.url.split("://")[variables.url.contains("://") ? 1 : 0].split("/")[0]'
                '.split(":")[0].split(".")',
            },
            {
                "name": "certified",
                "expression": 'request.kind.kind == "Ingress" ? object.spec.?tls.orValue([]) : []',
            },
        ],
        "validations": [
            {
                "expression": f"({_NAMELESS} || variables.hosts.size() > 0) && variables.hosts.all(host, {_OWN}) "
                f"&& variables.annotated.all(host, {_OWN}) "
                f"&& variables.certified.all(t, t.?hosts.orValue([]).all(host, {_OWN})) "
                '&& (request.kind.kind != "Ingress" || !has(object.spec.defaultBackend))',
                "messageExpression": 'variables.noted == "" ? "this tenant has no domain to serve by: ask who runs the '
                'platform for `exposure`, it is in the stack file" : "name hosts of the tenant\'s own domains alone, '
                'and no default backend: " + variables.domains.join(", ")',
                "message": "a host name that is not this tenant's",
                "reason": "Forbidden",
            },
            {
                "expression": f"({_EMISSARYS}) && ({_LEADS_HOME})",
                "message": "a gateway would lead to what is not the tenant's: name Services of this namespace alone",
                "reason": "Forbidden",
            },
        ],
    }
