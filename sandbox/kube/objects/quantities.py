"""Quantities of resources: what ``500m`` and ``2Gi`` amount to, and how the API server writes them."""

from __future__ import annotations

import re
from fractions import Fraction

FORM = re.compile(r"^\+?\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$")
_PARTS = re.compile(r"^\+?([\d.]+)(?:[eE]([+-]?\d+)|([A-Za-z]*))$")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"E": 6, "P": 5, "T": 4, "G": 3, "M": 2, "k": 1, "": 0, "m": -1, "u": -2, "n": -3}


def amount(text: str) -> Fraction:
    """A quantity as a number. Raises ValueError for what is none."""
    found = _PARTS.match(text)
    if not found or (found[3] or "") not in (*_BINARY, *_DECIMAL):
        raise ValueError(f"{text!r} is not a quantity")
    number, exponent, unit = Fraction(found[1]), found[2], found[3] or ""
    if exponent:
        return number * Fraction(10) ** int(exponent)
    if unit in _BINARY:
        return number * 1024 ** (_BINARY.index(unit) + 1)
    return number * Fraction(1000) ** _DECIMAL[unit]


def canonical(text: str) -> str:
    """A quantity in the largest unit in which it is whole: ``0.5`` is ``500m``, ``1024Mi`` is ``1Gi``."""
    found, number = _PARTS.match(text), amount(text)
    if found and found[2]:
        return text
    if number == 0:
        return "0"
    if found and found[3] in _BINARY and number.denominator == 1:
        power = max(power for power in range(len(_BINARY) + 1) if number % 1024**power == 0)
        return f"{number // 1024**power}{('', *_BINARY)[power]}"
    units = ((unit, number / Fraction(1000) ** power) for unit, power in _DECIMAL.items())
    return next((f"{count}{unit}" for unit, count in units if count.denominator == 1), text)
