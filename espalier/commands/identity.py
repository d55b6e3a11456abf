"""`identity`: how a stack's API server names people, and the file that tells one's own whom to trust."""

from __future__ import annotations

from pathlib import Path

import yaml

from espalier.blueprint.clouds import cloud_of
from espalier.blueprint.identity import authentication_configuration, identity_mistakes, naming_of
from espalier.report.documents import IdentityDocument, header
from espalier.settings import find_stack, load_file
from espalier.settings.clusters import Existing
from espalier.types import Mistakes


def identity(stack: str) -> IdentityDocument:
    """Raises Mistakes with all that is wrong with the stack file, and with its identity provider on its cluster."""
    file = load_file(find_stack(stack, Path.cwd()))
    settings = file.settings
    if mistakes := identity_mistakes(settings):
        raise Mistakes(file.located(mistakes))
    naming, cloud = naming_of(settings), cloud_of(settings.cluster)
    own = settings.identity is not None and isinstance(settings.cluster, Existing)
    return {
        **header("identity"),
        "stack": file.name,
        "cluster": cloud.kind if cloud else settings.cluster.kind,
        "issuer": settings.identity.issuer if settings.identity else None,
        "prefixes": {"people": naming.people, "groups": naming.groups},
        "configuration": authentication_configuration(settings) if own else None,
    }


def lines(document: IdentityDocument) -> list[str]:
    """The file where there is one, its explanation in comments; else how people are named."""
    prefixes, configuration = document["prefixes"], document["configuration"]
    told = [f"{kind.capitalize()} are bound as {prefix}<name>." for kind, prefix in prefixes.items()]
    if configuration is None:
        who = f"The issuer is {document['issuer']}." if document["issuer"] else "No issuer is named."
        return [who, *told, "No file is needed: the cluster is told by `up`, or by its cloud."]
    head = ["For kube-apiserver --authentication-config, beside which no --oidc flag may stand.", *told]
    return [*(f"# {line}" for line in head), *yaml.safe_dump(configuration, sort_keys=False).splitlines()]
