"""docs/policies.md says what the registry says."""

from pathlib import Path

import espalier
from espalier.policies.registry import RULES

DOCS = Path(espalier.__file__).parent.parent / "docs" / "policies.md"


def test_the_table_of_rules_is_the_registry():
    table = DOCS.read_text().split("<!-- rules:")[1].split("<!-- end of rules -->")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")
    ]
    assert [row[:5] for row in rows] == [
        [f"`{rule.name}`", rule.level, rule.scope, rule.description, rule.fix] for rule in RULES
    ]
    assert all(row[5] for row in rows)
