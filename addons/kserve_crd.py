"""KServe's definitions: InferenceServices, graphs of these, and the runtimes that serve them.

Facts: kserve/kserve v0.20.0, config/crd. They are apart from the controller, so that one that goes leaves all that is
served. The chart kserve-crd has the same ones, but asks the cluster who owns one of them (`lookup`), which no render
here does.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from espalier.content import Content, ContentFacts, KustomizeSource
from espalier.types import AddonRecord

NAME: Final = "kserve-crd"
VERSION: Final = "v0.20.0"
NAMESPACE: Final = "kserve"
GROUP: Final = "serving.kserve.io"
_KINDS: Final = (
    "clusterservingruntimes",
    "clusterstoragecontainers",
    "inferencegraphs",
    "inferenceservices",
    "servingruntimes",
    "trainedmodels",
)


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="serving",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kserve/kserve",
    options=Options,
    content=Content(
        source=KustomizeSource(
            f"https://github.com/kserve/kserve/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"kserve-{VERSION.removeprefix('v')}/config/crd",
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        facts=ContentFacts(crds=tuple(f"{kind}.{GROUP}" for kind in _KINDS)),
    ),
    may_exist=True,
)
