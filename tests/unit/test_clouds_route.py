"""One meaning of `access.proxy` in all clouds."""

from __future__ import annotations

import json

import pytest

from espalier.blueprint.clouds.route import route_of
from espalier.settings.cloud import Access


def server(via: str, proxy: str | None, endpoint: str = "https://10.0.0.2") -> dict[str, str]:
    access = Access.model_validate_json(json.dumps({"via": via, "proxy": proxy}))
    return route_of(access).server(endpoint)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://127.0.0.1:8888"])
def test_a_proxy_stands_before_the_api(proxy: str) -> None:
    assert server("tunnel", proxy) == {"server": "https://10.0.0.2", "proxy-url": proxy}


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://10.0.0.2", "10.0.0.2"),
        ("https://ml.privatelink.eastus.azmk8s.io:443", "ml.privatelink.eastus.azmk8s.io"),
        ("https://ABCD.gr7.us-east-1.eks.amazonaws.com", "ABCD.gr7.us-east-1.eks.amazonaws.com"),
    ],
)
def test_a_forwarded_port_stands_for_the_api_whose_name_is_still_checked(endpoint: str, name: str) -> None:
    port = "https://127.0.0.1:8443"
    assert server("tunnel", port, endpoint) == {"server": port, "tls-server-name": name}


def test_without_a_tunnel_the_api_is_reached_straight() -> None:
    assert route_of(None).server("https://a") == {"server": "https://a"}
    assert server("network", None) == {"server": "https://10.0.0.2"}
