"""How much alerts ask of their readers, and how often they are right: over-alerting made visible."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from math import ceil
from statistics import median

from firstread.alert import Alert
from firstread.clock import from_text
from firstread.review import Review, Verdict
from portal.logic.records import Records
from portal.logic.worklist import View

MOST_DAYS = 31
_MOST_JUDGED = 500
_RIGHT = frozenset({Verdict.ACCEPTED, Verdict.MODIFIED})


class ReaderStatistics(View):
    """What one reader acknowledged.

    Parameters
    ----------
    busiest_hour
        The most alerts that they acknowledged within one hour of the clock.
    median_seconds, p90_seconds
        From delivery to acknowledging.
    """

    name: str
    acknowledged: int
    busiest_hour: int
    median_seconds: float | None
    p90_seconds: float | None


class ModelStatistics(View):
    """What one model's alerts came to.

    Parameters
    ----------
    judged, confirmed
        Alerts whose study was signed with a verdict on the model's findings; those of which one was accepted or
        modified.
    ppv
        Share of the judged that were confirmed; None where none was judged.
    """

    model_id: str
    alerts: int
    judged: int
    confirmed: int
    ppv: float | None


class AlertStatistics(View):
    """Alerts that were created within some days.

    Parameters
    ----------
    first, last
        Days in UTC, both included.
    simulated
        How many of them were of simulated studies.
    per_hour
        Alerts per hour, on average over the days.
    by_hour
        Alerts by hour of the day in UTC.
    escalation_rate
        Share of the delivered alerts of which a further level was called; None where none was delivered.
    judged_of
        How many alerts were looked at for verdicts: the newest.
    """

    first: date
    last: date
    total: int
    simulated: int
    unacknowledged: int
    escalated: int
    late: int
    escalation_rate: float | None
    per_hour: float
    busiest_hour: int
    by_hour: tuple[int, ...]
    median_seconds: float | None
    p90_seconds: float | None
    judged_of: int
    readers: tuple[ReaderStatistics, ...]
    models: tuple[ModelStatistics, ...]


def read_statistics(records: Records, first: date, last: date) -> AlertStatistics:
    """Return the statistics of some days; at most `MOST_DAYS`, which the caller has checked."""
    days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
    alerts = [alert for day in days for alert in records.alerts.of_day(day.isoformat())]
    return statistics(alerts, first, last, records.reviews.of_study)


def statistics(
    alerts: Sequence[Alert], first: date, last: date, reviews: Callable[[str], Iterable[Review]]
) -> AlertStatistics:
    """Return the statistics of alerts, oldest first.

    Parameters
    ----------
    alerts
        Those created from `first` to `last`.
    reviews
        Study UID -> its reviews, oldest first.
    """
    hours = Counter(alert.created_at[:13] for alert in alerts)
    of_day = Counter(int(hour[11:13]) for hour in hours.elements())
    delivered = [alert for alert in alerts if alert.delivered_at]
    escalated = sum(alert.level > 0 for alert in delivered)
    waits = [wait for wait in map(_wait, alerts) if wait is not None]
    judged = alerts[-_MOST_JUDGED:]
    return AlertStatistics(
        first=first,
        last=last,
        total=len(alerts),
        simulated=sum(alert.simulated for alert in alerts),
        unacknowledged=sum(alert.is_open for alert in alerts),
        escalated=escalated,
        late=sum(alert.is_late for alert in alerts),
        escalation_rate=escalated / len(delivered) if delivered else None,
        per_hour=len(alerts) / (24 * ((last - first).days + 1)),
        busiest_hour=max(hours.values(), default=0),
        by_hour=tuple(of_day[hour] for hour in range(24)),
        median_seconds=median(waits) if waits else None,
        p90_seconds=_p90(waits),
        judged_of=len(judged),
        readers=_readers(alerts),
        models=_models(alerts, judged, reviews),
    )


def _wait(alert: Alert) -> float | None:
    if not alert.acknowledged_at or not alert.delivered_at:
        return None
    waited = from_text(alert.acknowledged_at) - from_text(alert.delivered_at)
    return max(0.0, waited.total_seconds())


def _p90(values: Sequence[float]) -> float | None:
    """Return the nearest-rank 90th percentile."""
    return sorted(values)[ceil(0.9 * len(values)) - 1] if values else None


def _readers(alerts: Iterable[Alert]) -> tuple[ReaderStatistics, ...]:
    by_reader: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.acknowledged_by:
            by_reader[alert.acknowledged_by].append(alert)
    found = []
    for name, mine in sorted(by_reader.items()):
        waits = [wait for wait in map(_wait, mine) if wait is not None]
        found.append(
            ReaderStatistics(
                name=name,
                acknowledged=len(mine),
                busiest_hour=max(Counter(each.acknowledged_at[:13] for each in mine).values()),
                median_seconds=median(waits) if waits else None,
                p90_seconds=_p90(waits),
            )
        )
    return tuple(found)


def _models(
    alerts: Iterable[Alert], judged: Iterable[Alert], reviews: Callable[[str], Iterable[Review]]
) -> tuple[ModelStatistics, ...]:
    counts = Counter(alert.model_id for alert in alerts)
    said: dict[str, list[bool]] = defaultdict(list)
    for alert in judged:
        verdict = was_right(alert, reviews(alert.study_uid))
        if verdict is not None:
            said[alert.model_id].append(verdict)
    return tuple(
        ModelStatistics(
            model_id=model_id,
            alerts=number,
            judged=len(said[model_id]),
            confirmed=sum(said[model_id]),
            ppv=sum(said[model_id]) / len(said[model_id]) if said[model_id] else None,
        )
        for model_id, number in sorted(counts.items())
    )


def was_right(alert: Alert, reviews: Iterable[Review]) -> bool | None:
    """Tell whether a signed review left a finding of the alert's model standing; None where none has a verdict."""
    verdict: bool | None = None
    for review in (each for each in reviews if each.signed_at):
        said = [
            finding.verdict
            for finding in review.findings
            if finding.verdict is not None and finding.result_id.partition("#")[2] == alert.model_id
        ]
        if said:
            verdict = bool(_RIGHT & set(said))
    return verdict
