"""Every failpoint of the system, said once, with what it guards or where it lies.

A guard is a check that keeps a promise; switching it off must turn the checker red.
A point is a line between two effects; dying there must break nothing.
"""

from typing import Final, Literal, get_args

Guard = Literal[
    "router.first-row-wins",  # drop a record whose step another cause has already taken
    "router.same-cause-replays",  # carry out the stored decision again, unchanged, for the same cause
    "router.outcome-stops-dispatch",  # no dispatch, parking or release where an outcome row exists
    "messaging.commit-after-ack",  # commit an offset only after the outputs' acknowledgement
    "worker.verdict-check",  # no vendor call against the recorded verdict
    "worker.deadline-check",  # no vendor call after the request's deadline
    "worker.region-check",  # no vendor call outside the permitted regions
    "worker.age-check",  # no vendor call that has queued for too long: choose again
    "worker.room-check",  # no waiting for room: a deployment that is full holds up nobody else in its topic
    "ingest.pinned-call",  # no content of another call in a stream that has begun
    "ingest.named-call",  # no end marker unless the reply names the call whose content was shown
    "ingest.whole-answer",  # no end marker before all of the answer was shown
]

Point = Literal[
    "router.before-steps",  # the batch is read, no step row is written
    "router.after-steps",  # the step rows are committed, nothing is published
    "router.before-publish",  # the outputs are decided, none is sent
    "router.after-publish",  # the outputs are acknowledged, the offsets are not committed
    "router.before-ack",  # the outputs are sent, their acknowledgement is awaited
    "worker.before-call",  # the claim is held, the vendor has not been called
    "worker.after-response",  # the vendor has answered, the result is not published
    "worker.after-publish",  # the result is acknowledged, the claim is not marked done
    "policy.before-publish",  # the verdicts are decided, none is sent
    "policy.after-publish",  # the verdicts are acknowledged, the offsets are not committed
    "ingest.after-publish",  # the request is acknowledged, the client has not been told
    "batch.after-validation",  # the batch is in progress, none of its lines is published
    "batch.after-line",  # one more line is acknowledged, those beside it may be or not
    "batch.after-lines",  # a portion of lines is acknowledged, nobody has written down how far the batch is
    "batch.after-progress",  # how far the batch is has been written down
    "batch.before-files",  # every line is settled, no result is in a file
    "batch.after-output",  # the file of the answers is kept, that of the errors is not
    "batch.before-end",  # both files are kept, the batch has not ended
    "audit.before-commit",  # entries and frontier are written in an open transaction
    "audit.after-commit",  # entries and frontier are durable, their topic copy is not published
    "release.after-publish",  # the release is acknowledged, the parked row still exists
]

GUARDS: Final[frozenset[str]] = frozenset(get_args(Guard))
POINTS: Final[frozenset[str]] = frozenset(get_args(Point))
