"""How long work says where it stands."""

from engine.watching import TimeLeft


def told(*seen: tuple[float, int], total: int = 100) -> list[str]:
    """What is said at these (seconds, done)."""
    times = iter([seconds for seconds, _ in seen])
    left = TimeLeft(clock=lambda: next(times))
    return [left.told("Asking base", done, total) for _, done in seen]


def test_the_time_left_follows_from_the_pace():
    assert told((0, 0), (10, 20)) == ["Asking base: 0 of 100", "Asking base: 20 of 100, about 40 s left"]
    assert told((0, 0), (10, 2))[-1] == "Asking base: 2 of 100, about 9 min left"  # 98 at a fifth a second: 490 s


def test_nothing_is_promised_in_the_first_seconds_nor_of_what_is_done():
    assert told((0, 0), (2, 50), (10, 100)) == [
        "Asking base: 0 of 100",
        "Asking base: 50 of 100",
        "Asking base: 100 of 100",
    ]


def test_what_was_done_before_does_not_set_the_pace_for_long():
    at_once = [(0.001 * n, n) for n in range(500)]
    slowly = [(1.0 * n, 500 + n) for n in range(1, 61)]
    assert told(*at_once, *slowly, total=1000)[-1] == "Asking base: 560 of 1000, about 8 min left"


def test_each_piece_of_work_has_a_pace_of_its_own():
    times = iter([0.0, 10.0, 20.0, 30.0])
    left = TimeLeft(clock=lambda: next(times))
    left.told("Asking base", 0, 10)
    left.told("Asking base", 10, 10)
    assert left.told("Asking tuned", 0, 10) == "Asking tuned: 0 of 10"
    assert left.told("Asking tuned", 1, 10) == "Asking tuned: 1 of 10, about 90 s left"
