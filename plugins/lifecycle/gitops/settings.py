"""What a team may choose about the handoff; secrets are not among it (see credentials.py)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from lifecycle.gitops.errors import BumpInvalid, CredentialsInvalid

DEFAULT_MESSAGE = """{verb} {what} in {environment}/{app} as {model}

{effect}"""
# Of a version that comes from the stage before.
PROMOTION_MESSAGE = """promote {environment}/{app}/{model} {version} from {source}

{effect}"""

_BRANCH = re.compile(r"(?!.*(//|\.\.|@\{|\.lock(/|$)|/$|\.$))[A-Za-z0-9_][A-Za-z0-9_./@+#-]*")


@dataclass(frozen=True, kw_only=True)
class GitOpsSettings:
    """Where the values files are, how commits look, and how long to insist.

    `message_template` may use {verb} {kind} {what} {environment} {app} {model} {registered_model} {version} {former}
    {effect} {dag_run} {reverts} {source} (the stage that a promotion comes from); the trailers follow it and cannot be
    changed. `signing_key` is a key id of the worker's GPG keyring, or the path of an SSH key; an SSH key from the
    connection goes before it. `delivery` other than `push` opens a merge request at that kind of host, whose API is
    found from the URL unless `api_url` names it. Times are in seconds. `search_depth`: how many commits back a delivery
    looks for its own commit of an earlier, killed attempt. `code_path`: the folder with the code that serves, whose
    newest commit a release pins.
    """

    url: str
    branch: str = "main"
    path_template: str = "argocd-apps/{environment}/{app}/values.yaml"
    code_path: str = "model_repository"
    author_name: str = "yolo-lifecycle"
    author_email: str = "yolo-lifecycle@localhost"
    committer_name: str | None = None
    committer_email: str | None = None
    message_template: str = DEFAULT_MESSAGE
    signing: Literal["", "ssh", "gpg"] = ""
    signing_key: str = ""
    delivery: Literal["push", "github", "gitlab", "gitea"] = "push"
    api_url: str = ""
    time_limit: float = 300.0
    command_timeout: float = 60.0
    backoff_base: float = 0.2
    backoff_cap: float = 10.0
    search_depth: int = 500
    work_dir: Path | None = None

    def __post_init__(self) -> None:
        if not self.url or self.url.startswith("-"):
            raise BumpInvalid("There is no URL of the GitOps repository. Set LIFECYCLE_GITOPS_URL.")
        if "://" in self.url and urlsplit(self.url).password is not None:
            # Not repeated here: the URL holds the secret.
            raise CredentialsInvalid(
                "The GitOps repository's URL contains a password. Remove it from the URL, where every log would show "
                "it, and put it into the Airflow connection that LIFECYCLE_GITOPS_CONN_ID names."
            )
        if not _BRANCH.fullmatch(self.branch):
            raise BumpInvalid(f"{self.branch!r} is not the name of a branch. Correct LIFECYCLE_GITOPS_BRANCH.")

    def path(self, environment: str, app: str) -> str:
        """The values file's path in the repository."""
        for what, name in (("environment", environment), ("app", app)):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
                raise BumpInvalid(f"The {what} {name!r} cannot be part of a path. Use a plain name such as `staging`.")
        return self.path_template.format(environment=environment, app=app)
