"""Accents, which Unicode writes in two ways: names of files, folders and classes are compared in one of them."""

from __future__ import annotations

import unicodedata


def composed(text: str) -> str:
    """The text in NFC. A Mac writes é as e and an accent (NFD); others have it as one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
