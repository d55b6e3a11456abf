"""The pure core: settings in, everything decided out."""

from espalier.blueprint.build import Blueprint, build

__all__ = ["Blueprint", "build"]
