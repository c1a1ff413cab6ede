"""What model.py is made of: decoding, and the way to the letterbox and back."""
