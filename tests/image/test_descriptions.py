"""The files by which others run Shoal: compose files, the unit of systemd, the hosted workflow, the lists of pins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from scripts.pin_files import PINS, lists
from shoal.config import PREFIX, Settings
from shoal.maintenance.moving import uploads
from shoal.sheets import xlsx_processes

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "shoal.service"
COMPOSES = ("compose.yaml", "compose.local.yaml", "compose.cluster.yaml")
MANIFESTS = ROOT / "deploy" / "kubernetes" / "shoal.yaml"
SETTINGS = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMPOSES)
def test_every_container_is_read_only_and_has_no_rights_that_it_does_not_need(name: str) -> None:
    for service, told in read(name)["services"].items():
        assert told["read_only"] is True, service
        assert told["cap_drop"] == ["ALL"], service
        assert told["security_opt"] == ["no-new-privileges:true"], service
        assert told.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "caddy" else []), service
        assert "privileged" not in told


@pytest.mark.parametrize("name", COMPOSES)
def test_every_setting_of_a_compose_file_is_one_of_the_server(name: str) -> None:
    servers = {one: told for one, told in read(name)["services"].items() if one.startswith("shoal")}
    assert servers
    for told in (one["environment"] for one in servers.values()):
        assert {one for one in told if one.startswith(PREFIX)} <= SETTINGS
        assert {"LANG", "TZ"} <= set(told)


def test_g6_the_memory_of_a_server_has_the_same_limit_wherever_it_runs_and_a_process_that_reads_files_goes_first() -> (
    None
):
    manifest = yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))
    (pod,) = (one["spec"]["template"]["spec"] for one in manifest if one["kind"] == "StatefulSet")
    resources = pod["containers"][0]["resources"]
    limits = (resources["requests"]["memory"], resources["limits"]["memory"])
    assert limits == ("512Mi", "2Gi")
    for name in COMPOSES:
        for service, told in read(name)["services"].items():
            if service.startswith("shoal"):
                assert (told["mem_reservation"], told["mem_limit"]) == ("512m", "${SHOAL_MEMORY:-2g}"), (name, service)
    for text in (UNIT.read_text(encoding="utf-8"), *(_page(f"install{end}.md") for end in ("", ".en"))):
        assert "\nMemoryMax=2G\nOOMPolicy=continue\n" in text  # else systemd ends the server with the process
    worst = [uploads.BOUNDS, xlsx_processes.BOUNDS]
    assert all(one.memory_bytes <= 1 << 30 for one in worst)


def _page(name: str) -> str:
    return (ROOT / "docs" / "howto" / name).read_text(encoding="utf-8")


def test_only_caddy_is_published_and_trusted_and_a_server_at_home_is_for_its_machine_alone() -> None:
    public, local = (read(name)["services"] for name in COMPOSES[:2])
    assert "ports" not in public["shoal"]
    address = public["caddy"]["networks"]["shoal"]["ipv4_address"]
    assert public["shoal"]["environment"]["SHOAL_TRUSTED_PROXIES"] == address
    assert local["shoal"]["ports"] == ["${SHOAL_BIND:-127.0.0.1}:${SHOAL_PORT:-8080}:8080"]
    gateway = read("compose.local.yaml")["networks"]["shoal"]["ipam"]["config"][0]["gateway"]
    assert local["shoal"]["environment"]["SHOAL_TRUSTED_PROXIES"] == gateway


def test_the_servers_of_a_cluster_differ_by_name_address_and_volume_alone() -> None:
    services = read("compose.cluster.yaml")["services"]
    one, two = services["shoal-1"], services["shoal-2"]
    for name, server in (("shoal-1", one), ("shoal-2", two)):
        assert server["environment"]["SHOAL_NODE"] == name
        assert server["environment"]["SHOAL_NODE_ADDRESS"] == f"http://{name}:8080"
        assert f"{name}:8080" in (ROOT / "deploy/Caddyfile.cluster").read_text(encoding="utf-8")
        assert "ports" not in server
    assert one["volumes"] != two["volumes"]
    its_own = {"SHOAL_NODE", "SHOAL_NODE_ADDRESS"}
    shared = [{key: told for key, told in each["environment"].items() if key not in its_own} for each in (one, two)]
    assert shared[0] == shared[1]
    assert shared[0]["SHOAL_TRUSTED_PROXIES"] == services["caddy"]["networks"]["shoal"]["ipv4_address"]
    asked = re.findall(r"\$\{(\w+):\?", (ROOT / "compose.cluster.yaml").read_text(encoding="utf-8"))
    example = (ROOT / "deploy/cluster.env.example").read_text(encoding="utf-8")
    assert set(asked) == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_manifests_name_what_they_select_and_set_what_the_server_knows() -> None:
    """Their form is checked by ``make manifests``, against the schemas of Kubernetes."""
    told = {
        (one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))
    }
    servers = told["StatefulSet", "shoal"]["spec"]
    pod, labels = servers["template"]["spec"], servers["template"]["metadata"]["labels"]
    (container,) = pod["containers"]
    for kind, name in (("Service", "shoal"), ("Service", servers["serviceName"])):
        assert told[kind, name]["spec"]["selector"] == labels
    for selector in (servers["selector"], told["PodDisruptionBudget", "shoal"]["spec"]["selector"]):
        assert selector["matchLabels"] == labels
    named = {*told["ConfigMap", "shoal"]["data"], *(one["name"] for one in container["env"])}
    assert {one for one in named if one.startswith(PREFIX)} <= SETTINGS
    address = next(one["value"] for one in container["env"] if one["name"] == "SHOAL_NODE_ADDRESS")
    assert address == f"http://$(SHOAL_NODE).{servers['serviceName']}:{container['ports'][0]['containerPort']}"
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {one["metadata"]["name"] for one in servers["volumeClaimTemplates"]} | {
        one["name"] for one in pod["volumes"]
    }
    assert {one["name"] for one in container["volumeMounts"]} == volumes


def unit_of_the_help(page: str) -> str:
    """The unit of systemd that a page of the help tells its reader to write."""
    found = re.search(r"```ini\n(\[Unit\]\n.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, page
    return found[1]


def test_every_unit_of_systemd_waits_until_the_server_is_ready_and_restarts_one_that_stands_still() -> None:
    ours, chinese, english = (
        UNIT.read_text(encoding="utf-8"),
        unit_of_the_help("docs/howto/install.md"),
        unit_of_the_help("docs/howto/install.en.md"),
    )
    assert chinese == english
    for unit in (ours, english):
        lines = unit.splitlines()
        assert {"Type=notify", "TimeoutStartSec=infinity", "WatchdogSec=120", "Restart=on-failure"} <= set(lines)


def verified(unit: Path, *options: str) -> str:
    """Check a unit with systemd's own program, and return where that is."""
    analyze = which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    checked = subprocess.run(
        [analyze, *options, "verify", "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(unit.parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in checked.stderr.splitlines() if "shoal.service" in line]
    assert (checked.returncode, complaints) == (0, []), checked.stderr
    return analyze


def test_the_unit_of_the_help_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / "shoal.service"
    unit.write_text(unit_of_the_help("docs/howto/install.md").replace("%h/shoal/bin/shoal", sys.executable))
    verified(unit, "--user")


def test_a_unit_of_systemd_is_valid_and_exposes_little(tmp_path: Path) -> None:
    unit = tmp_path / "shoal.service"
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/shoal/bin/shoal", sys.executable))
    analyze = verified(unit)
    judged = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"Overall exposure level for shoal.service: ([\d.]+)", judged.stdout)
    assert exposure is not None, judged.stderr
    assert float(exposure[1]) <= 1.5


def test_the_hosted_workflow_runs_what_ci_runs_on_every_python_with_pinned_actions() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    assert told["permissions"] == {"contents": "read"}
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    test = told["jobs"]["test"]
    assert test["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert test["steps"][-1]["run"].endswith(".ci/run")


def test_the_pins_of_an_installed_shoal_and_of_its_build_are_those_of_the_tests() -> None:
    for name, text in lists().items():
        assert (PINS / name).read_text(encoding="utf-8") == text, f"run scripts/pin_files.py: {name} is not up to date"
        assert "==" in text
    runs, builds = lists()["run.txt"], lists()["build.txt"]
    assert "\npytest==" not in runs
    assert "\naiohttp==" in runs
    assert "\nhatchling==" in builds
