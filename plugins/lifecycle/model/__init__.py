"""What the parts say to each other: the pin, the target, what tasks return, and every name once. Pure data."""
