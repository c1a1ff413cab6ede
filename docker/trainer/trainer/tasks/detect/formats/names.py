"""Class names as data.yaml gives them."""

from __future__ import annotations

from typing import Any

from trainer.datasets.accents import composed
from trainer.errors import InputError


def class_names(data: dict[str, Any], written: dict[str, Any], file: str) -> list[str]:
    """The names by number.

    Args:
        data: the description as YAML reads it.
        written: the same with every value as the text that is written there.
        file: its name, for messages.

    Raises:
        InputError: there are none, or they are not numbered from 0, not different, or not text.
    """
    names = data.get("names")
    if not names or not isinstance(names, (list, dict)):
        raise InputError(f"{file} has no names: list the classes under `names`, in the order of their numbers.")
    if isinstance(names, dict):
        values, texts = _in_order(names, file), _in_order(written["names"], file)
    else:
        values, texts = names, written["names"]
    _refuse_other_types(values, texts, file)
    found = [composed(str(value).strip()) for value in values]
    require_distinct(found, file)
    count = data.get("nc")
    if count is not None and str(count) != str(len(found)):
        raise InputError(f"{file} says nc: {count} but names {len(found)} classes. Make them agree.")
    return found


def require_distinct(names: list[str], file: str) -> None:
    """Raise InputError where two classes have one name, or a class has none."""
    twice = (
        sorted({name for name in names if names.count(name) > 1 or not name}) if len(set(names)) < len(names) else []
    )
    if twice or "" in names:
        raise InputError(
            f"{file} gives two classes one name (or an empty one): {', '.join(map(repr, twice[:10] or ['']))}. "
            "Give each class a name of its own."
        )


def _in_order(names: dict[Any, Any], file: str) -> list[Any]:
    """Values by their numbers, which may be written as text ("0")."""
    numbers = {int(key) if str(key).strip().isdigit() else key: value for key, value in names.items()}
    if len(numbers) != len(names) or set(numbers) != set(range(len(numbers))):
        given = ", ".join(str(key) for key in sorted(names, key=str)[:10])
        raise InputError(
            f"{file} numbers its names {given}; they must be 0 to {len(names) - 1}, each once and none left out."
        )
    return [numbers[number] for number in range(len(numbers))]


def _refuse_other_types(values: list[Any], texts: list[Any], file: str) -> None:
    """YAML takes yes, no, on, off, null, 010 and 12:30 for other than the text, `- 0: cat` for a mapping."""
    if values and all(isinstance(value, dict) for value in values):
        raise InputError(
            f"{file} lists its names with a dash and a number, too, such as `- {_one_line(texts[0])}`. Leave out the "
            "dashes, or the numbers."
        )
    odd = [
        f"{text!r} (read as {value!r})"
        for value, text in zip(values, texts, strict=True)
        if not isinstance(text, str) or (not isinstance(value, str) and str(value) != text)
    ]
    if odd:
        raise InputError(
            f"{file} has class names that YAML does not read as text: {', '.join(odd[:10])}. Quote them, such as "
            "names: ['yes', 'no']."
        )


def _one_line(mapping: dict[str, Any]) -> str:
    """A mapping as a person writes it."""
    return ", ".join(f"{key}: {value}" for key, value in mapping.items())
