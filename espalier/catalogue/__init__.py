"""Accelerators, machines and list prices as data, each row with its source and day."""

from espalier.catalogue.load import Catalogue, accelerators, catalogue
from espalier.catalogue.model import CLOUDS, Accelerator, Busbw, Cloud, MigProfile, Origin

__all__ = ["CLOUDS", "Accelerator", "Busbw", "Catalogue", "Cloud", "MigProfile", "Origin", "accelerators", "catalogue"]
