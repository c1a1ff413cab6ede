"""A detector as ONNX bytes, written by hand: the serving image has no package that makes ONNX files."""

import struct


def _varint(value: int) -> bytes:
    parts = bytearray()
    while True:
        parts.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(parts)


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message: a number, or text or a message with its length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _shaped(name: str, sizes: list[int | str]) -> bytes:
    """ValueInfoProto of FP32."""
    dimensions = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dimensions)))


def tiny_detector(notes: dict[str, str] | None = None, channels: int = 6) -> bytes:
    """A model from `images` (n, 3, h, w) to `output0` (n, channels, 1): the mean over all pixels, of each colour twice.

    `notes` become its metadata.
    """
    # GlobalAveragePool (n, 3, 1, 1), a Conv with 1x1 weights of one (n, channels, 1, 1), a Squeeze of the last axis.
    weights = struct.pack(f"<{channels * 3}f", *([1 / 3] * channels * 3))
    initializers = [
        _field(1, channels)
        + _field(1, 3)
        + _field(1, 1)
        + _field(1, 1)
        + _field(2, 1)
        + _field(8, "w")
        + _field(9, weights),
        _field(1, 1) + _field(2, 7) + _field(8, "axis") + _field(9, struct.pack("<q", 3)),
    ]
    nodes = [
        _field(1, "images") + _field(2, "means") + _field(4, "GlobalAveragePool"),
        _field(1, "means") + _field(1, "w") + _field(2, "columns") + _field(4, "Conv"),
        _field(1, "columns") + _field(1, "axis") + _field(2, "output0") + _field(4, "Squeeze"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny")
    graph += b"".join(_field(5, each) for each in initializers)
    graph += _field(11, _shaped("images", ["n", 3, "h", "w"])) + _field(12, _shaped("output0", ["n", channels, 1]))
    metadata = b"".join(_field(14, _field(1, key) + _field(2, value)) for key, value in (notes or {}).items())
    return _field(1, 9) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 17)) + metadata
