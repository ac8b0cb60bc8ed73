"""What a request tells about its sender."""

import pytest

from services.ingest.site.senders import Senders, agent_of

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (CHROME, "browser"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
            "browser",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "browser"),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "mail-proxy"),
        ("Mozilla/5.0", "mail-proxy"),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "mail-proxy"),
        (CHROME.replace("Chrome", "HeadlessChrome"), "scanner"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "scanner"),
        ("BarracudaCentral/1.0", "scanner"),
        ("python-requests/2.32.3", "library"),
        ("curl/8.5.0", "library"),
        ("Go-http-client/2.0", "library"),
        ("okhttp/4.12", "library"),
        ("", "unknown"),
        ("SomethingElse", "unknown"),
    ],
)
def test_the_kind_of_an_agent(agent: str, kind: str) -> None:
    assert agent_of(agent) == kind


def test_a_network_is_a_keyed_hash_and_no_address() -> None:
    senders = Senders(b"a secret")

    def network(address: str, of: Senders = senders) -> str:
        return str(of.signals("GET", address, CHROME)["network"])

    assert network("203.0.113.7") == network("203.0.113.99") == network("::ffff:203.0.113.1")
    assert network("203.0.113.7") != network("203.0.114.7")
    assert network("2001:db8:1:2::1") == network("2001:db8:1:9::1") != network("2001:db8:2::1")
    assert network("203.0.113.7") != network("203.0.113.7", Senders(b"another secret"))
    assert len(network("203.0.113.7")) == 16
    assert "network" not in senders.signals("GET", "testclient", CHROME)
    assert "network" not in senders.signals("GET", "", CHROME)
