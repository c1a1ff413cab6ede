"""Make the virtual environments that the demo and the tests need, from pinned requirement files.

Runs on a bare machine: the standard library only. Each environment stands in for one image, so it holds what that
image's own requirements.txt says and nothing else. Environments that are already as their files say are left alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV = "uv==0.13.8"
# numpy before 2, which the wheel with Triton needs, has no wheel for Python 3.13.
PYTHONS = ((3, 11), (3, 12))


class SetupError(Exception):
    """Something that a person has to put right; the message is one line that says how."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment under .venv and the pinned files that define it.

    `compiled`: all of it is compiled; `imports`: what these modules import is.
    """

    name: str
    requirements: tuple[str, ...]
    overrides: str | None = None
    no_deps: tuple[str, ...] = ()
    target: bool = False
    torch: bool = False
    compiled: bool = False
    imports: tuple[str, ...] = ()
    files: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        extra = (self.overrides,) if self.overrides else ()
        object.__setattr__(self, "files", (*self.requirements, *extra, *self.no_deps))

    def digest(self) -> str:
        """What the environment should hold, as one hash: its files, the Python version and uv's version."""
        content = hashlib.sha256(f"{sys.version_info[:3]} {UV}".encode())
        for name in self.files:
            content.update((ROOT / name).read_bytes())
        return content.hexdigest()


# What the platform's servers import that start side by side: each would compile the same, for ten seconds.
SERVERS = (
    "airflow.api_fastapi.app",
    "airflow.cli.cli_parser",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.cncf.kubernetes.operators.pod",
    "mlflow.server.fastapi_app",
)
# What `prepare`, `train` and `evaluate` import: their pods come one after another, while a processor has nothing to do.
TRAINING = (
    "mlflow.data",
    "ultralytics.models.yolo.detect",
    "torch.onnx",
    "torch._dynamo",
    "torchvision",
    "matplotlib.pyplot",
    "onnx",
    "onnxslim",
    "nncf",
    "openvino",
    "git",
)
# Seconds that the set-up waits, once all is installed, for what is still being compiled.
LONGEST = 120
# The order lets what is compiled of one be done while the next is installed.
DEMO = (
    Environment("airflow", ("requirements.txt",), imports=SERVERS),
    Environment(
        "trainer",
        ("docker/trainer/requirements.txt",),
        overrides="docker/trainer/overrides.txt",
        torch=True,
        imports=TRAINING,
    ),
    # Compiled, as pip does in the image: a model's processes never write bytecode, and each would compile its imports.
    Environment(
        "triton", ("docker/triton/requirements.txt",), no_deps=("tools/tritonserver/requirements.txt",), compiled=True
    ),
    Environment("sandbox", ("sandbox/requirements.txt",)),
)
TESTS = (
    Environment("dev", ("requirements-dev.txt",), imports=SERVERS),
    # pytest alone, put on PYTHONPATH to test code inside the trainer's and Triton's environments as they are.
    Environment("pytest", ("requirements-pytest.txt",), target=True),
)


def check_machine() -> None:
    """Refuse a machine that cannot run the sandbox, with the way out in the message."""
    version = sys.version_info[:2]
    if not PYTHONS[0] <= version <= PYTHONS[1]:
        raise SetupError(
            f"Python {version[0]}.{version[1]} is not supported (3.11 and 3.12 are): "
            "install one of these and run `make PYTHON=python3.11 …`."
        )
    if shutil.which("git") is None:
        raise SetupError(
            "git is not installed: the sandbox deploys by Git. Install it (`apt install git`) and run again."
        )
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise SetupError(
            f"{machine} cannot run the sandbox: the wheel that carries Triton's server exists for Linux x86-64 only. "
            "Use a Linux x86-64 machine or virtual machine, or a cluster (docs/)."
        )
    if shutil.which("git") and _git_version() < (2, 32):
        raise SetupError(
            "git is older than 2.32, which the sandbox's repository mapping needs: upgrade git and run again."
        )


def _git_version() -> tuple[int, ...]:
    words = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return tuple(int(part) for part in words[2].split(".")[:2])


def installer() -> tuple[Path, dict[str, str]]:
    """uv and the environment to call it in; pip's own settings for find-links and index carry over."""
    tools = VENV / "tools"
    uv = tools / "bin" / "uv"
    stamp = tools / ".stamp"
    if not (uv.exists() and stamp.exists() and stamp.read_text() == UV):
        shutil.rmtree(tools, ignore_errors=True)
        try:
            _call([sys.executable, "-m", "venv", str(tools)])
        except SetupError as error:
            raise SetupError(f"{error} On Debian and Ubuntu the package python3-venv is needed.") from error
        _call([str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", UV])
        stamp.write_text(UV)
    environment = dict(os.environ)
    # What uv compiles lies beside the code: a model's processes ignore this variable.
    environment.pop("PYTHONPYCACHEPREFIX", None)
    for pip_name, uv_name in (
        ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ):
        if environment.get(pip_name) and not environment.get(uv_name):
            environment[uv_name] = environment[pip_name]
    environment.setdefault("UV_HTTP_TIMEOUT", "180")
    return uv, environment


def _call(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupError(f"`{' '.join(command)}` ended with {done.returncode}:\n{tail}\n")


def torch_backend(environment: Environment, uv: Path, variables: dict[str, str], python: Path) -> list[str]:
    """uv's option by which torch comes as the build for this machine's processor or GPU, from PyTorch's own index.

    Without it torch comes from the package index, which has the CUDA build alone: 3 GB more. Nothing is chosen where
    UV_TORCH_BACKEND names a build, and where PyTorch's index cannot be reached.
    """
    if not environment.torch or variables.get("UV_TORCH_BACKEND"):
        return []
    option = ["--torch-backend", "auto"]
    pins = (ROOT / environment.requirements[0]).read_text().split()
    torch = next(pin for pin in pins if pin.startswith("torch=="))
    probe = [str(uv), "pip", "install", "--dry-run", "--no-deps", "--python", str(python), *option, torch]
    quick = {**variables, "UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "0"}
    if subprocess.run(probe, env=quick, capture_output=True).returncode == 0:
        return option
    sys.stdout.write(
        "  PyTorch's own index cannot be reached, so torch comes from the package index (CUDA build, 5 GB)\n"
    )
    return []


def build(environment: Environment, uv: Path, variables: dict[str, str]) -> None:
    """Make one environment; the stamp is written last, so that a half-made one is never taken for whole.

    Raises:
        SetupError: uv failed; its last lines are in the message.
    """
    home = VENV / environment.name
    shutil.rmtree(home, ignore_errors=True)
    if environment.target:
        where = ["--target", str(home), "--python", sys.executable]
    else:
        _call([str(uv), "venv", "--quiet", "--python", sys.executable, str(home)], variables)
        python = home / "bin" / "python"
        where = ["--python", str(python), *torch_backend(environment, uv, variables, python)]
    command = [str(uv), "pip", "install", "--quiet", *where, *(["--compile-bytecode"] if environment.compiled else [])]
    if environment.overrides:
        command += ["--override", str(ROOT / environment.overrides)]
    _call(command + [item for name in environment.requirements for item in ("-r", str(ROOT / name))], variables)
    for name in environment.no_deps:
        _call([str(uv), "pip", "install", "--quiet", *where, "--no-deps", "-r", str(ROOT / name)], variables)
    (home / ".stamp").write_text(environment.digest())


class Compiling:
    """Compiles what an environment's processes will import, while the next environment is installed.

    By importing it, in a folder and with a home of its own: they need a part of what is installed.
    """

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, environment: Environment) -> None:
        """Begin with an environment. A module that cannot be imported is compiled by whoever needs it."""
        if not environment.imports:
            return
        folder = VENV / "compiling" / environment.name
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"try: import {module}\nexcept Exception: pass" for module in environment.imports]
        names = ("HOME", "TMPDIR", "AIRFLOW_HOME", "YOLO_CONFIG_DIR")
        own = {**dict.fromkeys(names, str(folder)), "YOLO_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": ""}
        self._running.append(
            subprocess.Popen(
                [str(VENV / environment.name / "bin" / "python"), "-c", "\n".join(lines)],
                cwd=folder,
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def end(self, whole: bool) -> None:
        """Wait for all of it; end it where the set-up failed, and an import that hangs: it only saves time."""
        for each in self._running:
            try:
                each.wait(LONGEST if whole else 0)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
        shutil.rmtree(VENV / "compiling", ignore_errors=True)


def stale(environments: tuple[Environment, ...]) -> Iterator[Environment]:
    """The environments that are missing, half made, or older than their files."""
    for environment in environments:
        stamp = VENV / environment.name / ".stamp"
        if not stamp.exists() or stamp.read_text() != environment.digest():
            yield environment


def main(names: list[str]) -> int:
    """`python -m tools.environments [<name> …]`: print a line a step, with its seconds. No name: those of the demo."""
    start = time.monotonic()
    try:
        check_machine()
        wanted = tuple(each for each in TESTS + DEMO if each.name in names) if names else DEMO
        todo = list(stale(wanted))
        if not todo:
            return 0
        step = time.monotonic()
        uv, variables = installer()
        _say("installer (uv)", step)
        compiling, whole = Compiling(), False
        try:
            for environment in todo:
                step = time.monotonic()
                build(environment, uv, variables)
                compiling.start(environment)
                _say(f"environment {environment.name}: {', '.join(environment.files)}", step)
            whole = True
        finally:
            step = time.monotonic()
            compiling.end(whole)
        _say("compiled what the servers and the training import", step)
    except SetupError as error:
        sys.stderr.write(f"set-up: {error}\n")
        return 1
    _say("set-up done", start)
    return 0


def _say(what: str, since: float) -> None:
    sys.stdout.write(f"  {what:<88} {time.monotonic() - since:6.1f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
