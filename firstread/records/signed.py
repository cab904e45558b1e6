"""What readers have signed, as far as alerts and communications ask."""

from firstread.records.tables import ReviewRow
from firstread.review import Review

_PREFIX = "review#"


class SignedReviews:
    """Reads reviews; others write them."""

    def of_study(self, study_uid: str) -> list[Review]:
        """Return the reviews of a study that were signed, oldest first."""
        rows = ReviewRow.query(study_uid, ReviewRow.item.startswith(_PREFIX))
        reviews = [Review.model_validate(row.body) for row in rows]
        return [review for review in reviews if review.signed_at]
