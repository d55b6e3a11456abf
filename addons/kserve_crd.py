"""KServe's definitions: InferenceServices, graphs of these, and the runtimes that serve them.

Facts: kserve/kserve v0.20.0, charts/kserve-crd. They are a chart of their own, so that a controller that goes leaves
all that is served. The chart has no values for them.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from espalier.content import ChartSource, Content, ContentFacts
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
        source=ChartSource(NAME, VERSION, "oci://ghcr.io/kserve/charts"),
        namespace=NAMESPACE,
        create_namespace=False,
        facts=ContentFacts(crds=tuple(f"{kind}.{GROUP}" for kind in _KINDS)),
    ),
    may_exist=True,
)
