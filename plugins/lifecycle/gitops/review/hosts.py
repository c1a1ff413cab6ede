"""Merge requests at GitHub, GitLab and Gitea, by their REST APIs.

Only what a delivery needs: find the request of a branch, open one, see what became of it. Redirects are not followed,
so that the token goes to the configured host and nowhere else.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import requests

from lifecycle.gitops.errors import (
    AuthenticationFailed,
    CredentialsInvalid,
    GitOpsError,
    RemoteUnavailable,
    RepositoryNotFound,
    RequestRefused,
)
from lifecycle.gitops.remote.credentials import GitCredentials
from lifecycle.gitops.settings import GitOpsSettings

State = Literal["open", "merged", "closed"]
_SCP_LIKE = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?P<path>[^/].*)")


@dataclass(frozen=True)
class MergeRequest:
    """A pull or merge request: `head` is the branch's commit, `merge_commit` what the target branch got."""

    number: int
    url: str
    state: State
    head: str
    merge_commit: str | None


class Host(ABC):
    """One project at a hosting service. Subclasses know the service's paths and words."""

    name = ""
    scheme = "Bearer"

    def __init__(self, api_url: str, project: str, token: str, timeout: float) -> None:
        self._api = api_url.rstrip("/")
        self._project = project
        self._token = token
        self._timeout = timeout

    @abstractmethod
    def find(self, branch: str, base: str) -> MergeRequest | None:
        """The newest request from that branch, in whatever state."""

    @abstractmethod
    def open(self, branch: str, base: str, title: str, body: str) -> MergeRequest:
        """A new request to merge `branch` into `base`."""

    @abstractmethod
    def get(self, number: int) -> MergeRequest:
        """The request of that number."""

    def _call(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The decoded answer; None for 404 on a GET. Raises a typed error for everything else but success."""
        what = f"{method} {self._api}{path}"
        try:
            answer = requests.request(
                method,
                f"{self._api}{path}",
                params=query,
                json=body,
                headers=self._headers(),
                timeout=self._timeout,
                allow_redirects=False,
            )
            if answer.ok and not answer.is_redirect:
                return answer.json()
        except requests.RequestException as error:  # also an answer that is not JSON: a proxy's error page
            raise RemoteUnavailable(f"{self.name}'s API did not answer {what}: {type(error).__name__}") from None
        if answer.status_code == 404 and method == "GET":
            return None
        raise self._fault(what, answer)

    def _headers(self) -> dict[str, str]:
        # Never a local of a frame that raises: a traceback that shows locals would show the token.
        return {"Authorization": f"{self.scheme} {self._token}", "Accept": "application/json"}

    def _fault(self, what: str, answer: requests.Response) -> GitOpsError:
        said = f"{answer.status_code} {answer.text[:500]}".replace(self._token, "***").strip()
        limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500 or limited:
            return RemoteUnavailable(f"{self.name}'s API answered {what} with {said}")
        if answer.status_code in (401, 403):
            return AuthenticationFailed(
                f"{self.name} does not let this account {what} ({said}). Give the token of the git connection the "
                "right to open merge requests."
            )
        if answer.status_code == 404:
            return RepositoryNotFound(f"{self.name} knows no project {self._project} ({what}: {said}). Check the URL.")
        return RequestRefused(f"{self.name} declined {what}: {said}. Fix what it names, then clear the task.")

    def _require(self, answer: Any, path: str) -> Any:
        if answer is None:
            raise RepositoryNotFound(f"{self.name} has no {self._api}{path}. Check the URL and the token's rights.")
        return answer


class GitHub(Host):
    """https://docs.github.com/en/rest/pulls/pulls"""

    name = "GitHub"

    def find(self, branch: str, base: str) -> MergeRequest | None:
        owner = self._project.partition("/")[0]
        path = f"/repos/{self._project}/pulls"
        query = {"head": f"{owner}:{branch}", "base": base, "state": "all", "sort": "created", "direction": "desc"}
        found = self._require(self._call("GET", path, query=query), path)
        # An unknown head is ignored by some versions, which then list every request.
        return next((_pull(entry) for entry in found if entry["head"]["ref"] == branch), None)

    def open(self, branch: str, base: str, title: str, body: str) -> MergeRequest:
        entry = {"title": title, "head": branch, "base": base, "body": body}
        return _pull(self._call("POST", f"/repos/{self._project}/pulls", body=entry))

    def get(self, number: int) -> MergeRequest:
        path = f"/repos/{self._project}/pulls/{number}"
        return _pull(self._require(self._call("GET", path), path))


class Gitea(GitHub):
    """https://docs.gitea.com/api (also Forgejo): GitHub's shape, but for the way to find a request (from 1.22)."""

    name = "Gitea"
    scheme = "token"

    def find(self, branch: str, base: str) -> MergeRequest | None:
        found = self._call("GET", f"/repos/{self._project}/pulls/{quote(base, safe='')}/{quote(branch, safe='')}")
        return None if found is None else _pull(found)


class GitLab(Host):
    """https://docs.gitlab.com/api/merge_requests"""

    name = "GitLab"

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self._project, safe='')}/merge_requests"

    def find(self, branch: str, base: str) -> MergeRequest | None:
        query = {"source_branch": branch, "target_branch": base, "state": "all", "order_by": "created_at"}
        found = self._require(self._call("GET", self._path, query=query), self._path)
        return _merge(found[0]) if found else None

    def open(self, branch: str, base: str, title: str, body: str) -> MergeRequest:
        entry = {
            "source_branch": branch,
            "target_branch": base,
            "title": title,
            "description": body,
            "remove_source_branch": True,
        }
        return _merge(self._call("POST", self._path, body=entry))

    def get(self, number: int) -> MergeRequest:
        path = f"{self._path}/{number}"
        return _merge(self._require(self._call("GET", path), path))


def host_of(settings: GitOpsSettings, credentials: GitCredentials | None) -> Host:
    """The API of the project that the repository's URL belongs to."""
    server, project = _project_of(settings.url)
    token = (credentials.api_token or credentials.token) if credentials is not None else None
    if not token:
        raise CredentialsInvalid(
            "Delivery by merge request needs a token for the host's API. Put it into the git connection: as its "
            "password, or as `api_token` in its extra where git itself uses an SSH key."
        )
    kind, default = {
        "github": (GitHub, "https://api.github.com" if server.endswith("://github.com") else f"{server}/api/v3"),
        "gitlab": (GitLab, f"{server}/api/v4"),
        "gitea": (Gitea, f"{server}/api/v1"),
    }[settings.delivery]
    return kind(settings.api_url or default, project, token, timeout=min(30.0, settings.command_timeout))


def number_of(request_url: str) -> int:
    """The request's number, from the end of its web address."""
    found = re.search(r"/(?:pull|pulls|merge_requests)/(\d+)/?$", urlsplit(request_url).path)
    if found is None:
        raise RequestRefused(f"{request_url} is not the address of a merge request.")
    return int(found[1])


def _project_of(url: str) -> tuple[str, str]:
    """Server (with scheme) and project path of a repository's URL."""
    if "://" in url:
        parts = urlsplit(url)
        web = parts.scheme in ("http", "https")
        server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if web else f"https://{parts.hostname}"
        path = parts.path
    elif (match := _SCP_LIKE.fullmatch(url)) is not None:
        server, path = f"https://{match['host']}", match["path"]
    else:
        raise RequestRefused(
            f"{url} is at no hosting service, so that no merge request can be opened. Deliver by push."
        )
    return server, path.strip("/").removesuffix(".git")


def _pull(entry: Mapping[str, Any]) -> MergeRequest:
    """GitHub's and Gitea's form. GitHub's list has `merged_at` but no `merged`."""
    merged = bool(entry.get("merged") or entry.get("merged_at"))
    state: State = "merged" if merged else ("open" if entry["state"] == "open" else "closed")
    return MergeRequest(
        number=entry["number"],
        url=entry["html_url"],
        state=state,
        head=entry["head"]["sha"],
        merge_commit=entry.get("merge_commit_sha") if merged else None,
    )


def _merge(entry: Mapping[str, Any]) -> MergeRequest:
    """GitLab's form. A fast-forward merge has no commit of its own: then the branch's head is what was merged."""
    merged = entry["state"] == "merged"
    state: State = "merged" if merged else ("closed" if entry["state"] == "closed" else "open")
    commit = entry.get("merge_commit_sha") or entry.get("squash_commit_sha") or entry.get("sha")
    return MergeRequest(
        number=entry["iid"],
        url=entry["web_url"],
        state=state,
        head=entry.get("sha") or "",
        merge_commit=commit if merged else None,
    )
