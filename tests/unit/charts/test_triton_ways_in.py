"""From outside the cluster: Ingress, HTTPRoute and GRPCRoute of each model."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest
import yaml

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay

KINDS = {"Ingress", "HTTPRoute", "GRPCRoute"}


@pytest.fixture
def open_values() -> Manifest:
    """Two models with every way in."""
    return yaml.safe_load((CHART / "ci" / "ways-in-values.yaml").read_text())


def by_kind(objects: list[Manifest], kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == kind}


def test_there_is_no_way_in_when_disabled(values: Manifest, render: Render) -> None:
    assert {each["kind"] for each in render(values)}.isdisjoint(KINDS)


def test_each_model_has_a_host_and_leads_to_its_own_service(open_values: Manifest, render: Render) -> None:
    objects = render(open_values)
    services = {name: {port["port"] for port in spec["ports"]} for name, spec in by_kind(objects, "Service").items()}
    for kind in KINDS:
        assert set(by_kind(objects, kind)) == {"detector-digits", "detector-plates"} == set(services)
    ingress = by_kind(objects, "Ingress")["detector-plates"]
    (rule,) = ingress["rules"]
    assert rule["host"] == "plates.example.com"
    assert ingress["tls"] == [{"hosts": ["plates.example.com"], "secretName": "plates-tls"}]
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/v2" and path["backend"]["service"] == {"name": "detector-plates", "port": {"name": "http"}}
    for kind, host, port in (
        ("HTTPRoute", "plates.inference.example.com", 8000),
        ("GRPCRoute", "plates.grpc.example.com", 8001),
    ):
        route = by_kind(objects, kind)["detector-plates"]
        assert route["hostnames"] == [host]
        assert route["rules"][0]["backendRefs"] == [{"name": "detector-plates", "port": port}]
        assert port in services["detector-plates"]


def test_a_route_is_left_out_without_its_host(open_values: Manifest, render: Render) -> None:
    kinds = {each["kind"] for each in render(overlay(open_values, {"gateway": {"host": ""}}))}
    assert "GRPCRoute" in kinds and "HTTPRoute" not in kinds


def test_a_candidate_is_reached_from_inside_alone(open_values: Manifest, render: Render) -> None:
    open_values["models"][0]["candidate"] = {"version": 4, "sha256": "a" * 64, "runId": "r"}
    objects = render(open_values)
    assert "detector-digits-candidate" in by_kind(objects, "Service")
    for kind in KINDS:
        assert "detector-digits-candidate" not in by_kind(objects, kind)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ingress": {"host": "all.example.com"}}, "ingress.host: several models cannot share the host"),
        ({"gateway": {"grpcHost": "all.example.com"}}, "gateway.grpcHost: several models cannot share"),
        ({"ingress": {"host": ""}}, "ingress.host: the ingress is on"),
        ({"gateway": {"parentRefs": []}}, "gateway.parentRefs: a route needs its gateway"),
        ({"gateway": {"host": "", "grpcHost": ""}}, "gateway.host: without it"),
    ],
)
def test_a_way_that_leads_nowhere_is_refused(
    open_values: Manifest, render: Render, change: Manifest, said: str
) -> None:
    with pytest.raises(helm_python.HelmError, match=said):
        render(overlay(open_values, change))
