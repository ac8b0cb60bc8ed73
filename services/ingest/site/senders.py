"""What a request tells about its sender, for the judgement on bots that scoring makes. Nothing here decides."""

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import Any

_PROXY = re.compile(r"googleimageproxy|yahoomailproxy|ggpht\.com|outlook-imageproxy", re.IGNORECASE)
_SCANNER = re.compile(
    r"headless|phantomjs|barracuda|mimecast|proofpoint|safelinks|symantec|trendmicro|bitdefender|fireeye|cloudmark"
    r"|forcepoint|sophos|virustotal|urlscan|(?:\b|_)bot\b|bot[/;)]|crawl|spider|slurp|preview|facebookexternalhit",
    re.IGNORECASE,
)
_LIBRARY = re.compile(
    r"^(?:python|curl|wget|go-http|java/|jakarta|apache-http|okhttp|libwww|lwp|ruby|php|guzzle|node|axios|undici|got\b"
    r"|postman|insomnia|httpie|aiohttp|dart|perl|winhttp|powershell|rest-client|reqwest|http_request)",
    re.IGNORECASE,
)
_BROWSER = re.compile(r"^Mozilla/5\.0 \(.+\) .*(?:Chrome|Firefox|Safari|Gecko|Edg|OPR)/")


@lru_cache(maxsize=4_096)
def agent_of(user_agent: str) -> str:
    """`browser`, `mail-proxy`, `scanner`, `library` or `unknown`, by a User-Agent header.

    Apple's mail proxy calls itself `Mozilla/5.0` and no more.
    """
    written = user_agent.strip()[:512]
    if written == "Mozilla/5.0" or _PROXY.search(written):
        return "mail-proxy"
    if _SCANNER.search(written):
        return "scanner"
    if _LIBRARY.search(written):
        return "library"
    return "browser" if _BROWSER.search(written) else "unknown"


class Senders:
    """Makes signals; networks are known by a keyed hash alone, and the same one by every process."""

    def __init__(self, identity_key: bytes) -> None:
        key = hashlib.blake2b(identity_key, digest_size=32, person=b"kizashi network").digest()

        @lru_cache(maxsize=8_192)
        def network_of(address: str) -> str | None:
            try:
                known = ipaddress.ip_address(address)
            except ValueError:
                return None
            if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped:
                known = known.ipv4_mapped
            network = ipaddress.ip_network(f"{known}/{24 if known.version == 4 else 48}", strict=False)
            return hashlib.blake2b(str(network).encode(), key=key, digest_size=8).hexdigest()

        self._network_of = network_of

    def signals(self, method: str, address: str, user_agent: str) -> dict[str, Any]:
        """The signals of one request; `network` is left out where the address is not known."""
        signals: dict[str, Any] = {"method": method, "agent": agent_of(user_agent)}
        network = self._network_of(address) if address else None
        if network is not None:
            signals["network"] = network
        return signals
