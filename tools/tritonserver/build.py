"""Makes the sandbox's stand-in for NVIDIA's Triton image out of the `nvidia-pytriton` wheel.

The wheel carries the real server binary and Python backend, but spread over a Python package: this script puts
them where Triton looks for them. Only the standard library is used, so any Python can run it:

    python build.py --venv .venv/triton --out .sandbox/images/triton

makes `OUT/bin/tritonserver`, a wrapper to put on PATH, and `OUT/backends/python/`, the Python backend with the stub
for the Python of that virtual environment, so that `model.py` sees the environment's packages.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess  # asks the environment's own interpreter where its packages are
import sys
from pathlib import Path

WRAPPER = """\
#!/bin/sh
# Written by tools/tritonserver/build.py: NVIDIA's server from the nvidia-pytriton wheel.
# The Python backend's stub embeds the first python3 on PATH, hence its packages: the environment's own comes first.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
PATH={venv_bin}:$PATH
LD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
# For Python programs that models may start; the stub itself ignores PYTHON* variables.
PYTHONDONTWRITEBYTECODE=1
export PATH LD_LIBRARY_PATH PYTHONDONTWRITEBYTECODE
unset PYTHONHOME
for argument in "$@"; do
  case $argument in
    --backend-directory | --backend-directory=*) exec {server} "$@" ;;
  esac
done
exec {server} --backend-directory="$here/../backends" "$@"
"""

ASK_INTERPRETER = """
import json, sys, sysconfig
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "packages": sysconfig.get_path("platlib"),
    "library_folder": sysconfig.get_config_var("LIBDIR"),
    "base_library_folder": sys.base_prefix + "/lib",
    "library": sysconfig.get_config_var("INSTSONAME") or "",
}))
"""


class BuildError(Exception):
    """The image cannot be made here; the message says why and what to do, in one line."""


def interpreter_of(venv: Path) -> dict[str, str]:
    """Asks the environment's Python for its version and its folders."""
    python = venv / "bin" / "python"
    if not python.exists():
        raise BuildError(
            f"no Python in {venv}: make the environment first from docker/triton/requirements.txt "
            "and tools/tritonserver/requirements.txt"
        )
    done = subprocess.run([str(python), "-I", "-c", ASK_INTERPRETER], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{python} does not run ({done.stderr.strip().splitlines()[-1:]}): make {venv} again")
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def library_folders(interpreter: dict[str, str], packages: Path) -> list[Path]:
    """Folders with the server's libraries and, where it is a shared library, the interpreter's libpython."""
    folders = [packages / "nvidia_pytriton.libs"]
    for key in ("library_folder", "base_library_folder"):
        folder = Path(interpreter[key] or "/nonexistent")
        if interpreter["library"].endswith(".so.1.0") and (folder / interpreter["library"]).exists():
            folders.append(folder)
            break
    return folders


def build(venv: Path, out: Path) -> Path:
    """Makes OUT/bin and OUT/backends and returns the wrapper's path. Running it again changes nothing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise BuildError(
            f"the nvidia-pytriton wheel exists for Linux x86-64 only, and this is {platform.system()} "
            f"{platform.machine()}: run on such a machine, or serve with NVIDIA's Triton image on a cluster"
        )
    interpreter = interpreter_of(venv)
    packages = Path(interpreter["packages"])
    wheel = packages / "pytriton" / "tritonserver"
    server = wheel / "bin" / "tritonserver"
    if not server.exists():
        raise BuildError(
            f"no nvidia-pytriton in {venv}: install it with "
            "`uv pip install --no-deps -r tools/tritonserver/requirements.txt`"
        )
    stub = wheel / "python_backend_stubs" / interpreter["version"] / "triton_python_backend_stub"
    if not stub.exists():
        found = ", ".join(sorted(folder.name for folder in (wheel / "python_backend_stubs").glob("3.*")))
        raise BuildError(
            f"nvidia-pytriton has no Python backend for Python {interpreter['version']} (it has {found}): "
            f"make {venv} with one of these"
        )
    for source in sorted((wheel / "backends" / "python").iterdir()):
        install(source, out / "backends" / "python" / source.name)
    install(stub, out / "backends" / "python" / stub.name)
    wrapper = out / "bin" / "tritonserver"
    text = WRAPPER.format(
        venv_bin=shlex.quote(str(venv / "bin")),
        libraries=shlex.quote(":".join(str(folder) for folder in library_folders(interpreter, packages))),
        server=shlex.quote(str(server)),
    )
    if not wrapper.exists() or wrapper.read_text() != text:
        replace(wrapper, lambda new: new.write_text(text))
    return wrapper


def install(source: Path, target: Path) -> None:
    """Puts a copy of a file at `target`, unless the same file is there."""
    if target.exists():
        mine, theirs = target.stat(), source.stat()
        if (mine.st_size, int(mine.st_mtime)) == (theirs.st_size, int(theirs.st_mtime)):
            return
    replace(target, lambda new: shutil.copy2(source, new))


def replace(target: Path, write) -> None:  # type: ignore[no-untyped-def]
    """Writes a file beside `target` and moves it there, so that a running server keeps the file that it has open."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    write(new)
    new.chmod(0o755)
    new.replace(target)


def main(arguments: list[str] | None = None) -> int:
    """Command line; a failure is one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description="Make the sandbox's Triton image from the nvidia-pytriton wheel.")
    parser.add_argument("--venv", type=Path, required=True, help="virtual environment with nvidia-pytriton")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    options = parser.parse_args(arguments)
    try:
        # Not resolve(): the environment's python is a link, and what it is called decides which packages it sees.
        build(options.venv.absolute(), options.out.absolute())
    except (BuildError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
