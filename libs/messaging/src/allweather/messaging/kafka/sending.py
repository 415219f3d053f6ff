"""aiokafka's sender with a loop of our own: it waits for one thing, which everything that matters to it resolves.

aiokafka's waits anew for each batch, for all that may happen. Which batches go where, and what is made of the answers,
stays aiokafka's; and so does the whole loop of a producer with transactions, which ours are not.
"""

import asyncio
import logging
from asyncio import Future, Task
from typing import Any, Final

from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, ProducerFenced, TransactionalIdAuthorizationFailed
from aiokafka.producer import producer
from aiokafka.producer.sender import Sender

log = logging.getLogger(__name__)

_library: Final[Any] = Sender
_FATAL: Final = (ProducerFenced, OutOfOrderSequenceNumber, TransactionalIdAuthorizationFailed)


def install() -> None:
    """Let every producer of aiokafka send with this."""
    library: Any = producer
    library.Sender = PlainSender


class PlainSender(_library):
    """The sender of one producer."""

    async def _sender_routine(self) -> None:
        """Send what comes for ever; when cancelled, return once all that was sent is answered."""
        if self._txn_manager is not None and self._txn_manager.transactional_id is not None:
            await _library._sender_routine(self)
            return
        sending: set[Task[None]] = set()
        try:
            while True:
                await self._maybe_wait_for_pid()
                due, leaderless = self._message_accumulator.drain_by_nodes(
                    ignore_nodes=self._in_flight, muted_partitions=self._muted_partitions
                )
                wake: Future[None] = self._message_accumulator.waiter()
                for node, batches in due.items():
                    task = asyncio.create_task(self._send_produce_req(node, batches))
                    self._in_flight.add(node)
                    self._muted_partitions.update(batches)
                    sending.add(task)
                    task.add_done_callback(self._wake)
                if leaderless:
                    self.client.force_metadata_update().add_done_callback(self._wake)
                await wake
                for task in [task for task in sending if task.done()]:
                    sending.discard(task)
                    task.result()  # an error is a bug, or ends this producer
        except asyncio.CancelledError:
            for task in sending:
                await task
        except _FATAL:
            raise
        except Exception as error:
            log.exception("a producer sends no more")
            raise KafkaError("sending has failed") from error

    def _wake(self, _: Any) -> None:
        waiter = self._message_accumulator.waiter()
        if not waiter.done():
            waiter.set_result(None)
