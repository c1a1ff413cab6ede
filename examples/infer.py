"""Sends pictures to a served detector and saves them with the boxes drawn.

    python examples/infer.py photo.jpg --url http://127.0.0.1:8000 --model digits
    python examples/infer.py a.png b.png --protocol grpc --url 127.0.0.1:8001 --model digits --out found/

The files themselves are sent where the server decodes them (`<model>_encoded` is served), and letterboxed tensors
otherwise; several pictures go as batches. For many pictures, see infer_async.py.

Needs numpy, Pillow and tritonclient: `pip install "./clients/python[http,grpc]"`, or the repository's own environment.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients" / "python"))

from yolo_client import Detector, DetectorError, draw_detections

DEFAULT_PORTS = {"http": 8000, "grpc": 8001}
# What the server decodes; Pillow opens more.
DECODED = {".jpg", ".jpeg", ".png", ".webp"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Detect objects through Triton and draw the boxes on the pictures.")
    parser.add_argument("pictures", nargs="+", type=Path, help="picture files of any size")
    parser.add_argument("--model", required=True, help="Triton's name of the model, such as digits")
    parser.add_argument("--protocol", choices=sorted(DEFAULT_PORTS), default="http")
    parser.add_argument("--url", help="address of Triton (default: this machine, the protocol's usual port)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--encoded", action="store_true", help="send the files, JPEG, PNG or WebP (default: if possible)")
    way.add_argument("--tensor", action="store_true", help="decode and letterbox here, and send tensors")
    way.add_argument("--size", type=int, help="tensors of this side (default: what the model was trained for)")
    parser.add_argument("--confidence", type=float, help="least confidence, 0-1 (default: the server's)")
    parser.add_argument("--iou", type=float, help="overlap that suppresses, 0-1 (default: the server's)")
    parser.add_argument("--out", type=Path, default=Path("detections"), help="folder for the drawn pictures")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one call")
    options = parser.parse_args(arguments)
    options.url = options.url or f"127.0.0.1:{DEFAULT_PORTS[options.protocol]}"
    return options


def load(path: Path) -> Image.Image:
    """Opens a picture, upright, as RGB."""
    with Image.open(path) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def target(folder: Path, path: Path, used: set[Path]) -> Path:
    """A file name for a drawn picture that no other picture of this call has."""
    candidate, number = folder / f"{path.stem}.png", 1
    while candidate in used:
        number += 1
        candidate = folder / f"{path.stem}-{number}.png"
    used.add(candidate)
    return candidate


def main(arguments: list[str] | None = None) -> int:
    """Detects, prints the boxes, saves the drawn pictures."""
    options = parse(arguments)
    thresholds = {"confidence": options.confidence, "iou": options.iou}
    try:
        pictures = [load(path) for path in options.pictures]
        with Detector(options.url, options.model, options.protocol, options.timeout) as detector:
            served = detector.served()
            chosen = options.encoded or options.tensor or options.size
            possible = not chosen and all(path.suffix.lower() in DECODED for path in options.pictures)
            as_files = options.encoded or (possible and detector.takes_files())
            if as_files:
                found = detector.detect_encoded(options.pictures, **thresholds)
            else:
                found = detector.detect([np.asarray(picture) for picture in pictures], options.size, **thresholds)
        print(f"{served.name} version {served.version}, run {served.run_id}, sha256 {served.sha256[:12]}…")
        print(f"sent as {'files' if as_files else 'tensors'} over {options.protocol}")
        options.out.mkdir(parents=True, exist_ok=True)
        used: set[Path] = set()
        for path, picture, rows in zip(options.pictures, pictures, found, strict=True):
            drawn = target(options.out, path, used)
            draw_detections(picture, rows, served.class_names).save(drawn)
            print(f"{path}: {len(rows)} detections, drawn in {drawn}")
            for x1, y1, x2, y2, confidence, index in rows.tolist():
                print(f"  {served.class_name(int(index))} {confidence:.2f} [{x1:.0f}, {y1:.0f}, {x2:.0f}, {y2:.0f}]")
    except (DetectorError, UnidentifiedImageError, OSError, ValueError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
