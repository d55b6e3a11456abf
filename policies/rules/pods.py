"""What pods run and what they may reach, wherever they are and whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.policies.images import is_placeholder, why_not_pinned
from espalier.policies.pod_specs import HOST_NAMESPACES, containers, pod_specs
from espalier.policies.resources import describe, index_of
from espalier.policies.values import at, is_hidden, listing, mapping, texts
from espalier.types import Finding, Registered, Rule

# Pod Security Standards, baseline: what a container may add to the runtime's default set.
_BASELINE_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)


def pinned_images(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Every container's image is named by digest or by a full version."""
    for resource in index_of(resources):
        found = pod_specs(resource)
        unclear, wrong = list(found.unclear), list[str]()
        for spec in found.specs:
            for name, container in containers(spec):
                image = None if container is None else container.get("image")
                if not isinstance(image, str) or is_placeholder(image):
                    unclear.append(f"container {name}: its image is not known")
                elif reason := why_not_pinned(image):
                    wrong.append(f"container {name}: image {image}: {reason}")
        if unclear:
            yield f"{describe(resource)}: {'; '.join(unclear)}"
        if wrong:
            advice = "name a digest or a full version"
            yield Finding(resource.urn, f"{describe(resource)}: {'; '.join(wrong)}; {advice}")


def no_privileged_pods(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """No pod outside the platform's privileged namespaces is privileged or reaches the host."""
    allowed = frozenset(texts(mapping(facts).get("privileged_namespaces")))
    for resource in index_of(resources):
        namespace = at(resource.props, "metadata", "namespace")
        if isinstance(namespace, str) and namespace in allowed:
            continue
        found = pod_specs(resource)
        unclear, wrong = list(found.unclear), list[str]()
        for spec in found.specs:
            _judge_spec(spec, wrong, unclear)
        if wrong and is_hidden(namespace) and allowed:
            unclear += [f"{breach}, and its namespace is not known" for breach in wrong]
            wrong = []
        if unclear:
            yield f"{describe(resource)}: {'; '.join(unclear)}"
        if wrong:
            advice = "run it without, or in a namespace of a vetted add-on"
            yield Finding(resource.urn, f"{describe(resource)}: {'; '.join(wrong)}; {advice}")


def _judge_spec(spec: Mapping[str, Any], wrong: list[str], unclear: list[str]) -> None:
    for key in HOST_NAMESPACES:
        _judge_flag(spec.get(key), key, wrong, unclear)
    volumes = spec.get("volumes")
    if any(is_hidden(part) for part in (volumes, *listing(volumes))):
        unclear.append("its volumes are not known")
    for volume in listing(volumes):
        if (host := mapping(volume).get("hostPath")) is not None:
            path = mapping(host).get("path")
            wrong.append(f"hostPath {path}" if isinstance(path, str) else "hostPath")
    for name, container in containers(spec):
        if container is None:
            unclear.append(f"container {name} is not known")
        else:
            _judge_container(name, container, wrong, unclear)


def _judge_container(name: str, container: Mapping[str, Any], wrong: list[str], unclear: list[str]) -> None:
    context = container.get("securityContext")
    _judge_flag(at(context, "privileged"), f"container {name}: privileged", wrong, unclear)
    added = at(context, "capabilities", "add")
    if any(is_hidden(part) for part in (added, *listing(added))):
        unclear.append(f"container {name}: the capabilities that it adds are not known")
    names = {capability.upper().removeprefix("CAP_") for capability in texts(added)}
    if beyond := sorted(names - _BASELINE_CAPABILITIES):
        wrong.append(f"container {name}: adds {', '.join(beyond)}")


def _judge_flag(value: Any, what: str, wrong: list[str], unclear: list[str]) -> None:
    if is_hidden(value):
        unclear.append(f"{what} is not known")
    elif value is True:
        wrong.append(what)


RULES = (
    Rule(
        "pinned-images",
        "mandatory",
        "Every container's image is named by digest or by a full version.",
        pinned_images,
        fix="Name the image by digest (name@sha256:...) or by a full version (name:1.2.3).",
        scope="resource",
    ),
    Rule(
        "no-privileged-pods",
        "mandatory",
        "No pod is privileged or reaches the host, outside the namespaces of the add-ons that must.",
        no_privileged_pods,
        fix="Drop privileged, hostPath, the host's namespaces, and capabilities beyond the baseline level.",
        scope="resource",
    ),
)
