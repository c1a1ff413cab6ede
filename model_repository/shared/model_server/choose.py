"""Which engines and precisions may run a version, fastest first; lower ones only if the loss is known to be small."""

import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path

from model_server.choice import PROVIDERS, Choice
from model_server.record import VersionRecord
from model_server.settings import Settings

# Most that mAP50-95 (of a classifier: top-1) may fall against FP32 on the held-out split, for a lower precision to be
# used.
MOST_DROP = 0.005

# Flags of processors that compute in a precision; on others it would be slower than FP32.
FLAGS = {"int8": {"avx512_vnni", "avx_vnni", "amx_int8"}, "bf16": {"avx512_bf16", "amx_bf16"}}

# Fastest first. OpenVINO in FP32 is for those who ask for it: it is as fast as ONNX Runtime and takes longer to load.
ORDER = (
    Choice("tensorrt", "fp16"),
    Choice("tensorrt", "fp32"),
    Choice("cuda", "fp32"),
    Choice("openvino", "int8"),
    Choice("openvino", "bf16"),
    Choice("onnxruntime", "fp32"),
    Choice("openvino", "fp32"),
)


def choose(
    settings: Settings,
    record: VersionRecord,
    log: Callable[[str], None],
    cpu_info: Path = Path("/proc/cpuinfo"),
    providers: Collection[str] | None = None,
) -> list[Choice]:
    """What may run a version, in the order to try it; never empty, and the last one computes in FP32.

    Without a figure on the version (tag `precision_drop`, a JSON object such as {"bf16": 0.001, "int8": 0.003}) it
    stays at FP32, whatever the setting says. An engine that the settings name is the only one.

    Args:
        settings: MODEL_ENGINE and MODEL_PRECISION decide.
        record: the version.
        log: told why a precision that was asked for is not used.
        cpu_info: what the kernel says of the processor.
        providers: what ONNX Runtime can use here; None: ask it.
    """
    if providers is None:
        providers = _providers()
    asked, found = settings.precision, []
    for choice in ORDER:
        if not _engine_fits(choice, settings.engine, providers):
            continue
        if choice.precision != "fp32":
            if asked not in ("auto", choice.precision):
                continue
            if obstacle := _obstacle(choice, record, cpu_info):
                if asked == choice.precision:
                    log(f"stays at fp32 although MODEL_PRECISION is {asked}: {obstacle}")
                continue
        found.append(choice)
    if asked not in ("auto", "fp32"):
        found.sort(key=lambda choice: choice.precision != asked)  # stable: what was asked for comes first
    return found


def _engine_fits(choice: Choice, engine: str, providers: Collection[str]) -> bool:
    if engine != "auto":
        return choice.engine == engine
    if choice.on_gpu:
        return PROVIDERS[choice.engine] in providers
    return choice != Choice("openvino", "fp32")


def _obstacle(choice: Choice, record: VersionRecord, cpu_info: Path) -> str | None:
    """Why a lower precision is not for this version, or not for this machine."""
    name = choice.precision
    drop = record.precision_drop.get(name)
    if drop is None:
        return f"the version has no tag precision_drop with a figure for {name}; evaluate it in {name} first"
    if not drop <= MOST_DROP:
        return f"the evaluation found a loss of {drop:g} against FP32, and at most {MOST_DROP:g} is taken"
    if choice.on_gpu:
        return None
    if importlib.util.find_spec("openvino") is None:
        return "OpenVINO is not installed"
    lines = cpu_info.read_text(encoding="ascii", errors="replace").splitlines() if cpu_info.exists() else []
    if not any(FLAGS[name] & set(line.split()) for line in lines):
        return f"this processor does not compute in {name}, so that it would be slower"
    return None


def _providers() -> list[str]:
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return found
