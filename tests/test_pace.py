"""How many threads a training step is given while the machine has other things to do."""

from engine.pace import IN_A_ROW, LONGEST_S, TRY_AGAIN_S, Pace

QUICK, HELD_UP, ALONE = 0.8, 5.4, 1.5  # seconds of a step of 500 tokens


class Machine:
    """Steps of a run on a machine that another program may use too."""

    def __init__(self, threads: int = 2) -> None:
        self.set: list[int] = []
        self.pace = Pace(threads, self.set.append)

    def steps(self, count: int, *, busy: bool = False, tokens: int = 500) -> None:
        for _ in range(count):
            seconds = ALONE if self.pace.fewer else HELD_UP if busy else QUICK
            self.pace.took(seconds * tokens / 500, tokens)


def test_a_quiet_machine_is_left_alone_whatever_the_length_of_the_batches():
    machine = Machine()
    for tokens in (500, 900, 200, 1500) * 50:
        machine.steps(1, tokens=tokens)
    assert machine.set == []


def test_while_another_program_holds_a_core_one_thread_fewer_is_used_and_later_all_again():
    machine = Machine(4)
    machine.steps(20)
    machine.steps(IN_A_ROW - 1, busy=True)
    assert machine.set == []
    machine.steps(1, busy=True)
    assert machine.set == [3] and machine.pace.fewer
    machine.steps(round(TRY_AGAIN_S / ALONE))
    assert machine.set == [3, 4] and not machine.pace.fewer
    machine.steps(100)
    assert machine.set == [3, 4]


def test_one_slow_step_changes_nothing():
    machine = Machine()
    for _ in range(20):
        machine.steps(5)
        machine.steps(1, busy=True)
    assert machine.set == []


def test_on_a_machine_that_stays_busy_vain_tries_become_rare():
    machine = Machine()
    machine.steps(20)
    machine.steps(3000, busy=True)
    tries = machine.set.count(2)
    assert 5 <= tries <= 3000 * ALONE / LONGEST_S + 6


def test_a_single_thread_stays_one():
    machine = Machine(1)
    machine.steps(20)
    machine.steps(50, busy=True)
    assert machine.set == []
