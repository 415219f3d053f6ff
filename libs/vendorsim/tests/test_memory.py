"""What a vendor remembers, and work that gets done as time passes. The time is a number here."""

from allweather.vendorsim.memory import PromptCache, Shelf
from allweather.vendorsim.sealing import genuine, seal
from allweather.vendorsim.work import LINES_A_SECOND, Work

SALT = "0123456789abcdef"


def test_shelf_forgets_the_oldest() -> None:
    shelf = Shelf[int](2)
    for number in range(3):
        shelf.put(f"n{number}", number)

    assert [shelf.get(f"n{number}") for number in range(3)] == [None, 1, 2]
    assert shelf.latest() == [2, 1]
    assert shelf.drop("n2")
    assert not shelf.drop("n2")


def test_prompt_cache_finds_the_longest_prefix_until_it_expires() -> None:
    cache = PromptCache()
    cache.keep("ab", now=0.0, seconds=300)

    assert cache.longest(["a", "ab", "abc"], now=299.0) == 2
    assert cache.longest(["a", "ab", "abc"], now=301.0) == 0
    assert cache.longest(["x"], now=1.0) == 0


def test_seal_is_known_again_only_by_its_owner_and_on_what_it_was_put() -> None:
    token = seal("me", SALT, "what I thought")

    assert genuine(token, "me", "what I thought")
    assert not genuine(token, "me", "what I had rather thought")
    assert not genuine(token, "you", "what I thought")
    assert not genuine(token[:-1] + "x", "me", "what I thought")
    assert not genuine("", "me", "what I thought")
    assert not genuine(None, "me", "what I thought")


def test_work_gets_done_as_time_passes() -> None:
    work = Work(range(LINES_A_SECOND * 2), lambda line: line, started=100.0)

    work.advance(100.0)
    assert (len(work.done), work.ended) == (0, None)
    work.advance(101.05)
    assert LINES_A_SECOND - 1 <= len(work.done) <= LINES_A_SECOND
    assert work.ended is None
    work.advance(110.0)
    assert (len(work.left), work.ended) == (0, 110.0)


def test_stopped_work_keeps_what_was_done() -> None:
    work = Work(range(LINES_A_SECOND * 2), lambda line: line, started=100.0)
    work.advance(101.05)
    done = len(work.done)

    work.stop()
    work.advance(110.0)

    assert (len(work.done), work.ended) == (done, 110.0)
    assert len(work.left) == LINES_A_SECOND * 2 - done


def test_work_without_lines_ends_by_itself() -> None:
    work = Work[int, int]([], lambda line: line, started=100.0)

    work.advance(101.0)

    assert work.ended == 101.0
