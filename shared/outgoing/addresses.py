"""Which IP addresses belong to the public internet. Pure.

Source: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and successors), and the addresses under
which clouds serve a machine's own credentials. Written out, because what `ipaddress` calls global depends on the
version of Python and leaves open what other addresses carry inside.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_CLOSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, a public number that is not
        "169.254.0.0/16",  # link-local; 169.254.169.254 and .170.2 are metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is of the public internet, also by what it carries inside (mapped, NAT64, 6to4, ISATAP)."""
    if isinstance(address, IPv6Address):
        carried, closed = _carried(address), _closed(address)
        return not closed and (carried is None or is_public(carried))
    return not any(address in network for network in _CLOSED_V4)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to, None for an ordinary one."""
    number = int(address)
    if address in _6TO4:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None or address in _NAT64 or number >> 32 & 0xFFFF_FFFF in _ISATAP:
        return IPv4Address(number & 0xFFFF_FFFF)
    return None


def _closed(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return True
    if address.ipv4_mapped is not None or address in _NAT64:
        return False
    return address not in _OPEN_V6 or any(address in network for network in _CLOSED_V6)
