"""Values as cells of a CSV file that a spreadsheet opens without computing anything. Pure."""

from typing import Any

_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> str:
    """`value` as text. A text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV
    injection); numbers stay as they are.
    """
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" \u3000\ufeff\u200b").startswith(_COMPUTED) else text
