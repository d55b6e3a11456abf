"""Profiles: sets of add-ons by one word, which solve, and which the plan tells apart from what the stack names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.blueprint.build import addons_of, build
from espalier.blueprint.bundles import BUNDLES
from espalier.cli import main
from espalier.settings import validate
from espalier.types import Mistakes

ROOT = Path(__file__).parents[2]
SYSTEM = {"name": "system", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"min": 1, "max": 3}}


def block(profile: str, **more: Any) -> dict[str, Any]:
    return {"cluster": {"kind": "simulated"}, "pools": [SYSTEM], "profile": profile, **more}


@pytest.mark.parametrize("profile", BUNDLES)
def test_every_member_is_an_add_on_that_goes_on(profile: str) -> None:
    assert [id for id in BUNDLES[profile] if id not in RECORDS or RECORDS[id].state == "retired"] == []


@pytest.mark.parametrize("profile", BUNDLES)
def test_a_profile_solves_by_itself(profile: str) -> None:
    made = build(validate(block(profile), where="espalier"), RECORDS)
    assert {addon.id for addon in made.addons} >= set(BUNDLES[profile])


def test_full_holds_all_of_the_others() -> None:
    rest = {id for profile, ids in BUNDLES.items() if profile != "full" for id in ids}
    assert rest <= set(BUNDLES["full"])


def test_what_the_stack_says_of_a_member_holds() -> None:
    settings = validate(block("starter", addons={"cert-manager": {"existing": "1.17.2"}}), where="espalier")
    assert addons_of(settings, RECORDS)["cert-manager"] == {"existing": "1.17.2"}
    (addon,) = [one for one in build(settings, RECORDS).addons if one.id == "cert-manager"]
    assert addon.content == "existing"


def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(Mistakes) as refused:
        validate(block("everything"), where="espalier")
    (mistake,) = refused.value.mistakes
    assert mistake.path == "espalier.profile"
    assert "starter" in mistake.accepted


def test_the_plan_tells_what_a_profile_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    config = {f"espalier:{key}": value for key, value in block("starter", addons={"jobset": {}}).items()}
    (tmp_path / "stacks" / "Pulumi.one.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["plan", "one", "--json"])
    rows = {row["id"]: row["profile"] for row in json.loads(capsys.readouterr().out)["addons"]}
    assert (rows["jobset"], rows["kubeflow-trainer"]) == ("", "starter")
