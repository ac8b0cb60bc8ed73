"""How often Python looks for cycles of objects that nobody holds any more."""

import gc

COLLECT_AFTER = 50_000
"""So many more objects that can hold others are made than freed before Python looks for cycles among the new ones."""


def settle() -> None:
    """To be called once all parts of a process are there: they stay, so the search for cycles need not visit them.

    With Python's own thresholds that search takes two fifths of a consumer's time, and finds next to nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)
