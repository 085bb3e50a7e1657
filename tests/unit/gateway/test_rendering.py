"""What Envoy is told. The golden files are made anew with WEAVE_GOLDEN=write; read their difference then."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from unit.gateway.edges import rollout, shapes
from weave_nn.gateway.envoy.edge import Edge
from weave_nn.gateway.envoy.files import write
from weave_nn.gateway.envoy.process import ConfigurationRefused, find, validate
from weave_nn.gateway.envoy.rendering import render, version, whole
from weave_nn.gateway.rollout import BUCKETS, State

GOLDEN = Path(__file__).parent / "golden"
SHAPES = sorted(shapes(Path()))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", folder / "front.key", "-out", folder / "front.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("name", SHAPES)
def test_the_routes_and_clusters_of_every_shape(name: str) -> None:
    files = render(shapes(Path("/etc/weave"))[name], "/run/weave")
    rendered = {each: json.loads(files[each])["resources"] for each in ("cds.json", "rds.json")}
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("WEAVE_GOLDEN") == "write":
        golden.write_text(json.dumps(rendered, indent=1) + "\n")
    assert rendered == json.loads(golden.read_text())


@pytest.mark.parametrize("name", SHAPES)
def test_envoy_takes_every_shape(name: str, certificates: Path, tmp_path: Path) -> None:
    document = tmp_path / "whole.json"
    document.write_text(whole(shapes(certificates)[name], str(tmp_path)))
    validate(find(), document)


def test_what_envoy_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    document = tmp_path / "whole.json"
    document.write_text('{"static_resources": {"nonsense": 1}}')
    with pytest.raises(ConfigurationRefused, match="nonsense"):
        validate(find(), document)


def test_only_the_routes_change_with_the_split() -> None:
    low = render(Edge(rollouts=(rollout(state=State.ROLLING, percent=10),)), "/run/weave")
    high = render(Edge(rollouts=(rollout(state=State.ROLLING, percent=25),)), "/run/weave")
    assert {name for name in low if low[name] != high[name]} == {"rds.json"}
    assert version(low["rds.json"]) != version(high["rds.json"])


@pytest.mark.parametrize("percent", [1, 10, 100])
def test_the_candidate_stands_first_and_all_buckets_are_given(percent: int) -> None:
    edge = Edge(rollouts=(rollout(state=State.ROLLING, percent=percent),))
    (configuration,) = json.loads(render(edge, "/run/weave")["rds.json"])["resources"]
    splits = [
        route["route"]["weighted_clusters"]["clusters"]
        for route in configuration["virtual_hosts"][0]["routes"]
        if "weighted_clusters" in route.get("route", {})
    ]
    assert splits
    for candidate, stable in splits:
        assert candidate["name"] == "tasks-7-candidate-or-stable"
        assert candidate["weight"] + stable["weight"] == BUCKETS
        assert stable["weight"] >= 1


def test_writes_are_neither_mirrored_nor_repeated_after_they_were_sent() -> None:
    edge = Edge(rollouts=(rollout(state=State.ROLLING, percent=50, shadow_percent=100),))
    (configuration,) = json.loads(render(edge, "/run/weave")["rds.json"])["resources"]
    routes = [each for each in configuration["virtual_hosts"][0]["routes"] if "route" in each]
    reading = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    writing = [each for each in routes if reading not in each["match"].get("headers", ())]
    assert len(writing) < len(routes)
    for route in writing:
        assert "request_mirror_policies" not in route["route"]
        assert route["route"].get("retry_policy", {}).get("retry_on", "connect-failure") == "connect-failure"


def test_files_are_replaced_whole_and_only_when_they_differ(tmp_path: Path) -> None:
    folder = tmp_path / "envoy"
    assert write(folder, "rds.json", "one")
    first = (folder / "rds.json").stat().st_ino
    assert not write(folder, "rds.json", "one")
    assert write(folder, "rds.json", "two")
    assert (folder / "rds.json").stat().st_ino != first
    assert [each.name for each in folder.iterdir()] == ["rds.json"]


def test_another_salt_is_another_version() -> None:
    one = Edge(rollouts=(rollout(state=State.ROLLING, percent=10),))
    other = replace(one, rollouts=(rollout(state=State.ROLLING, percent=10, salt="tasks-8"),))
    assert version(render(one, "x")["rds.json"]) != version(render(other, "x")["rds.json"])
