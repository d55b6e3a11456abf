"""Which queries of a tenant's scaler are of its namespace alone; tests/sim/test_tenant_guards.py asks a server."""

from __future__ import annotations

import re

import pytest

from espalier.blueprint.scalers import QUERY, prometheus_of
from espalier.blueprint.scaling import Server, scaled_object

OWN = 'namespace="vision"'


def of_its_own(query: str) -> bool:
    """As the policy judges it, in namespace vision."""
    marked = query.replace(f"exported_{OWN}", "@").replace(OWN, "@")
    return "@" not in query and re.search(QUERY, marked) is not None


@pytest.mark.parametrize(
    "query",
    [
        f"x{{{OWN}}}",
        f"vllm:num_requests_waiting {{ {OWN} , }}",
        f'sum(rate(x_total{{a="1",{OWN},pod=~"llm-[a-z]{{5}}"}}[1m])) by (pod) / 3.5 >= bool 2',
        f"histogram_quantile(0.95, sum without (le, pod) (rate(x_bucket{{exported_{OWN}}}[5m:30s]))) or vector(0)",
        f"x{{{OWN}}} * on (pod) group_left (model) y{{{OWN}}} offset 5m",
        f"max_over_time(x{{{OWN}}}[10m]) - min_over_time(x{{{OWN}}}[10m])",
        f'x{{{OWN},namespace=~".*"}}',  # both hold
        "\n".join(("(", f"  x{{{OWN}}}", ")")),
    ],
)
def test_what_asks_for_its_own_namespace_is(query: str) -> None:
    assert of_its_own(query)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "up",
        "sum(up)",
        'up{namespace="language"}',
        f"x{{{OWN}}} or up",
        f"up or x{{{OWN}}}",
        f'x{{{OWN}}} or up{{namespace="language"}}',
        f'x{{{OWN}}} or {{__name__="up"}}',
        f"{{{OWN}}}",
        f"x{{my_{OWN}}}",
        f'x{{{OWN} or a="1"}}',
        'x{namespace!="vision"}',
        'x{namespace=~"vision|language"}',
        "x{namespace='vision'}",
        f"x{{a=`{OWN}`}}",
        f"x{{a='{OWN}'}}",
        f'x{{a="\\"",{OWN}}}',
        f"up # x{{{OWN}}}",
        f'label_replace(x{{{OWN}}}, "namespace", "language", "", "")',
        "x{@}",
        f"x{{{OWN}}} @ 0 or up",
        f"sum(x{{{OWN}}}) by (pod) up",
        "up by (pod)" + f" or x{{{OWN}}} or up",
        f"x{{{OWN}}} OR up",
        f"orup{{{OWN}}}up",
    ],
)
def test_what_asks_for_more_is_not(query: str) -> None:
    assert not of_its_own(query)


def test_espaliers_own_scaler_asks_for_its_own() -> None:
    for mig in (False, True):
        server = Server(name="llm", namespace="vision", minimum=1, maximum=2, prometheus="http://p.monitoring", mig=mig)
        (trigger,) = scaled_object(server)["spec"]["triggers"]
        assert of_its_own(trigger["metadata"]["query"])


def test_prometheus_is_where_keda_is_told_to_ask_it() -> None:
    assert prometheus_of({"keda": {"prometheus-namespace": "metrics"}}) == "metrics"
    assert prometheus_of({"keda": {}}) == prometheus_of({}) == "monitoring"
