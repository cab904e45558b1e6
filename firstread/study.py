"""The records of a study's way, as plain values: instance, study, version, finding, result, alert.

These are what logic works with; `firstread.records` stores them. None carries patient data: every UID is
pseudonymous, every description has been swept.
"""

import hashlib
from enum import StrEnum

from pydantic import Field

from firstread.order import Priority
from firstread.value import Value

# What routing asks for; without one of them a rule that names it does not match.
_ROUTED_BY = ("modality", "body_part", "view_position", "age_years", "sex", "rows", "columns", "photometric")


class InstanceFacts(Value):
    """What routing and the worklist need to know of an instance; typed, PHI-free, unknown is None or "".

    Parameters
    ----------
    age_years
        Age at the study in years from (0010,1010), else from birth and study date; None where unknown.
    study_date
        The shifted Study Date (0008,0020), as ``YYYYMMDD``; "" where unknown.
    is_recent
        Whether the true study date lies within the alerting window; computed before dates were shifted.
    simulated
        Synthetic Data (0008,001C) is YES (PS3.3 C.12.1).
    made_here
        A result object of FirstRead that came back: it is kept, and is no part of what is looked at.
    stat
        Requested Procedure Priority (0040,1003) is STAT or HIGH.
    image_type
        Values of Image Type (0008,0008), such as ``ORIGINAL``, ``PRIMARY``, ``LOCALIZER``.
    plane
        ``axial``, ``sagittal`` or ``coronal`` where Image Orientation (Patient) is within 30 degrees of it; else "".
    row_spacing_mm, column_spacing_mm, slice_thickness_mm
        Pixel Spacing (0028,0030) and Slice Thickness (0018,0050) in millimetres; None where unknown.
    frame_of_reference_uid
        Frame of Reference UID (0020,0052); "" for an image without one.
    study_series, study_instances, series_instances
        Numbers of related series and instances (0020,1206), (0020,1208), (0020,1209), where the sender knew them.
    """

    series_uid: str
    sop_class_uid: str
    modality: str = ""
    body_part: str = ""
    view_position: str = ""
    age_years: float | None = None
    sex: str = ""
    rows: int | None = None
    columns: int | None = None
    frames: int = 1
    photometric: str = ""
    transfer_syntax_uid: str = ""
    series_number: int | None = None
    instance_number: int | None = None
    study_description: str = ""
    series_description: str = ""
    manufacturer: str = ""
    image_type: tuple[str, ...] = ()
    plane: str = ""
    row_spacing_mm: float | None = None
    column_spacing_mm: float | None = None
    slice_thickness_mm: float | None = None
    frame_of_reference_uid: str = ""
    study_date: str = ""
    is_recent: bool = False
    simulated: bool = False
    made_here: bool = False
    stat: bool = False
    study_series: int | None = None
    study_instances: int | None = None
    series_instances: int | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the facts that the header did not tell, or not in a form that can be read; none is guessed."""
        return tuple(name for name in _ROUTED_BY if getattr(self, name) in ("", None))


def mark_of(sop_uid: str) -> str:
    """Return a short mark of a pseudonymous SOP Instance UID: thousands of them must fit into one record."""
    return hashlib.sha256(sop_uid.encode()).hexdigest()[:16]


class InstanceState(StrEnum):
    """Whether the instance can be analysed. A discarded one was held and given up."""

    STORED = "stored"
    HELD = "held"
    DISCARDED = "discarded"


class Instance(Value):
    """One instance of a study, stored in the studies bucket or held in quarantine.

    Parameters
    ----------
    digest
        Keyed digest of the dataset without group 0002; equal digests are the same content.
    core_digest
        Keyed digests of what a correction leaves alone: everything but patient and order attributes.
    superseded_digests
        Digests of what it was before corrections; whoever sends that again changes nothing.
    superseded_owners
        Pseudonym and references of orders before corrections, to know the same in another encoding.
    transfer_syntax_uid
        Encoding of the object as it arrived.
    studies_key
        Key in the studies bucket; empty for a held instance.
    source, batch, study_ref
        As in the receipt; `study_ref` is always known here.
    order_refs
        References of the accession and order numbers.
    rejects
        Marks (`mark_of`) of the instances that this one, a rejection note (IHE IOCM), withdraws.
    """

    study_uid: str
    sop_uid: str
    object_key: str
    object_version: str
    digest: str
    state: InstanceState
    reason: str = ""
    studies_key: str = ""
    patient: str
    received_at: str
    stored_at: str
    core_digest: str = ""
    superseded_digests: tuple[str, ...] = ()
    superseded_owners: tuple[str, ...] = ()
    transfer_syntax_uid: str = ""
    source: str = ""
    batch: str = ""
    study_ref: str = ""
    order_refs: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()
    facts: InstanceFacts


class AnalysisStatus(StrEnum):
    """Where a study's analysis stands."""

    RECEIVING = "receiving"
    WITHDRAWN = "withdrawn"
    ANALYSING = "analysing"
    ANALYSED = "analysed"
    NO_MODEL = "no model applies"
    FAILED = "failed"
    HELD = "held"


class ReviewStatus(StrEnum):
    """Where the reading of a study stands; each maps to a state of a Unified Procedure Step (PS3.4 CC.1.1).

    Unread is SCHEDULED, in progress and preliminary are IN PROGRESS, signed is COMPLETED.
    """

    UNREAD = "unread"
    IN_PROGRESS = "in progress"
    PRELIMINARY = "preliminary"
    SIGNED = "signed"


class Risk(StrEnum):
    """Risk band of a finding or a study. `NOT_FLAGGED` is never to be read as normal."""

    HIGH = "high"
    UNKNOWN = "unknown"
    NOT_FLAGGED = "not flagged"

    @property
    def order(self) -> int:
        """Return the position on the worklist, 0 first: what nobody has looked at stays above not flagged."""
        return list(Risk).index(self)


class StudyGathering(Value):
    """What the instances of a study say together.

    Parameters
    ----------
    study_ref, order_refs
        References of the original Study Instance UID and of the order numbers (`firstread.refs`).
    sources
        Who sent it.
    correlation_id
        The batch that brought its first object.
    stored_count, held_count, withdrawn_count, arrived_count
        Instances that were passed on, that are held, that a rejection note withdraws, and all that were recorded.
    series_count
        Series of the instances that were passed on; 0 where it was not counted.
    unread_count
        Objects in quarantine that a door knows to be of the study, and of which no instance could be recorded; as
        they were when a version was closed.
    expected_count
        How many there should be by the headers; None where they do not say.
    fingerprint
        Changes whenever a version of the study would.
    last_arrival
        When the last instance was recorded.
    stat
        Whether a header or a source asks for haste.
    study_date
        The shifted Study Date (0008,0020), as ``YYYYMMDD``; "" where unknown.
    is_live
        Whether anything of it came in a lane that somebody waits for; priors and backfill come in bulk.
    """

    study_uid: str
    study_ref: str = ""
    order_refs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    correlation_id: str = ""
    patient: str
    stored_count: int
    held_count: int
    withdrawn_count: int = 0
    unread_count: int = 0
    arrived_count: int = 0
    series_count: int = 0
    expected_count: int | None = None
    fingerprint: str = ""
    first_arrival: str
    last_arrival: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    description: str
    age_years: float | None
    sex: str
    is_recent: bool
    simulated: bool
    stat: bool = False
    study_date: str = ""
    is_live: bool = True

    @property
    def count(self) -> int:
        """Return the number of instances of the study now, held ones included."""
        return self.stored_count + self.held_count


class Study(Value):
    """A study as the worklist shows it.

    Parameters
    ----------
    version
        The current study version; 0 until the study was complete for the first time.
    version_count, version_fingerprint
        How many instances that version has, and the fingerprint they had.
    closed_by
        Why it was closed (`firstread.gathering.completeness.Closing`).
    signed_version
        The version a reader signed; 0 for none. What comes later reopens the study for an addendum.
    beside
        Models that are asked, too, and have no say on the worklist: in shadow, or aids.
    not_applicable
        Model id -> why it does not apply.
    review
        Where the reading stands (`firstread.review`).
    reader, claimed_at, claimed_until
        Who holds or last held the study for reading, since when, and until when nobody else should take it; "" for
        nobody.
    signed_at
        When the signed version was signed.
    priority, patient_class, location, read_elsewhere_at
        What headers, sources and the hospital's feeds say.
    read_elsewhere_version
        The version that `read_elsewhere_at` closes; a later one is open again.
    due_at
        When to look at it again; "" where nothing is waited for.
    """

    gathering: StudyGathering
    version: int = 0
    version_count: int = 0
    version_fingerprint: str = ""
    closed_by: str = ""
    completed_at: str = ""
    signed_version: int = 0
    signed_at: str = ""
    review: ReviewStatus = ReviewStatus.UNREAD
    reader: str = ""
    claimed_at: str = ""
    claimed_until: str = ""
    priority: Priority = Priority.ROUTINE
    patient_class: str = ""
    location: str = ""
    read_elsewhere_at: str = ""
    read_elsewhere_version: int = 0
    status: AnalysisStatus = AnalysisStatus.RECEIVING
    risk: Risk = Risk.UNKNOWN
    probability: float | None = None
    models: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    not_applicable: dict[str, str] = Field(default_factory=dict)
    alert_id: str = ""
    due_at: str = ""

    @property
    def study_uid(self) -> str:
        """Return the pseudonymous Study Instance UID."""
        return self.gathering.study_uid

    @property
    def is_closed(self) -> bool:
        """Whether somebody elsewhere has read the version that there is; such a study has a list of its own."""
        return bool(self.read_elsewhere_at) and self.version <= self.read_elsewhere_version

    @property
    def is_signed(self) -> bool:
        """Whether the version that there is has been signed; such a study has a list of its own."""
        return 0 < self.version == self.signed_version

    @property
    def is_reopened(self) -> bool:
        """Whether something came after a reader had signed."""
        return 0 < self.signed_version < self.version


class StudyVersion(Value):
    """One version of a study: what it had when it was closed. Written once; the next version supersedes it."""

    study_uid: str
    version: int
    completed_at: str
    instance_count: int
    held_count: int
    withdrawn_count: int = 0
    unread_count: int = 0
    expected_count: int | None = None
    closed_by: str = ""
    fingerprint: str = ""
    models: tuple[str, ...]
    beside: tuple[str, ...] = ()
    not_applicable: dict[str, str] = Field(default_factory=dict)

    @property
    def is_partial(self) -> bool:
        """Whether something of the study was held or could not be read, or is known to be missing."""
        missing = self.instance_count < (self.expected_count or 0)
        return self.held_count > 0 or self.unread_count > 0 or missing
