"""What a hospital's other systems say: HL7 v2 messages as typed facts."""

from firstread.feeds.errors import FeedError
from firstread.feeds.hl7v2 import (
    KINDS,
    FeedMessage,
    OrderFacts,
    OrderMessage,
    OrderNumbers,
    PatientIdentifier,
    PatientMerge,
    ReportFacts,
    ReportMessage,
    parse,
)

__all__ = [
    "KINDS",
    "FeedError",
    "FeedMessage",
    "OrderFacts",
    "OrderMessage",
    "OrderNumbers",
    "PatientIdentifier",
    "PatientMerge",
    "ReportFacts",
    "ReportMessage",
    "parse",
]
