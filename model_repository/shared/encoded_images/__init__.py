"""Picture files: decoding, and the way to the letterbox and back."""
