"""Sends a folder of pictures to a served detector, several in flight at a time, and prints a line of JSON for each.

    python examples/infer_async.py photos/ --url http://127.0.0.1:8000 --model digits --in-flight 8

A picture that the server refuses gets its reason in place of boxes, and the others go on. The lines come in the order
of the answers. The server decodes the files, so `<model>_encoded` has to be served (the chart's default).

Needs numpy, Pillow and tritonclient: `pip install "./clients/python[http,grpc]"`, or the repository's own environment.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients" / "python"))

from yolo_client import AsyncDetector, DetectorError, RequestRefused

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Detect objects in a folder of pictures through Triton.")
    parser.add_argument("folder", type=Path, help="its JPEG, PNG and WebP files are sent")
    parser.add_argument("--model", required=True, help="Triton's name of the model, such as digits")
    parser.add_argument("--protocol", choices=["http", "grpc"], default="http")
    parser.add_argument("--url", help="address of Triton (default: this machine, the protocol's usual port)")
    parser.add_argument("--in-flight", type=int, default=8, help="requests at the same time (default: 8)")
    parser.add_argument("--confidence", type=float, help="least confidence, 0-1 (default: the server's)")
    options = parser.parse_args(arguments)
    options.url = options.url or f"127.0.0.1:{8000 if options.protocol == 'http' else 8001}"
    if options.in_flight < 1:
        parser.error("--in-flight must be at least 1")
    return options


async def detect_all(options: argparse.Namespace, paths: list[Path]) -> None:
    """Sends every picture and prints what is found; the first error that is not of one picture ends it."""
    places = asyncio.Semaphore(options.in_flight)
    async with AsyncDetector(options.url, options.model, options.protocol) as detector:
        names = await detector.served()

        async def one(path: Path) -> None:
            line: dict[str, Any] = {"file": path.name}
            async with places:
                try:
                    (rows,) = await detector.detect_encoded([path], options.confidence)
                    line["detections"] = [
                        {"class": names.class_name(int(row[5])), "confidence": round(row[4], 3), "box": row[:4]}
                        for row in rows.round(3).tolist()
                    ]
                except RequestRefused as error:
                    line["error"] = str(error)
            print(json.dumps(line))

        await asyncio.gather(*(one(path) for path in paths))


def main(arguments: list[str] | None = None) -> int:
    """Detects and prints; 1 where the server could not be asked."""
    options = parse(arguments)
    started = time.perf_counter()
    try:
        paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in SUFFIXES)
        asyncio.run(detect_all(options, paths))
    except (DetectorError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - started
    print(f"{len(paths)} pictures in {seconds:.1f} s, {len(paths) / seconds:.1f} a second", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
