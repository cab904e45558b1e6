"""What can be wrong with a vault. No text here names a patient."""

from firstread.errors import FirstReadError


class VaultError(FirstReadError):
    """Base of the vault's errors."""


class VaultKeyError(VaultError):
    """The key does not belong to this vault, or what was opened is no vault."""


class VaultDamagedError(VaultError):
    """A row or a line is not what was written: changed, moved or cut off."""


class MergeError(VaultError):
    """A merge that cannot be: of a patient with itself, in a circle, or of one who is merged already."""


class RefusedError(VaultError):
    """Somebody asked the vault for what they may not see or do; the reason is the text."""
