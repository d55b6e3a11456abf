"""Add-ons as data: one module each, no Pulumi in any of them."""

from espalier.addons.nvidia_device_plugin import RECORD as NVIDIA_DEVICE_PLUGIN
from espalier.types import AddonRecord

RECORDS: dict[str, AddonRecord] = {record.id: record for record in (NVIDIA_DEVICE_PLUGIN,)}
"""All add-ons that a stack file may name, by id."""

__all__ = ["RECORDS"]
