"""Detectors of burned-in text that need no packages."""

from collections.abc import Sequence

from firstread.deid.burned_in import TextBox


class NoText:
    """Finds nothing: for tests that are not about pixels."""

    def find(self, _image: object) -> Sequence[TextBox]:
        """Find nothing."""
        return []
