"""A typed client of the detector that Triton serves: blocking and for asyncio, over HTTP and gRPC, with drawing.

Needs numpy, Pillow and tritonclient only; nothing of the training or of Airflow.
"""

from yolo_client.async_client import AsyncDetector
from yolo_client.calls import Answer
from yolo_client.client import Detector
from yolo_client.draw import draw_detections
from yolo_client.errors import DetectorError, NotServing, RequestRefused, WrongModelServed
from yolo_client.letterbox import letterbox
from yolo_client.served import ServedModel
from yolo_client.transport import Protocol

__all__ = [
    "Answer",
    "AsyncDetector",
    "Detector",
    "DetectorError",
    "NotServing",
    "Protocol",
    "RequestRefused",
    "ServedModel",
    "WrongModelServed",
    "draw_detections",
    "letterbox",
]
