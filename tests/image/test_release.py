"""What makes a release: equal builds, sums that hold, and packages that need no compiler."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts import release
from scripts.check_wheels import FROM_SOURCE
from shoal.cli import app


def test_two_builds_that_differ_are_no_release() -> None:
    release.must_be_equal([{"a.whl": "1"}, {"a.whl": "1"}])
    with pytest.raises(SystemExit, match="two builds differ"):
        release.must_be_equal([{"a.whl": "1"}, {"a.whl": "2"}])


def test_the_sums_of_a_release_are_those_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "a.whl").write_bytes(b"wheel")
    (tmp_path / "deploy" / "shoal.service").write_bytes(b"unit")
    release.write_sums(tmp_path)
    assert len((tmp_path / "SHA256SUMS").read_text().splitlines()) == 2
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)  # noqa: S607
    (tmp_path / "a.whl").write_bytes(b"other")
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, check=False)  # noqa: S607
    assert checked.returncode != 0


def test_what_the_help_and_the_compose_files_name_goes_with_a_release() -> None:
    pages = [*(release.ROOT / "docs").rglob("*.md"), *release.ROOT.glob("compose*.yaml")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"\bdeploy/[\w./-]*\w\.?\w*|\bcompose(?:\.\w+)?\.yaml", text))
    assert {"compose.cluster.yaml", "deploy/Caddyfile", "deploy/grafana/shoal.json", "deploy/shoal.service"} <= named
    assert named - set(release.COMPANIONS) == set()


def test_a_version_without_its_section_is_no_release() -> None:
    release.must_be_described("# Changelog\n\n## 0.2.0 – 2026-12-03\n\n### Added\n", "0.2.0")
    release.must_be_described("## Unreleased\n\n## 0.2.0 – 2026-12-03\n\n- One.\n", "0.2.0")
    for text, reason in (
        ("## 0.1.0 – 2026-11-27\n\n- One.\n", "no section"),
        ("## 0.2.0\n\n- One.\n", "no section"),
        ("## 0.2.0 – 2026-12-03\n\n", "no section"),
        ("## 0.3.0 – 2026-12-04\n\n- Two.\n\n## 0.2.0 – 2026-12-03\n\n- One.\n", "no section"),
        ("## Unreleased\n\n- Two.\n\n## 0.2.0 – 2026-12-03\n\n- One.\n", "under Unreleased"),
    ):
        with pytest.raises(SystemExit, match=reason):
            release.must_be_described(text, "0.2.0")


def test_a_package_without_wheels_is_pure_python() -> None:
    for name in FROM_SOURCE:
        assert "Root-Is-Purelib: true" in str(metadata.distribution(name).read_text("WHEEL"))


@pytest.mark.parametrize(
    ("public_url", "address"),
    [("", "http://127.0.0.1:8080"), ("https://shop.example.com/", "https://shop.example.com")],
)
def test_the_first_link_leads_to_where_others_reach_the_server(
    public_url: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SimpleNamespace(public_url=public_url)
    state = SimpleNamespace(first_password="a-b-c", first_link="of-the-first")
    app._announce(SimpleNamespace(settings=settings, state=state), "http://127.0.0.1:8080")  # type: ignore[arg-type]
    assert f"\n    {address}/console/join#of-the-first\n" in capsys.readouterr().out
