"""What to do about what the API server refuses: the common reasons, in its own order of checks.

Sources: apimachinery `api/errors`, apiserver `pkg/admission` (quota, lifecycle, validating policies),
kubernetes `plugin/pkg/admission` (limit ranges, service accounts, priorities), pod-security-admission and
structured-merge-diff (fields that a schema does not have), Kubernetes 1.36.
"""

from __future__ import annotations

from espalier.kube import ApiError, KubeconfigError, KubeError, UnknownKindError, UnreachableError

_BY_WORDS = (
    ("field not declared in schema", "take the field out, or correct its name"),
    ("unknown field", "take the field out, or correct its name"),
    ("exceeded quota", "ask for less, or raise the quota that the message names"),
    ("failed quota", "give the requests and limits that the message names: its namespace has a quota for them"),
    ("violates PodSecurity", "change the pod to what its namespace's Pod Security level takes, or change the level"),
    ("usage per", "stay within the LimitRange of its namespace, or have that changed"),
    ("request ratio per", "stay within the LimitRange of its namespace, or have that changed"),
    ("error looking up service account", "register the ServiceAccount before it (`depends_on`), or correct the name"),
    ("no PriorityClass with name", "register the PriorityClass before it (`depends_on`), or correct the name"),
    ("denied request", "change the object to what the admission policy or webhook asks"),
    ("denied the request", "change the object to what the admission policy or webhook asks"),
    ("failed calling webhook", "mend the webhook that the message names, or remove its configuration"),
    ("is being terminated", "wait until the namespace is gone, then run again"),
    ("may not be more than", "split the object: an object holds about 1 MiB at most"),
    ("too large", "split the object: an object holds about 1 MiB at most"),
    ("metadata.name", "correct the name"),
)
_NO_RIGHT = ("cannot", "attempting to grant")
"""How a refusal for want of a right is told; any other 403 is what an admission plugin says of the object."""
_BY_STATUS = {
    401: "renew the credential in the kubeconfig: it is unknown there, or has expired",
    403: "have the right granted to the user, or use another one",
    413: "split the object: an object holds about 1 MiB at most",
    422: "correct the fields that the message names",
    400: "correct what the message names",
}


def what_to_do(error: KubeError) -> str:
    """Advice for people; empty where the message says all."""
    if isinstance(error, KubeconfigError):
        return "correct the kubeconfig"
    if isinstance(error, UnreachableError):
        return "see whether the API server runs, whether its address is right, and whether this machine reaches it"
    if isinstance(error, UnknownKindError):
        return "correct apiVersion and kind, or register its CustomResourceDefinition before it (`depends_on`)"
    if not isinstance(error, ApiError):
        return ""
    if error.status == 404 and error.details.get("kind") == "namespaces":
        return "register the namespace, and let the object depend on it; or correct the name"
    by_words = next((do for words, do in _BY_WORDS if words in error.message), "")
    if not by_words and error.status == 403 and not any(words in error.message for words in _NO_RIGHT):
        return "change what the message names: it is the object that is refused, not the user"
    return by_words or _BY_STATUS.get(error.status, "")
