"""What `prepare` and opening a dataset cost, beside Ultralytics' own scan of the same files."""
