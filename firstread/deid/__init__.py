"""De-identification by PS3.15 Annex E: rules, free text, pixels' gate, pseudonyms and the identity vault."""

from firstread.deid.engine import Deidentified, deidentify
from firstread.deid.rules import Option, Rules, pipeline_rules
from firstread.deid.vault import IdentityVault

__all__ = ["Deidentified", "IdentityVault", "Option", "Rules", "deidentify", "pipeline_rules"]
