"""One class an image: Ultralytics' classifiers, and torchvision's networks with their head."""
