"""Texts that may stay in an image: markers of side and position, and physical quantities; nothing else.

The list is short on purpose. Sex, age, dates, times, names of rooms and devices, and lone numbers are not in it.
"""

import re

from firstread.deid.burned_in.boxes import TextBox

ALLOWED_WORDS = frozenset(
    {
        *("L", "R", "LEFT", "RIGHT"),
        *("PORTABLE", "ERECT", "SEMI-ERECT", "UPRIGHT", "SUPINE", "PRONE", "DECUBITUS"),
        *("AP", "PA", "LAT", "LATERAL", "RCC", "LCC", "RMLO", "LMLO"),
    }
)
ALLOWED_UNITS = frozenset({"kv", "kvp", "ma", "mas", "mm", "cm", "ms", "hz", "khz", "mhz", "db", "mgy"})

_WORDS = "|".join(re.escape(word) for word in sorted(ALLOWED_WORDS))
_UNITS = "|".join(sorted(ALLOWED_UNITS))
# Four digits at most, so that no record number and no date fits.
_PART = rf"(?:{_WORDS}|\d{{1,4}}(?:\.\d{{1,2}})? ?(?:{_UNITS}))"
_ALLOWED = re.compile(rf"{_PART}(?: {_PART}){{0,2}}", re.IGNORECASE | re.ASCII)
_LONGEST = 24
_WIDEST_LETTER = 1.6  # width of a letter with its spacing, in heights of its box


def is_allowed(box: TextBox) -> bool:
    """Tell whether a box may stay: its whole text is allowed, and the box is no wider than this text can be.

    Parameters
    ----------
    box
        With the text that was recognised in it; without one it may not stay.
    """
    text = " ".join(box.text.split())
    if not text or len(text) > _LONGEST or not _ALLOWED.fullmatch(text):
        return False
    # A reader that skips a faint name beside a bright "L" would leave a box far too wide for one letter; one
    # that reads one line of two, a box too high for its letters.
    width, height = box.right - box.left, box.bottom - box.top
    return 0 < height and width <= height * (_WIDEST_LETTER * len(text) + 0.5) and height <= 3 * width
