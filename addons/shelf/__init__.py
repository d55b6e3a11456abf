"""The catalogue tier: add-ons that are a chart and few words, by topic."""

from espalier.addons.shelf.data import RECORDS as DATA
from espalier.addons.shelf.jobs import RECORDS as JOBS
from espalier.addons.shelf.policy import RECORDS as POLICY
from espalier.addons.shelf.serving import RECORDS as SERVING
from espalier.addons.shelf.velero import RECORDS as VELERO

SHELF = (*DATA, *JOBS, *POLICY, *SERVING, *VELERO)

__all__ = ["SHELF"]
