"""Azure's regions, and which of them have availability zones.

Source: MicrosoftDocs/reliability-docs, articles/reliability/regions-list.md (2025-09-23). A region with zones has three
of them, which every subscription numbers 1 to 3 for itself.
The last three without zones are of Azure's price list alone: access to them is restricted.
"""

from __future__ import annotations

ZONES = ("1", "2", "3")
_WITH_ZONES = """
australiaeast austriaeast belgiumcentral brazilsouth canadacentral centralindia centralus chilecentral eastasia eastus
eastus2 francecentral germanywestcentral indonesiacentral israelcentral italynorth japaneast japanwest koreacentral
malaysiawest mexicocentral newzealandnorth northeurope norwayeast polandcentral qatarcentral southafricanorth
southcentralus southeastasia spaincentral swedencentral switzerlandnorth uaenorth uksouth westeurope westus2 westus3
"""
_WITHOUT_ZONES = """
australiacentral australiacentral2 australiasoutheast brazilsoutheast canadaeast francesouth germanynorth koreasouth
northcentralus norwaywest southafricawest southindia switzerlandwest uaecentral ukwest westcentralus westindia westus
jioindiacentral jioindiawest swedensouth
"""
_REGIONS: dict[str, tuple[str, ...]] = {
    **{str(name): ZONES for name in _WITH_ZONES.split()},
    **{str(name): () for name in _WITHOUT_ZONES.split()},
}


def zones(region: str) -> tuple[str, ...] | None:
    """Zones of a region, () for a region that has none, None for one that is not in the table."""
    return _REGIONS.get(region)


def regions() -> tuple[str, ...]:
    """All regions that are known."""
    return tuple(sorted(_REGIONS))
