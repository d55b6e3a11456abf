"""A resource's inputs before its cloud's description: the verdict of `tests.clouds.shapes`, and of botocore itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.loaders
import botocore.model
import botocore.validate

from tests.clouds import aws, azure, gcp
from tests.clouds.translate import Row, Wrong, check, filled, request_of

RESOURCES: Mapping[str, tuple[Row, ...]] = {**aws.RESOURCES, **gcp.RESOURCES, **azure.RESOURCES}
NO_API = {**aws.NO_API, **gcp.NO_API, **azure.NO_API}


def wrong_of(type_: str, inputs: Mapping[str, Any]) -> Iterator[Wrong]:
    """What a resource's calls are refused for. Raises KeyError for a type that no table has."""
    for row in RESOURCES[type_]:
        if row.takes is not None and not row.takes & inputs.keys():
            continue
        request, wrong = request_of(inputs, row)
        yield from wrong
        yield from check(request, row.shape, row)
        if row.call:
            yield from _by_botocore(*row.call, filled(request, row.shape))


def _by_botocore(service: str, operation: str, request: Mapping[str, Any]) -> Iterator[Wrong]:
    """botocore's own verdict, as every call of an AWS client gets it."""
    shape = _service_model(service).operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(request, shape)
    if report.has_errors():
        yield Wrong(f"{service}.{operation}", report.generate_report())


@cache
def _service_model(service: str) -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"))
