"""What a stack file cannot say of sharing, kinds of capacity, drivers and queues: the text of each refusal."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.settings import validate
from espalier.types import Mistakes

PLAIN: dict[str, Any] = {"name": "p", "machine": {"cpu": 1, "memory": "1Gi"}, "nodes": {"max": 1}}
OTHER = "Change it to what is accepted."


def pool(**keys: Any) -> dict[str, Any]:
    return {"pools": [{"name": "p", "accelerator": "A100-80", "nodes": {"max": 4}, **keys}]}


def sharing(**ways: Any) -> dict[str, Any]:
    return pool(sharing={way.replace("_", "-"): value for way, value in ways.items()})


def queue(**keys: Any) -> dict[str, Any]:
    return {"tenants": [{"name": "t", "queue": keys}]}


CASES: list[tuple[dict[str, Any], str]] = [
    (sharing(mig="all-1g.10gb", mps=2),
     "pools[0].sharing: got mig and mps; accepted: one way of sharing a device. Keep one of them."),
    (sharing(mig="all-1g.10gb", time_slices=2),
     "pools[0].sharing: got mig and time-slices; accepted: one way of sharing a device. Keep one of them."),
    (sharing(mps=2, time_slices=2),
     "pools[0].sharing: got mps and time-slices; accepted: one way of sharing a device. Keep one of them."),
    (sharing(time_slices=1),
     f"pools[0].sharing.time-slices: got 1; accepted: a whole number from 2 to 64. {OTHER}"),
    (sharing(mps=49),
     f"pools[0].sharing.mps: got 49; accepted: a whole number from 2 to 48. {OTHER}"),
    (sharing(mig="1g.10gb"),
     "pools[0].sharing.mig: got '1g.10gb'; accepted: a MIG profile for all devices, such as all-1g.10gb. " + OTHER),
    (sharing(fractions=2),
     "pools[0].sharing.fractions: got an unknown key; accepted: the keys mig, mps, time-slices. Remove it."),
    ({"pools": [{**PLAIN, "sharing": {"mps": 2}}]},
     "pools[0].sharing: got no accelerator beside it; accepted: a pool with an accelerator. Add accelerator: <name of "
     "the catalogue>, or remove the key."),
    (pool(capacity=["spot", "spot"]),
     "pools[0].capacity[1]: got spot a second time; accepted: each kind once. Remove one of them."),
    (pool(capacity=["cheap"]),
     f"pools[0].capacity[0]: got 'cheap'; accepted: one of reserved, spot, flex, on-demand. {OTHER}"),
    (pool(capacity=[]),
     f"pools[0].capacity: got an empty list; accepted: a list of 1 to 4. {OTHER}"),
    (pool(driver={"owner": "me"}),
     f"pools[0].driver.owner: got 'me'; accepted: one of cloud, operator, host. {OTHER}"),
    (pool(driver={"toolkit": "cloud"}),
     f"pools[0].driver.toolkit: got 'cloud'; accepted: one of operator, host. {OTHER}"),
    (pool(driver={"version": "58"}),
     'pools[0].driver.version: got \'58\'; accepted: default, latest, a branch such as "580", or a version such as '
     f'"580.95.05". {OTHER}'),
    (pool(image={"os": "windows"}),
     "pools[0].image.os: got 'windows'; accepted: one of al2023, bottlerocket, ubuntu, cos, azure-linux, talos. "
     + OTHER),
    (pool(readiness="later"),
     f"pools[0].readiness: got 'later'; accepted: true or false. {OTHER}"),
    ({"queues": {"ladder": "price"}},
     f"queues.ladder: got 'price'; accepted: one of kinds, pools. {OTHER}"),
    ({"queues": {"preemption": "always"}},
     f"queues.preemption: got 'always'; accepted: one of never, reclaim, priority. {OTHER}"),
    ({"queues": {"start-within": "5s"}},
     f"queues.start-within: got '5s'; accepted: a time, such as 30m or 24h. {OTHER}"),
    ({"queues": {"borrowing": "yes"}},
     f"queues.borrowing: got 'yes'; accepted: true or false. {OTHER}"),
    ({"queues": {"enforce": 1}},
     f"queues.enforce: got 1; accepted: true or false. {OTHER}"),
    ({"queues": {"topology": "rack"}},
     f"queues.topology: got 'rack'; accepted: true or false. {OTHER}"),
    (queue(weight=0),
     f"tenants[0].queue.weight: got 0; accepted: a whole number from 1 to 1,000. {OTHER}"),
    (queue(weight=1001),
     f"tenants[0].queue.weight: got 1001; accepted: a whole number from 1 to 1,000. {OTHER}"),
    (queue(borrow={"gpu": 1}),
     "tenants[0].queue.borrow.gpu: got the key 'gpu'; accepted: a device's resource name, such as nvidia.com/gpu. "
     "Rename the key."),
    (queue(lend={"nvidia.com/gpu": -1}),
     f'tenants[0].queue.lend["nvidia.com/gpu"]: got -1; accepted: a whole number from 0 to 100,000. {OTHER}'),
    (queue(share=1),
     "tenants[0].queue.share: got an unknown key; accepted: the keys borrow, lend, weight. Remove it."),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "text"), CASES, ids=[text.partition(";")[0] for _, text in CASES])
def test_a_refusal_says_where_what_and_how(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(Mistakes) as caught:
        validate({"cluster": {"kind": "simulated"}, **keys}, where="espalier")
    assert [mistake.text() for mistake in caught.value.mistakes] == [f"espalier.{text}"]
