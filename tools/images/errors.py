"""What can go wrong in a way that a person can mend."""


class ImageError(Exception):
    """An image was not built or does not work; the message says what to do."""
