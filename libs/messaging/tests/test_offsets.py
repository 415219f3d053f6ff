"""The law of offsets: never past unfinished work, never forgetting finished work that a note can hold."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allweather.messaging.offsets import SPAN, Begun, OffsetTracker, read_note, write_note
from allweather.messaging.ports import Committed


def started(*offsets: int, committed: Committed | None = None) -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.rebase(committed)
    for offset in offsets:
        tracker.begin(offset)
    return tracker


def test_nothing_may_be_committed_before_anything_is_known() -> None:
    assert started().place() is None


def test_place_stops_at_the_first_unfinished_record() -> None:
    tracker = started(0, 1, 2)

    tracker.finish(0)
    tracker.finish(2)

    place = tracker.place()
    assert place is not None
    assert place.offset == 1
    assert list(read_note(place)) == [2]


def test_missing_offsets_hold_nothing_back() -> None:
    """Compaction and transaction markers leave gaps."""
    tracker = started(3, 7)

    tracker.finish(3)
    tracker.finish(7)

    assert tracker.place() == Committed(8)


def test_next_owner_knows_what_the_note_says() -> None:
    first = started(10, 11, 12)
    first.finish(11)
    place = first.place()

    second = started(committed=place)

    assert [second.begin(offset) for offset in (10, 11, 12)] == [Begun.NEW, Begun.FINISHED, Begun.NEW]


def test_record_still_running_here_is_not_begun_twice() -> None:
    tracker = started(5, committed=Committed(5))

    tracker.rebase(Committed(5))

    assert tracker.begin(5) is Begun.RUNNING


def test_work_that_another_owner_has_finished_holds_nothing_back() -> None:
    tracker = started(5, committed=Committed(5))

    tracker.rebase(Committed(9))

    assert tracker.place() == Committed(9)


def test_late_finish_of_work_of_an_earlier_assignment_changes_nothing() -> None:
    tracker = started(5, committed=Committed(5))
    tracker.rebase(Committed(9))

    tracker.finish(5)

    assert tracker.place() == Committed(9)


def test_group_moved_back_on_purpose_has_its_work_done_again() -> None:
    tracker = started(5, 6, committed=Committed(5))
    tracker.finish(5)
    tracker.finish(6)
    tracker.committed(Committed(7))
    tracker.rebase(Committed(5))

    assert tracker.begin(5) is Begun.NEW


def test_record_beyond_what_a_note_can_hold_is_not_admitted() -> None:
    tracker = started(0)

    assert tracker.admits(SPAN - 1)
    assert not tracker.admits(SPAN)


@given(st.integers(0, 2**62), st.sets(st.integers(0, SPAN - 1)))
def test_note_says_again_what_was_written_and_fits_into_kafka(base: int, distances: set[int]) -> None:
    finished = {base + distance for distance in distances}

    note = write_note(base, finished)

    assert set(read_note(Committed(base, note))) == finished
    assert len(note) <= 4096


@given(st.text())
def test_foreign_or_damaged_note_is_read_without_an_error(note: str) -> None:
    assert all(offset >= 7 for offset in read_note(Committed(7, note)))


class Group(RuleBasedStateMachine):
    """One partition, a group's place, and processes that get it in turn, crash, and finish late."""

    @initialize(gaps=st.lists(st.integers(1, 3), min_size=8, max_size=40))
    def log_with_gaps(self, gaps: list[int]) -> None:
        self.offsets = [sum(gaps[:n]) for n in range(len(gaps))]
        self.place: Committed | None = None
        self.noted: set[int] = set()  # what some owner had finished when it last committed
        self.finished: set[int] = set()  # what is done, by whomever
        self.processes = [OffsetTracker(), OffsetTracker()]
        self.running: list[set[int]] = [set(), set()]
        self.done: list[set[int]] = [set(), set()]
        self.owner = 0
        self.assign(0)

    def assign(self, process: int) -> None:
        self.owner = process
        self.processes[process].rebase(self.place)
        start = self.place.offset if self.place else 0
        self.undelivered = [offset for offset in self.offsets if offset >= start]

    @rule()
    def deliver(self) -> None:
        if not self.undelivered:
            return
        offset = self.undelivered.pop(0)
        begun = self.processes[self.owner].begin(offset)
        if begun is Begun.NEW:
            assert offset not in self.noted, "finished work was forgotten"
            assert offset not in self.done[self.owner], "this process has done it already"
            self.running[self.owner].add(offset)
        elif begun is Begun.FINISHED:
            assert offset in self.finished, "unfinished work was taken for finished"

    @precondition(lambda self: any(self.running))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from([n for n, running in enumerate(self.running) if running]))
        offset = data.draw(st.sampled_from(sorted(self.running[process])))
        self.running[process].remove(offset)
        self.finished.add(offset)
        self.done[process].add(offset)
        self.processes[process].finish(offset)

    @rule()
    def commit(self) -> None:
        place = self.processes[self.owner].place()
        if place is not None:
            self.processes[self.owner].committed(place)
            self.place = place
            known = set(read_note(place))
            self.noted = known | {offset for offset in self.offsets if offset < place.offset}

    @rule(process=st.integers(0, 1))
    def rebalance(self, process: int) -> None:
        self.assign(process)

    @rule(process=st.integers(0, 1))
    def crash(self, process: int) -> None:
        self.processes[process] = OffsetTracker()
        self.running[process] = set()
        self.done[process] = set()
        self.assign(1 - process)

    @invariant()
    def committed_offset_never_passes_unfinished_work(self) -> None:
        if self.place is not None:
            passed = {offset for offset in self.offsets if offset < self.place.offset}
            assert passed <= self.finished

    @invariant()
    def place_keeps_everything_that_this_owner_knows_to_be_finished(self) -> None:
        place = self.processes[self.owner].place()
        if place is not None:
            known = set(read_note(place)) | {offset for offset in self.offsets if offset < place.offset}
            assert self.done[self.owner] <= known


TestGroup = Group.TestCase
