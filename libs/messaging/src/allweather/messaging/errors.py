"""Every error is an instruction to the runtime.

MessagingError
  + TransientError      the same record may succeed later: wait and try again
  |   - BrokerAway      the cluster does not answer
  |   - PublishTimeout  whether the message was written is unknown: publish it again, or say "unknown"
  + PermanentError      it never will: dead letter
  |   - MalformedInput  a tenant's own broken input: dead letter, and no reason to stop the consumer
  |   - MessageTooLarge the topic does not take a message of this size; nothing of it was sent
  |   - UnknownTopic    there is no such topic or partition; nothing was sent
  + ConsumerStopped     this process must end and let its supervisor start another
      - DeadLetterLimit too many records fail: a bad deployment must not drain a topic into its dead letters
      - ConsumerStalled work is waiting and none of it gets done
      - Fenced          another process has taken this member's name in the group
"""


class MessagingError(Exception):
    """The root of everything that this library raises on purpose."""


class TransientError(MessagingError):
    """The same record may succeed later. It is retried with backoff and never dead-lettered."""


class BrokerAway(TransientError):
    """The cluster does not answer in time."""


class PublishTimeout(TransientError):
    """The broker has not acknowledged in time. The message may have been written, and may still be written later."""


class PermanentError(MessagingError):
    """The record will never succeed. `reason` is ours, for the `dlq-reason` header: never quote the record in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MalformedInput(PermanentError):
    """A tenant's own input is broken. It is dead-lettered like any other, but does not count towards the limit."""


class MessageTooLarge(PermanentError):
    """A topic does not take a message of this size. Nothing of the message was sent."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"message of {size} bytes for {topic}, which takes {limit}")
        self.topic, self.size, self.limit = topic, size, limit


class UnknownTopic(PermanentError):
    """There is no such topic, or it has no such partition. Nothing was sent."""

    def __init__(self, topic: str, partition: int | None = None) -> None:
        super().__init__(f"no topic {topic}" if partition is None else f"no partition {partition} in topic {topic}")
        self.topic, self.partition = topic, partition


class ConsumerStopped(MessagingError):
    """The consumer cannot go on in this process. End it with a non-zero code, so that the supervisor restarts it."""


class DeadLetterLimit(ConsumerStopped):
    """Too many of the last records would be dead-lettered. Nothing of the last batch was committed."""


class ConsumerStalled(ConsumerStopped):
    """Assigned partitions hold records and none of them has made progress for too long."""


class Fenced(ConsumerStopped):
    """Another process has joined the group under this member's name. Two must never share one."""
