"""Asks a live cluster whether it is what the blueprint says; each answer quotes the API server."""

from espalier.verify.model import Outcome, Skipped, Verification, VerifyError
from espalier.verify.noop import noop_check
from espalier.verify.run import is_simulated, verify

__all__ = ["Outcome", "Skipped", "Verification", "VerifyError", "is_simulated", "noop_check", "verify"]
