"""De-identification by PS3.15 Annex E: rules, free text, pixels, pseudonyms and the identity vault."""

from firstread.deid.options import METHOD_CODES, Option, Profile
from firstread.deid.process import deidentify
from firstread.deid.rules import Rules, rules
from firstread.deid.vault import IdentityVault, open_vault

__all__ = ["METHOD_CODES", "IdentityVault", "Option", "Profile", "Rules", "deidentify", "open_vault", "rules"]
