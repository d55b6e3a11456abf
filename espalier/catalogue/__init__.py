"""Accelerators, machines and list prices as data, each row with its source and day."""

from espalier.catalogue.load import Catalogue, accelerators, catalogue
from espalier.catalogue.model import CLOUDS, Accelerator, Cloud, ListPrice, Machine, MigProfile, Origin

__all__ = [
    "CLOUDS",
    "Accelerator",
    "Catalogue",
    "Cloud",
    "ListPrice",
    "Machine",
    "MigProfile",
    "Origin",
    "accelerators",
    "catalogue",
]
