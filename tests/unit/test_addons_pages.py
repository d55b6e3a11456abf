"""docs/addon-records.md says what the records say."""

from espalier.addons import RECORDS
from espalier.addons.pages import PAGE, page


def test_the_page_is_what_the_records_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m espalier.addons.pages`"


def test_each_add_on_has_its_section_with_its_options() -> None:
    text = page()
    for record in RECORDS.values():
        assert (f"\n### {record.id}\n" in text) == (record.state != "retired")
    assert "| `database.host` | to be given | its name or address |" in text
    assert "| `models[].pool` | to be given | the pool whose devices it takes |" in text
