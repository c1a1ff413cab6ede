"""A hosting service on loopback that answers as the APIs of GitHub, GitLab and Gitea document.

It knows the branches of a real bare repository, keeps its merge requests in memory, and merges in the repository when
told to. It stands in for services that cannot run here: what it proves is that the client speaks as documented.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

# Seconds between two looks at whether to end; the standard library's half a second would be most of a test.
POLL = 0.02


@dataclass
class Entry:
    """One merge request as the service keeps it."""

    number: int
    branch: str
    base: str
    title: str
    body: str
    head: str
    state: str = "open"
    merge_commit: str | None = None


class HostingService:
    """`kind` is github, gitlab or gitea; `project` is `owner/name`."""

    def __init__(self, kind: str, project: str, repository: Path, token: str) -> None:
        self.kind = kind
        self.project = project
        self.repository = repository
        self.token = token
        self.entries: list[Entry] = []
        self.opened = 0
        self.fail_next: list[int] = []
        self.lose_answer = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"

    def __enter__(self) -> HostingService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rev_parse(self, name: str) -> str | None:
        done = subprocess.run(
            ["git", "-C", str(self.repository), "rev-parse", "--verify", "-q", name], capture_output=True, text=True
        )
        return done.stdout.strip() or None

    def merge(self, number: int) -> None:
        """As a person does by the button: fast-forward, then the branch is removed."""
        entry = self.entries[number - 1]
        git = ["git", "-C", str(self.repository), "update-ref"]
        subprocess.run([*git, f"refs/heads/{entry.base}", entry.head], check=True)
        subprocess.run([*git, "-d", f"refs/heads/{entry.branch}"], check=True)
        entry.state, entry.merge_commit = "merged", entry.head

    # --- what the three services answer -------------------------------------------------------------------------

    def shown(self, entry: Entry) -> dict[str, Any]:
        web = f"http://example.com/{self.project}"
        if self.kind == "gitlab":
            return {
                "iid": entry.number,
                "web_url": f"{web}/-/merge_requests/{entry.number}",
                "state": {"open": "opened"}.get(entry.state, entry.state),
                "source_branch": entry.branch,
                "target_branch": entry.base,
                "sha": entry.head,
                "merge_commit_sha": None,  # this service merges by fast-forward
                "squash_commit_sha": None,
            }
        merged = entry.state == "merged"
        shown = {
            "number": entry.number,
            "html_url": f"{web}/{'pull' if self.kind == 'github' else 'pulls'}/{entry.number}",
            "state": "open" if entry.state == "open" else "closed",
            "head": {"ref": entry.branch, "sha": entry.head},
            "base": {"ref": entry.base},
            "merged_at": "2026-11-20T00:00:00Z" if merged else None,
            # GitHub shows a test merge here while the request is open.
            "merge_commit_sha": entry.merge_commit if merged else "e" * 40,
        }
        return shown | ({"merged": merged} if self.kind == "gitea" else {})

    def answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        path, query = urlsplit(target).path.removeprefix("/api"), parse_qs(urlsplit(target).query)
        if self.kind == "gitlab":
            head = f"/projects/{self.project.replace('/', '%2F')}/merge_requests"
        else:
            head = f"/repos/{self.project}/pulls"
        if not path.startswith(head):
            return 404, {"message": "Not Found"}
        rest = unquote(path.removeprefix(head)).strip("/")
        if method == "POST" and not rest:
            return self._open(body)
        if re.fullmatch(r"\d+", rest):
            found = [entry for entry in self.entries if entry.number == int(rest)]
            return (200, self.shown(found[0])) if found else (404, {"message": "Not Found"})
        if self.kind == "gitea" and "/" in rest:
            base, _, branch = rest.partition("/")
            found = [entry for entry in self.entries if (entry.base, entry.branch) == (base, branch)]
            return (200, self.shown(found[-1])) if found else (404, {"message": "Not Found"})
        wanted = query["source_branch" if self.kind == "gitlab" else "head"][0].rpartition(":")[2]
        assert query["state"] == ["all"]
        return 200, [self.shown(entry) for entry in reversed(self.entries) if entry.branch == wanted]

    def _open(self, body: dict[str, Any]) -> tuple[int, Any]:
        names = ("source_branch", "target_branch", "description") if self.kind == "gitlab" else ("head", "base", "body")
        branch, base, text = (body[name] for name in names)
        head = self.rev_parse(f"refs/heads/{branch}")
        if head is None or self.rev_parse(f"refs/heads/{base}") is None:
            return 422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}
        if any(entry.branch == branch and entry.state == "open" for entry in self.entries):
            return 409, {"message": ["Another open merge request already exists for this source branch"]}
        self.opened += 1
        self.entries.append(Entry(len(self.entries) + 1, branch, base, body["title"], text, head))
        return 201, self.shown(self.entries[-1])


def _handler(service: HostingService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or "{}")
            expected = f"{'token' if service.kind == 'gitea' else 'Bearer'} {service.token}"
            if self.headers.get("Authorization") != expected:
                return self._send(401, {"message": "Bad credentials"})
            if service.fail_next:
                return self._send(service.fail_next.pop(0), {"message": "try again later"})
            status, content = service.answer(self.command, self.path, body)
            if service.lose_answer and self.command == "POST":
                service.lose_answer = False
                return self.connection.close()
            return self._send(status, content)

        def _send(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
