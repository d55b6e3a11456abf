"""What `backup` and `restore` are about: the data of a stack's add-ons, with the commands that are for each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from espalier.blueprint.build import addons_of
from espalier.blueprint.keeping import kept
from espalier.commands.kubectl import Kubectl
from espalier.commands.project import Project
from espalier.commands.target import simulated_name
from espalier.failures import Missing
from espalier.types import Data, InPod, Mistake, Mistakes


@dataclass(frozen=True, slots=True)
class Kept:
    """Data of an add-on of the stack; `ours` says that they are in the cluster, and not where their owner put them."""

    addon: str
    version: str
    data: Data
    ours: bool
    image: str = ""
    """What the stack has its container run; "" where that is not known, or there is none."""

    @property
    def by(self) -> InPod | None:
        """The commands that save it and bring it back, where a pod has it."""
        return self.data.by if self.ours and isinstance(self.data.by, InPod) else None

    @property
    def file(self) -> str:
        """What it is called in a backup; "" where no command saves it."""
        return f"{self.addon}/{self.by.file}" if self.by else ""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.addon}, {self.data.what}"


def kept_data(project: Project, named: Sequence[str]) -> list[Kept]:
    """The data of the add-ons that are named, or of all. Raises Mistakes for names, Missing for a simulated cluster."""
    if simulated_name(project) is not None:
        what = f"{project.stack.name} is on a simulated cluster, which runs no containers: add-ons keep no data there"
        raise Missing(what, "Name a stack that is on a cluster of its own.")
    blueprint, records = project.blueprint, project.records
    versions = {addon.id: addon.version for addon in blueprint.addons}
    found = [
        Kept(id, versions.get(id, ""), data, ours, _image(project, id, data))
        for id, data, ours in kept(addons_of(blueprint.settings, records), records)
    ]
    _all_known(found, versions, named)
    return [one for one in found if not named or one.addon in named]


def _all_known(found: Sequence[Kept], there: Collection[str], named: Sequence[str]) -> None:
    able = sorted({one.addon for one in found})
    wrong: list[Mistake] = []
    for name in dict.fromkeys(named):
        if name in able:
            continue
        near = get_close_matches(name, able, n=1)
        do = f"Did you mean {near[0]}?" if near else "Leave it out: without names all of them are meant."
        got = f"{name}, which keeps no data" if name in there else f"{name}, which the stack has not"
        wrong.append(Mistake("ADD-ON", got, ", ".join(able) or "none: no add-on of the stack keeps data", do))
    if wrong:
        raise Mistakes(wrong)


def _image(project: Project, id: str, data: Data) -> str:
    """The image that the stack has the container run."""
    if not isinstance(data.by, InPod):
        return ""
    for addon in project.blueprint.addons:
        for one in addon.manifests if addon.id == id else ():
            if (one["kind"], one["metadata"]["name"]) == ("Deployment", data.by.workload):
                containers = one["spec"]["template"]["spec"]["containers"]
                return next((str(each["image"]) for each in containers if each["name"] == data.by.container), "")
    return ""


def running(kubectl: Kubectl, kept: Kept, by: InPod) -> str:
    """The image that its container runs in the cluster. Raises KubectlError where there is no such Deployment."""
    path = f'{{.spec.template.spec.containers[?(@.name=="{by.container}")].image}}'
    asked = ("get", f"deploy/{by.workload}", "-o", f"jsonpath={path}", "--request-timeout=30s")
    return kubectl.ask("-n", kept.data.namespace, *asked)
