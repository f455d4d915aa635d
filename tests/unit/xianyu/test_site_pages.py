"""Which addresses that the site names are pages of its own."""

from __future__ import annotations

import pytest

from shoal.xianyu.site_pages import SitePages


@pytest.mark.parametrize(
    ("named", "is_link"),
    [
        ("https://h5api.m.goofish.com:443//h5/x/1.0/_____tmd_____/punish?x5secdata=a&x5step=2", True),
        ("https://login.taobao.com/member/login.jhtml", True),
        ("http://h5api.m.goofish.com/punish", False),
        ("https://goofish.com.attacker.example/punish", False),
        ("https://notgoofish.com/punish", False),
        ("https://h5api.m.goofish.com@attacker.example/punish", False),
        ("https://attacker.example\\@h5api.m.goofish.com/punish", False),
        ("https://h5api.m.goofish.com:8443/punish", False),
        ("javascript:alert(1)//goofish.com", False),
    ],
)
def test_f14_only_a_page_of_the_site_over_https_is_its_own(named: str, is_link: bool) -> None:
    assert SitePages(["https://h5api.m.goofish.com"]).split(named) == ((named, "") if is_link else ("", named))


def test_f14_the_pages_of_a_stand_in_are_those_at_its_very_address() -> None:
    pages = SitePages(["http://127.0.0.1:34989", "ws://127.0.0.1:34989/", "https://[::1]:8443"])
    assert pages.has("http://127.0.0.1:34989/_____tmd_____/punish?x5secdata=1")
    assert pages.has("https://[::1]:8443/punish")
    for named in ("http://127.0.0.1:34990/punish", "https://127.0.0.1:34989/punish", "http://127.0.0.1/punish", ""):
        assert pages.split(named) == ("", named)
