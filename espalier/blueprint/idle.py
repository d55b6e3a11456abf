"""What tenants say of idle devices: annotations of their namespaces, which `warden` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from espalier.blueprint.gates import WARDEN
from espalier.settings.model import Settings
from espalier.settings.tenants import Tenant
from espalier.types import Mistake

AFTER: Final = "espalier.dev/idle-after"
ACTION: Final = "espalier.dev/idle-action"
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}


def idle_notes(tenant: Tenant) -> dict[str, str]:
    """The annotations of the tenant's namespaces; none where it says nothing."""
    if tenant.idle is None:
        return {}
    seconds = int(tenant.idle.after[:-1]) * _SECONDS[tenant.idle.after[-1]]
    return {ACTION: tenant.idle.action, AFTER: str(seconds)}


def idle_mistakes(settings: Settings) -> Iterator[Mistake]:
    """What tenants say of idle devices where nobody would look, or nobody may stop anything."""
    watch: Any = settings.addons.get(WARDEN, {}).get("idle")
    for index, tenant in enumerate(settings.tenants):
        path = f"espalier:tenants[{index}].idle"
        if tenant.idle is None:
            continue
        if not isinstance(watch, Mapping):
            got = f"{tenant.idle.after} with nobody to look"
            accepted = f"a time where {WARDEN} is told where metrics are"
            do = f"Add `{WARDEN}: {{idle: {{prometheus: http://...}}}}` to espalier:addons, or remove `idle`."
            yield Mistake(path, got, accepted, do)
        elif tenant.idle.action == "stop" and watch.get("action", "report") != "stop":
            accepted = f"report, unless {WARDEN} may stop"
            do = f"Set espalier:addons.{WARDEN}.idle.action: stop, which gives it the rights; or report here."
            yield Mistake(f"{path}.action", "stop", accepted, do)
