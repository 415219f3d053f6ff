import time

from allweather.runtime.clock import FixedClock, SystemClock


def test_the_system_clock_tells_milliseconds_since_the_epoch():
    before = time.time()

    now_ms = SystemClock().now_ms()

    assert before * 1000 - 1 <= now_ms <= time.time() * 1000 + 1


def test_a_fixed_clock_stands_still_until_told_to_advance():
    clock = FixedClock(now_ms=1_000)
    assert (clock.now_ms(), clock.monotonic()) == (1_000, 0.0)

    clock.advance(2.5)

    assert (clock.now_ms(), clock.monotonic()) == (3_500, 2.5)


def test_setting_a_clock_back_does_not_move_steady_time():
    clock = FixedClock(now_ms=10_000)
    clock.advance(1)

    clock.set_back(5)

    assert (clock.now_ms(), clock.monotonic()) == (6_000, 1.0)
