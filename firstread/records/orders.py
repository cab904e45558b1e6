"""What the hospital's feeds said of orders, the studies of each order, and the feed messages that have come before."""

from collections.abc import Iterable, Mapping

from pynamodb.exceptions import PutError

from firstread.errors import TransientError
from firstread.order import Order, Priority
from firstread.records.tables import OrderRow
from firstread.records.transactions import is_unmet_condition

_ORDER = "order"
_STUDY = "study#"
_MESSAGE = "message"
_TRIES = 8
_SAID_AT = "updated_at"

Said = dict[str, tuple[str, str]]
"""Fact -> when it was said, and what."""


class OrderRepository:
    """Orders by reference (`firstread.refs.References.order`).

    Feeds deliver late, twice and out of order. Each fact of an order is kept with the time of the message that said
    it, and a message only changes what nobody said later: whatever the order of arrival, the same row results.
    """

    def get(self, order_ref: str) -> Order | None:
        """Return what is known of an order, or None."""
        return self.get_many([order_ref]).get(order_ref)

    def get_many(self, order_refs: Iterable[str]) -> dict[str, Order]:
        """Return what is known of several orders; those that no feed named are left out."""
        keys = [(each, _ORDER) for each in sorted(set(order_refs)) if each]
        return {row.order_ref: _order(_said(row)) for row in OrderRow.batch_get(keys, consistent_read=True)}

    def put(self, order_ref: str, order: Order) -> bool:
        """Add what a message says of an order; what was said later stays.

        Parameters
        ----------
        order_ref
            The order.
        order
            What the message says. Only fields that were given count as said; `updated_at` is the time of the message.

        Returns
        -------
        bool
            Whether that changed anything that is known.

        Raises
        ------
        TransientError
            If others kept changing the order.
        """
        news: Said = {
            fact: (order.updated_at, str(getattr(order, fact)))
            for fact in order.model_fields_set - {_SAID_AT}
        }
        for _ in range(_TRIES):
            row = self._row(order_ref)
            known = _said(row) if row is not None else {}
            both = merged(known, news)
            if both == known:
                return False
            revision = int(row.revision) if row is not None else 0
            if self._write(order_ref, both, revision):
                return True
        raise TransientError("the order kept changing")

    def _row(self, order_ref: str) -> OrderRow | None:
        try:
            return OrderRow.get(order_ref, _ORDER, consistent_read=True)
        except OrderRow.DoesNotExist:
            return None

    def _write(self, order_ref: str, said: Said, revision: int) -> bool:
        row = OrderRow(order_ref=order_ref, item=_ORDER, revision=revision + 1, body={"said": said})
        condition = OrderRow.revision == revision if revision else OrderRow.item.does_not_exist()
        try:
            row.save(condition=condition)
        except PutError as error:
            if not is_unmet_condition(error):
                raise
            return False
        return True

    def link(self, order_ref: str, study_uid: str) -> None:
        """Record that a study was made for an order; it may be recorded before the order is known."""
        OrderRow(order_ref=order_ref, item=f"{_STUDY}{study_uid}", body={}).save()

    def studies(self, order_ref: str) -> list[str]:
        """Return the pseudonymous UIDs of an order's studies."""
        rows = OrderRow.query(order_ref, OrderRow.item.startswith(_STUDY), consistent_read=True)
        return [row.item.removeprefix(_STUDY) for row in rows]

    def first(self, message_ref: str, object_key: str) -> bool:
        """Claim a feed message for an object; tell whether no other object brought it before."""
        row = OrderRow(order_ref=f"{_MESSAGE}#{message_ref}", item=_MESSAGE, body={"object_key": object_key})
        try:
            row.save(condition=OrderRow.item.does_not_exist())
        except PutError as error:
            if not is_unmet_condition(error):
                raise
            there = OrderRow.get(row.order_ref, _MESSAGE, consistent_read=True)
            return bool(there.body["object_key"] == object_key)
        return True


def merged(known: Mapping[str, tuple[str, str]], news: Mapping[str, tuple[str, str]]) -> Said:
    """Return what two sets of facts say together: of each fact, what was said last.

    Two messages of the same moment: the more cautious one counts, so that no order of arrival decides.
    """
    both = dict(known)
    for fact, (at, value) in news.items():
        if fact not in both or _later(fact, at, value) > _later(fact, *both[fact]):
            both[fact] = (at, value)
    return both


def _later(fact: str, at: str, value: str) -> tuple[str, int, str]:
    if fact == "priority":
        return at, -Priority(value).order, ""
    if fact == "read_elsewhere_at":
        return at, int(not value), value  # not read
    return at, 0, value


def _said(row: OrderRow) -> Said:
    return {fact: (str(at), str(value)) for fact, (at, value) in row.body["said"].items()}


def _order(said: Said) -> Order:
    values = {fact: value for fact, (_, value) in said.items()}
    return Order.model_validate(values | {_SAID_AT: max((at for at, _ in said.values()), default="")})
