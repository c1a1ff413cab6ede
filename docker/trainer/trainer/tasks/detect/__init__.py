"""Objects in boxes: YOLO detectors."""
