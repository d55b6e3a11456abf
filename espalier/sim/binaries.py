"""The table of binaries that a simulated cluster is made of, and the key of a build of them.

A further binary is a further row: add its main package, ``go get`` its module in ``gomod/`` and mark the
package there as a tool (``go get -tool``), so that go.mod and go.sum pin it.
"""

import hashlib
import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from espalier.sim.paths import GO_MODULE, PACKAGE

_CHARTS = Path(__file__).parents[1] / "charts" / "gomod"


@dataclass(frozen=True)
class Binary:
    """One binary to build.

    ``package`` is its main package, of the project's own module (``./...``) or of one that go.mod pins;
    ``version_of`` maps a Go string variable to the module whose pinned version it must hold (releases set
    these at link time, so a plain build would call itself v0.0.0); ``values`` are further link-time values;
    ``links`` are further names for it, which it tells apart itself.
    """

    name: str
    package: str
    version_of: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, str] = field(default_factory=dict[str, str])
    links: tuple[str, ...] = ()


_KUBERNETES = "k8s.io/kubernetes"
# The one is what a server says that it is, the other what a client calls itself.
_VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")

BINARIES = (
    Binary(
        name="controlplane",
        package="./controlplane",
        version_of={f"{variables}.gitVersion": _KUBERNETES for variables in _VERSIONS},
        values={f"{variables}.gitCommit": "" for variables in _VERSIONS},
        links=("kubectl",),
    ),
    Binary(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
)


@dataclass(frozen=True)
class Edit:
    """A text that a pinned module's source is built with another in place of: ``count`` times in one ``file``.

    It is done in a copy: the module in Go's cache is checked against go.sum, and stays as it is.
    """

    module: str
    file: str
    old: str
    new: str
    count: int


@dataclass(frozen=True)
class GoModule:
    """A Go module of the project with the binaries that are built from it, together and when they are needed.

    ``what`` is for people: what is being built. ``files`` are files of pinned modules, as (module, path), that are put
    beside the binaries; ``edits`` are what must be otherwise than their authors wrote it.
    """

    folder: Path
    binaries: tuple[Binary, ...]
    what: str
    files: tuple[tuple[str, str], ...] = ()
    edits: tuple[Edit, ...] = ()

    @property
    def key(self) -> str:
        """The key of a build of it."""
        further = repr((self.files, self.edits)) if self.files or self.edits else ""
        return build_key(self.binaries, self.folder, further)


SIMULATOR = GoModule(GO_MODULE, BINARIES, "the simulated cluster's binaries")
CHARTS = GoModule(_CHARTS, (Binary(name="render", package="./render"),), "the renderer of charts (Helm, kustomize)")
"""A module of its own: who renders no chart builds none of it, and Helm's Kubernetes is newer than the simulator's."""

_KARPENTER = "sigs.k8s.io/karpenter"
_CRDS = (
    "pkg/apis/crds/autoscaling.x-k8s.io_capacitybuffers.yaml",
    "pkg/apis/crds/karpenter.sh_nodeclaims.yaml",
    "pkg/apis/crds/karpenter.sh_nodeoverlays.yaml",
    "pkg/apis/crds/karpenter.sh_nodepools.yaml",
    "kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml",
)
AUTOSCALER = GoModule(
    PACKAGE / "karpenter",
    (Binary(name="karpenter", package=f"{_KARPENTER}/kwok"),),
    "the autoscaler (Karpenter, over simulated machines)",
    files=tuple((_KARPENTER, path) for path in _CRDS),
    # Karpenter listens on every address and has no option for another; nothing here may listen beyond loopback.
    edits=(Edit(_KARPENTER, "pkg/operator/operator.go", 'fmt.Sprintf(":%d"', 'fmt.Sprintf("127.0.0.1:%d"', 2),),
)
"""Built when a cluster is to have an autoscaler: Karpenter needs a newer Go than the rest, and minutes of its own."""


def pinned_version(module: str, go_module: Path = GO_MODULE) -> str:
    """The version of ``module`` that go.mod requires, such as ``v1.36.3``."""
    text = (go_module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"go.mod does not require {module}")
    return found.group(1)


def required_go(go_module: Path = GO_MODULE) -> tuple[int, ...]:
    """The lowest Go version that go.mod allows, such as (1, 26, 0)."""
    text = (go_module / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"^go (\d+(?:\.\d+)*)", text, re.MULTILINE)
    if found is None:
        raise LookupError("go.mod has no go line")
    return tuple(int(part) for part in found.group(1).split("."))


def link_flags(binary: Binary) -> str:
    """The ``-ldflags`` of ``binary``: no symbol tables, and the versions that a release would carry."""
    values = dict(binary.values)
    for variable, module in binary.version_of.items():
        version = pinned_version(module)
        values[variable] = version
        prefix = variable.removesuffix("gitVersion")
        if prefix != variable:
            values[f"{prefix}gitMajor"], values[f"{prefix}gitMinor"] = version.lstrip("v").split(".")[:2]
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in sorted(values.items()))])


def build_key(binaries: tuple[Binary, ...] = BINARIES, go_module: Path = GO_MODULE, further: str = "") -> str:
    """A checksum of all that decides what the binaries do: the module's files, the table, the platform.

    The Go release is left out on purpose: a shell with and one without the virtualenv active find different
    ones, and either's binaries serve.
    """
    digest = hashlib.sha256()
    for path in sorted(go_module.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(go_module).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    digest.update(repr(binaries).encode())
    digest.update(f"{sys.platform} {platform.machine()}{further}".encode())
    return digest.hexdigest()[:20]
