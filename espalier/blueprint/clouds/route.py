"""How the deployer reaches a cluster's API, in any cloud: straight, by a proxy, or by a port forwarded to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from espalier.settings.cloud import Access

TUNNEL: Final = (
    "Add proxy: https://127.0.0.1:<port> for a port that is forwarded to the API, or socks5:// or http:// for a proxy."
)
"""What to do about a tunnel without its local end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What stands in a kubeconfig instead of, or before, the API's own address."""

    way: Literal["straight", "proxy", "port"]
    url: str
    """Of the proxy or the port; "" for straight."""

    def server(self, endpoint: str) -> dict[str, str]:
        """A kubeconfig's keys for the API at `endpoint`, such as https://10.0.0.2 or https://name:443.

        A forwarded port stands for the API's address, which its certificate has all the same.
        """
        if self.way == "port":
            return {"server": self.url, "tls-server-name": endpoint.removeprefix("https://").removesuffix(":443")}
        if self.way == "proxy":
            return {"server": endpoint, "proxy-url": self.url}
        return {"server": endpoint}


def route_of(access: Access | None) -> Route:
    """https:// is a port that is forwarded to the API; http:// and socks5:// are proxies."""
    if access is None or access.via != "tunnel" or access.proxy is None:
        return Route(way="straight", url="")
    return Route(way="port" if access.proxy.startswith("https://") else "proxy", url=access.proxy)
