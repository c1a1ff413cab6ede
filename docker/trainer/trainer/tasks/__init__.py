"""What can be trained, a folder a task."""
