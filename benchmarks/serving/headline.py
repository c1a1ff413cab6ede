"""The few figures that the README shows, from the rows of a run: ours, the bare engine and the usual model.py."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.pages import markdown_table
from benchmarks.serving.cases import BARE, FLOAT, HTTP, IN_PROCESS, JPEG, OURS, USUAL, Subject

Row = Mapping[str, Any]

ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "cuda": "CUDA", "tensorrt": "TensorRT"}
# What each path is asked with: the row of one image a request that stands for it.
ASKED = {BARE: (FLOAT, IN_PROCESS), USUAL: (FLOAT, HTTP), OURS: (JPEG, HTTP)}
WHAT = {
    BARE: "the engine alone: tensor → raw output, in process",
    USUAL: "the usual model.py: tensor → raw output, HTTP",
    OURS: "ours: JPEG → boxes, HTTP",
}
ORT, USUAL_MODEL = Subject(BARE, "onnxruntime", "fp32"), Subject(USUAL, "onnxruntime", "fp32")


@dataclass(frozen=True)
class Figures:
    """One subject's: `p50_ms` of one client, and `rps`, requests/s, of eight."""

    subject: Subject
    p50_ms: float
    rps: float

    @property
    def runs(self) -> str:
        """Engine and precision, as they are written."""
        return f"{ENGINES[self.subject.engine]} {self.subject.precision.upper()}"


def headline(rows: Sequence[Row]) -> list[Figures]:
    """The bare engine, the usual model.py, and our server as it is by default: those that were measured."""
    return list(_figures(rows, [ORT, USUAL_MODEL, *_default(rows)]))


def text(rows: Sequence[Row]) -> str:
    """The README's table: the headline, and ours and the bare engine each in the other's precision."""
    default = _default(rows)
    alike = [
        *(Subject(OURS, "onnxruntime", "fp32") for _ in default),
        *(Subject(BARE, each.engine, each.precision) for each in default),
    ]
    cells = [
        [WHAT[each.subject.path], each.runs, f"{each.p50_ms:.1f}", f"{each.rps:.1f}"]
        for each in _figures(rows, dict.fromkeys([ORT, USUAL_MODEL, *default, *alike]))
    ]
    return "\n".join(markdown_table(["what", "engine", "1 client: p50 ms", "8 clients: requests/s"], cells))


def _default(rows: Sequence[Row]) -> list[Subject]:
    """What our server chose by itself, which is measured first; none where it was not measured."""
    return [Subject(OURS, row["engine"], row["precision"]) for row in rows if row["path"] == OURS][:1]


def _figures(rows: Sequence[Row], subjects: Iterable[Subject]) -> Iterator[Figures]:
    for subject in subjects:
        one, eight = _row(rows, subject, 1), _row(rows, subject, 8)
        if one and eight:
            yield Figures(subject, one["p50_ms"], eight["rps"])


def _row(rows: Sequence[Row], subject: Subject, clients: int) -> Row | None:
    kind, protocol = ASKED[subject.path]
    wanted = {
        "path": subject.path,
        "engine": subject.engine,
        "precision": subject.precision,
        "input": kind,
        "protocol": protocol,
        "clients": clients,
        "batch": 1,
    }
    return next((row for row in rows if wanted.items() <= row.items()), None)
