"""One API server for all contracts of a session, a namespace for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import Configuration
from kubernetes.config import load_kube_config

from tests.contracts.api_server.client import Api
from tests.contracts.api_server.crds import CRDS, definitions, established
from tests.contracts.api_server.servers import ApiServer, api_server, chosen
from tests.support.processes import until

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be seen on the chosen server."""
    try:
        kind = chosen()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    left_out = {
        "sandbox": {"real_api_server", "bare_api_server"},
        "programs": {"controllers"},
        "kubeconfig": {"bare_api_server"},
    }[kind]

    def kept(item: pytest.Item) -> bool:
        return HERE not in item.path.parents or not any(item.get_closest_marker(name) for name in left_out)

    config.hook.pytest_deselected(items=[item for item in items if not kept(item)])
    items[:] = [item for item in items if kept(item)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server."""
    with api_server(tmp_path_factory.mktemp("api-server")) as running:
        yield running


@pytest.fixture(scope="session")
def api(server: ApiServer) -> Api:
    """Its administrator's requests. A real server that is not somebody's cluster is given Argo CD's kinds."""
    configuration = Configuration()
    load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    found = Api(configuration)
    if server.real and not server.kept:
        folder = os.environ.get(CRDS)
        for definition in definitions(Path(folder)) if folder else definitions():
            established(found, definition)
    return found


@pytest.fixture
def namespace(api: Api, server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"contracts-{uuid.uuid4().hex[:8]}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).object()
    # No pod is admitted without its account, which a controller makes.
    if server.controllers:
        until("the account is there", lambda: api.get("serviceaccounts", name, "default").status == 200, seconds=30)
    else:
        api.create("serviceaccounts", name, {"metadata": {"name": "default"}}).object()
    if server.kept:
        # So that nothing comes into it while a test watches.
        until("it is furnished", lambda: api.get("configmaps", name, "kube-root-ca.crt").status == 200, seconds=30)
    yield name
    if server.kept:
        api.ask("DELETE", f"/api/v1/namespaces/{name}")
