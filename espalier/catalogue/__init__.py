"""Accelerators as data, each row with its source in the data file."""

from espalier.catalogue.load import Accelerator, accelerators

__all__ = ["Accelerator", "accelerators"]
