"""Kueue's admission, as far as quotas go, over the very objects that will be applied.

After Kueue v0.19.2's own: a queue may use its nominal quota and borrow up to its limit what the cohort and the other
queues leave (pkg/cache/scheduler, resource_node.go); a job takes the first flavour that has room, else the first where
room can be made (flavorassigner.go); a queue within its nominal quota takes back what others borrowed (reclaim).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from espalier.blueprint.queues.kueue import ALL, counted
from espalier.blueprint.queues.model import Shared
from espalier.blueprint.queues.proofs import amounts_of
from espalier.types import Planned

Key = tuple[str, str]


@dataclass
class Job:
    tenant: str
    needs: Mapping[Key, int]


@dataclass
class Model:
    """Admitted jobs over queues; `capacity` is the cohort's own."""

    shared: Shared
    queues: Mapping[str, Mapping[Key, Mapping[str, str]]]
    capacity: Mapping[Key, Mapping[str, str]]
    jobs: list[Job] = field(default_factory=list[Job])

    @classmethod
    def of(cls, shared: Shared, objects: Sequence[Planned]) -> Model:
        named = {(p.manifest["kind"], p.manifest["metadata"]["name"]): p.manifest for p in objects}
        queues = {name: amounts_of(manifest) for (kind, name), manifest in named.items() if kind == "ClusterQueue"}
        cohort = next((amounts_of(manifest) for (kind, _), manifest in named.items() if kind == "Cohort"), {})
        return cls(shared, queues, cohort)

    def used(self, tenant: str, key: Key) -> int:
        return sum(job.needs.get(key, 0) for job in self.jobs if job.tenant == tenant)

    def used_by_all(self, key: Key) -> int:
        return sum(job.needs.get(key, 0) for job in self.jobs)

    def admit(self, tenant: str, device: str, count: int) -> Job | None:
        """The job that is admitted, after others gave back what they borrowed where it has a right to it."""
        ways = self._ways(device, count)
        for needs in ways:
            if all(self._fits(tenant, key, more) for key, more in needs.items()):
                return self._run(tenant, needs)
        for needs in ways:
            if all(self._is_own(tenant, key, more) for key, more in needs.items()) and self._take_back(tenant, needs):
                return self._run(tenant, needs)
        return None

    def _ways(self, device: str, count: int) -> list[Mapping[Key, int]]:
        counters = counted(self.shared)
        whole = {(ALL, counters[device]): count} if device in counters else {}
        return [{(flavour.name, device): count, **whole} for flavour in self.shared.holding(device)]

    def _amount(self, tenant: str, key: Key) -> Mapping[str, str]:
        """A queue may use and borrow nothing of a flavour that it does not have."""
        return self.queues[tenant].get(key, {"nominalQuota": "0"})

    def _run(self, tenant: str, needs: Mapping[Key, int]) -> Job:
        self.jobs.append(Job(tenant, needs))
        return self.jobs[-1]

    def _own(self, tenant: str, key: Key) -> int:
        return int(self._amount(tenant, key)["nominalQuota"])

    def _is_own(self, tenant: str, key: Key, more: int) -> bool:
        return self.used(tenant, key) + more <= self._own(tenant, key)

    def _kept(self, tenant: str, key: Key) -> int:
        """What it does not lend."""
        amount = self._amount(tenant, key)
        if not self.capacity:
            return self._own(tenant, key)
        return self._own(tenant, key) - int(amount.get("lendingLimit", amount["nominalQuota"]))

    def _fits(self, tenant: str, key: Key, more: int) -> bool:
        amount, after = self._amount(tenant, key), self.used(tenant, key) + more
        if after > self._own(tenant, key) + int(amount.get("borrowingLimit", 0)):
            return False
        common = int(self.capacity.get(key, {"nominalQuota": "0"})["nominalQuota"])
        common += sum(self._own(name, key) - self._kept(name, key) for name in self.queues)
        use = {name: after if name == tenant else self.used(name, key) for name in self.queues}
        return sum(max(count - self._kept(name, key), 0) for name, count in use.items()) <= common

    def _take_back(self, tenant: str, needs: Mapping[Key, int]) -> bool:
        """Stops borrowers' jobs, the newest first, until the needs fit."""
        before = list(self.jobs)
        for job in reversed(before):
            if all(self._fits(tenant, key, more) for key, more in needs.items()):
                return True
            if job.tenant != tenant and any(
                self.used(job.tenant, key) > self._own(job.tenant, key) for key in job.needs if key in needs
            ):
                self.jobs.remove(job)
        if all(self._fits(tenant, key, more) for key, more in needs.items()):
            return True
        self.jobs = before
        return False
