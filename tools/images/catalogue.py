"""The images and the bases that stand in for those that they are really built on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEALTH = "/opt/yolo-lifecycle/health.py"
VARIANTS = ("cpu", "gpu")


@dataclass(frozen=True)
class Image:
    """One image.

    `user` is what its configuration must say: the charts and the DAG's pods run it as that user. `base` names the
    stand-in for the base that its Dockerfile names.
    """

    name: str
    context: str
    user: str
    base: str
    variants: tuple[str, ...] = VARIANTS

    @property
    def dockerfile(self) -> Path:
        """Where it is described."""
        return ROOT / "docker" / self.name / "Dockerfile"

    @property
    def ignorefile(self) -> Path:
        """What keeps its context small: the Dockerfile's own, or the context's."""
        own = self.dockerfile.with_name("Dockerfile.dockerignore")
        return own if own.exists() else ROOT / self.context / ".dockerignore"


IMAGES = (
    Image("trainer", context="docker/trainer", user="1000:1000", base="python"),
    Image("triton", context="docker/triton", user="1000:1000", base="triton"),
    Image("lifecycle", context=".", user="1000:1000", base="python", variants=("cpu",)),
    # 50000 in the image; the official chart asks for that user by number.
    Image("airflow", context=".", user="airflow", base="airflow", variants=("cpu",)),
    Image("client", context=".", user="1000:1000", base="python", variants=("cpu",)),
)

# What each stand-in is made of: the folder of its Dockerfile is tools/images/bases/<name>.
BASES = {"python": None, "triton": "python", "airflow": "python"}
# As mmdebstrap makes it. libpython is what Triton's Python backend embeds.
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libpython3.11", "python3", "python3-pip", "python3-venv")


def base_folder(name: str) -> Path:
    """Where a stand-in is described."""
    return ROOT / "tools" / "images" / "bases" / name


def base_chain(name: str) -> list[str]:
    """A stand-in and those below it, the lowest first."""
    below = BASES[name]
    return [*(base_chain(below) if below else []), name]


def base_tag(name: str) -> str:
    """The local name of a stand-in."""
    return f"localhost/yolo-base-{name}:{SUITE}"
