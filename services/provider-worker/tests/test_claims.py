"""Who makes a call: what a worker does on meeting a claim."""

import pytest

from allweather.provider_worker.claims import Claim, Holder, Meeting, meet

ME = Holder("provider-worker.openai-0", 2)
MINE = Claim("a1", "dispatch/0/7", ME)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (Claim("a1", "dispatch/0/9", ME), Meeting.DUPLICATE),
        (Claim("a1", "dispatch/0/9", ME, done=True), Meeting.DUPLICATE),
        (Claim("a1", "dispatch/0/7", Holder("provider-worker.openai-1", 1)), Meeting.WAIT),
        (Claim("a1", "dispatch/0/7", Holder("provider-worker.openai-1", 1), done=True), Meeting.DONE),
        (Claim("a1", "dispatch/0/7", Holder(ME.instance, 1)), Meeting.TAKE_OVER),
        (Claim("a1", "dispatch/0/7", Holder(ME.instance, 3)), Meeting.WAIT),
        (Claim("a1", "dispatch/0/7", ME), Meeting.WAIT),
        (Claim("a1", "dispatch/0/7", ME, done=True), Meeting.DONE),
    ],
    ids=[
        "another record of the attempt",
        "another record of the attempt, finished",
        "another worker is at it",
        "another worker has done it",
        "an earlier life of this slot",
        "a later life of this slot: we are the zombie",
        "we are at it ourselves",
        "we have done it ourselves",
    ],
)
def test_meeting(held: Claim, expected: Meeting) -> None:
    assert meet(held, MINE) is expected


@pytest.mark.parametrize("claim", [MINE, MINE.finished])
def test_stored_claim_reads_back(claim: Claim) -> None:
    assert Claim.read(claim.attempt, claim.value) == claim
