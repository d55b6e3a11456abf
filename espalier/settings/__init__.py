"""The shape of a stack file, and the one loader of it: for `pulumi up`, for the command, for foreign programs."""

from espalier.settings.files import find_stack
from espalier.settings.load import StackFile, from_pulumi, load_file, validate
from espalier.settings.model import Settings
from espalier.settings.schema import stack_schema

__all__ = ["Settings", "StackFile", "find_stack", "from_pulumi", "load_file", "stack_schema", "validate"]
