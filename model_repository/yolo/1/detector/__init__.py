"""The task `detect`: what a detector takes and gives."""
