"""What is kept in memory, and what goes."""

from portal.logic.dicomweb.keeping import Kept


def test_what_was_used_least_lately_goes_first() -> None:
    kept: Kept[str] = Kept(6, len)
    kept.put("a", "aaa")
    kept.put("b", "bbb")
    assert kept.get("a") == "aaa"
    kept.put("c", "ccc")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == ("aaa", None, "ccc")


def test_the_last_value_is_kept_whatever_its_size() -> None:
    kept: Kept[str] = Kept(2, len)
    kept.put("a", "a")
    kept.put("b", "b" * 10)
    assert (kept.get("a"), kept.get("b")) == (None, "b" * 10)


def test_a_value_may_be_replaced() -> None:
    kept: Kept[str] = Kept(4, len)
    for text in ("aaaa", "a", "aa"):
        kept.put("a", text)
    kept.put("b", "bb")
    assert (kept.get("a"), kept.get("b")) == ("aa", "bb")
