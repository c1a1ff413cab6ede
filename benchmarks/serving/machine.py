"""Which processor it was, and how much of it others used meanwhile."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

# What decides how fast a network runs on a CPU.
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")
BF16 = {"avx512_bf16", "amx_bf16"}
INT8 = {"avx_vnni", "avx512_vnni", "amx_int8"}


@dataclass(frozen=True)
class Machine:
    """`flags`: of FLAGS, those that the processor has."""

    processor: str
    processors: int
    flags: tuple[str, ...]
    memory_gb: float

    @property
    def has_bf16(self) -> bool:
        """Whether it computes in bfloat16."""
        return bool(BF16 & set(self.flags))

    def computes_in(self, precision: str) -> bool:
        """Whether it has instructions for a precision; every processor has those for FP32."""
        return precision == "fp32" or bool({"bf16": BF16, "int8": INT8}[precision] & set(self.flags))

    def __str__(self) -> str:
        kind = f"bf16: {', '.join(sorted(BF16 & set(self.flags)))}" if self.has_bf16 else "no bf16"
        return (
            f"{self.processor}, {self.processors} processors, {self.memory_gb:.0f} GB; {kind}; "
            f"{', '.join(self.flags)}; AMX: {'yes' if 'amx_bf16' in self.flags else 'no'}"
        )


def this_machine() -> Machine:
    """Reads /proc/cpuinfo."""
    fields = dict(
        (key.strip(), value.strip())
        for key, _, value in (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    )
    present = set(fields.get("flags", "").split())
    return Machine(
        fields.get("model name", "unknown processor"),
        len(os.sched_getaffinity(0)),
        tuple(flag for flag in FLAGS if flag in present),
        psutil.virtual_memory().total / 2**30,
    )


class Busyness:
    """How many processors all processes together kept busy since it was made; steal (other guests) included."""

    def __init__(self) -> None:
        self._begin, self._clock = self._busy(), time.monotonic()

    def seconds(self) -> tuple[float, float]:
        """Busy processor seconds of the machine, and seconds passed."""
        return self._busy() - self._begin, time.monotonic() - self._clock

    @staticmethod
    def _busy() -> float:
        times = psutil.cpu_times()
        return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
