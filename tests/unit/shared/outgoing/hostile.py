"""URLs made to lead a server where it must not go: built from their ingredients, written out in hostile_urls.txt."""

from pathlib import Path

WRITTEN = Path(__file__).parents[3] / "fixtures" / "outgoing" / "hostile_urls.txt"

# An address of each kind that is not public.
_V4 = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.1.2.3 127.255.255.254 168.63.129.16
169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
""".split()
_V6 = """
:: ::1 ::2 ::127.0.0.1 fe80::1 fe80::1%25eth0 febf::1 fec0::1 fc00::1 fd00::1 fd00:ec2::254 fdff::1 ff02::1 ff05::2
100::1 64:ff9b:1::1 64:ff9b:1::808:808 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 3fff::1 4000::1 5f00::1 8000::1 e000::1
""".split()
# What leads to loopback or metadata inside an IPv6 address.
_CARRIED = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.0.1", "0.0.0.0", "100.100.100.200")


def _hex(address: str) -> str:
    first, second, third, fourth = (int(part) for part in address.split("."))
    return f"{first << 8 | second:x}:{third << 8 | fourth:x}"


def _inside(address: str) -> list[str]:
    return [
        f"::ffff:{address}",
        f"::ffff:{_hex(address)}",
        f"0:0:0:0:0:ffff:{_hex(address)}",
        f"64:ff9b::{_hex(address)}",
        f"2002:{_hex(address)}::1",
        f"2a00:1450::5efe:{_hex(address)}",
        f"2a00:1450::200:5efe:{_hex(address)}",
    ]


def _spellings(address: str) -> list[str]:
    """The ways of writing an IPv4 address that some programs read and others do not."""
    parts = [int(part) for part in address.split(".")]
    number = int.from_bytes(bytes(parts), "big")
    return [
        str(number),
        hex(number),
        f"0X{number:X}",
        f"0{number:o}",
        ".".join(hex(part) for part in parts),
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"{part:03d}" for part in parts),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
        f"{address}.",
        "%31" + address[1:],
        address.replace("1", "１"),
        address.replace(".", "。"),
        address.replace("1", "①"),
    ]


_NAMES = """
localhost LOCALHOST localhost. foo.localhost localhost.localdomain ip6-localhost intranet crm router.lan printer.home
nas.local server.internal metadata.google.internal instance-data.ec2.internal wiki.corp db.private host.docker.internal
kubernetes.default.svc.cluster.local 1.0.0.127.in-addr.arpa home.arpa x.home.arpa abcdefghij.onion service.test
nowhere.invalid crm.example a..b.com .example.com example.com. -a.example.com a-.example.com ex_ample..jp
ｌｏｃａｌｈｏｓｔ ⓛocalhost locaⓁhost.com ﬁle.example.com exa\u00admple.com
""".split()
# Public names that someone pointed at us.
RESOLVED = {
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "localtest.me": ["127.0.0.1"],
    "metadata.attacker.example.com": ["169.254.169.254"],
    "rebinding.attacker.example.com": ["93.184.215.14", "127.0.0.1"],
    "mixed.attacker.example.com": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:10.0.0.1"],
    "six.attacker.example.com": ["::1"],
    "nat64.attacker.example.com": ["64:ff9b::7f00:1"],
    "6to4.attacker.example.com": ["2002:7f00:1::1"],
    "scoped.attacker.example.com": ["fe80::1%2"],
    "azure.attacker.example.com": ["168.63.129.16"],
    "odd.attacker.example.com": ["no address at all"],
}
_SHAPES = [
    "",
    " ",
    "/",
    "//example.com/",
    "example.com",
    "https:",
    "https://",
    "https:///",
    "https:///example.com/",
    "https://:443/",
    "https://?x",
    "https://#x",
    "https://@/",
    "http://example.com/",
    "HTTP://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "jar:https://example.com!/",
    "ws://example.com/",
    "https+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "unix:/var/run/docker.sock",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com%40127.0.0.1/",
    "https://example.com:443@127.0.0.1/",
    "https://127.0.0.1#@example.com/",
    "https://127.0.0.1\\@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com\\.127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "https://example.com/#fragment",
    "https://example.com:0/",
    "https://example.com:/",
    "https://example.com:22/",
    "https://example.com:25/",
    "https://example.com:80/",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com:4 43/",
    "https://example.com:443:443/",
    "https://example.com:４４３/",
    "https://exam ple.com/",
    "https://example.com /",
    " https://example.com/",
    "https://example.com/\r\nX-Injected: 1",
    "https://example.com/%0d%0a\r\n",
    "https://example.com/\x00",
    "https://example.com\x00.127.0.0.1/",
    "https://example.com\t/",
    "https://exa\nmple.com/",
    "https://example.com/\u2028",
    "https://example.com/\u202e",
    "https://[::1/",
    "https://::1/",
    "https://[::1]]/",
    "https://[127.0.0.1]/",
    "https://[example.com]/",
    "https://[v1.fe80::1]/",
    "https://[::1]:443:443/",
    "https://example.com[::1]/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    "https://example.com/" + "a" * 2_048,
    "https://日本語.jp/",
    "https://xn--/",
    "https://*.example.com/",
    "https://%6c%6f%63%61%6c%68%6f%73%74/",
    "https://example.com%2f@127.0.0.1/",
    "https://1.2.3/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://1.2.3.0x4/",
    "https://example.0x7f/",
    "https://0/",
    "https://00/",
    "https://0x/",
]


def urls() -> list[str]:
    """Every URL once."""
    found = [f"https://{address}/" for address in _V4]
    found += [f"https://[{address}]/" for address in _V6]
    found += [f"https://[{inside}]/" for address in _CARRIED for inside in _inside(address)]
    found += [f"https://{text}/" for address in ("127.0.0.1", "169.254.169.254") for text in _spellings(address)]
    found += [f"https://{name}/" for name in _NAMES]
    found += [f"https://{name}/" for name in RESOLVED]
    return list(dict.fromkeys([*found, *_SHAPES]))


def written(found: list[str]) -> str:
    """One URL a line, as a Python text: they hold line ends and signs that no editor shows."""
    return "".join(f"{url!a}\n" for url in found)
