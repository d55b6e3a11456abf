"""`python -m espalier.settings`, in the checkout: write what is made from the models."""

from pathlib import Path

from espalier.settings.docs import stack_file_page
from espalier.settings.schema import schema_text

Path("stacks/schema.json").write_text(schema_text(), encoding="utf-8")
Path("docs/stack-file.md").write_text(stack_file_page(), encoding="utf-8")
