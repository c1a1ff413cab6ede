"""Model folders for KServe: a version's code, configuration and ONNX file in one folder of a bucket, never changed."""
