"""From an answer and a plan to the steps that carry it out on the connection. No I/O."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from allweather.vendorsim.board import Plan
from allweather.vendorsim.faults import Cut, Disturbing, ErrorInStream, MalformedChunk, NoFinish, NoTerminator, Stall
from allweather.vendorsim.wire import Frame, FrameKind, Headers, Reply, Stream


class Begin(NamedTuple):
    status: int
    headers: Headers


class Send(NamedTuple):
    data: bytes


class Wait(NamedTuple):
    seconds: float


class Silence(NamedTuple):
    """Send nothing more, until the client leaves."""


class Close(NamedTuple):
    reset: bool = False


Interruption = Callable[[int], Iterable[Frame]]
"""What the vendor says when an error is to come in mid-stream, after so many frames."""

Step = Begin | Send | Wait | Silence | Close
"""The end of the steps is the orderly end of the answer."""
SILENCE = Silence()


def reply_steps(reply: Reply, plan: Plan) -> Iterator[Step]:
    """Deliver a whole answer; only a good one is disturbed."""
    wait = plan.first_token + plan.per_token * reply.usage.output_tokens
    if wait:
        yield Wait(wait)
    half = len(reply.body) // 2
    match plan.disturbance if reply.status == 200 else None:
        case Cut(reset=reset):
            yield from (_begin(reply), Send(reply.body[:half]), Close(reset))
        case Stall():
            yield from (_begin(reply), Send(reply.body[:half]), SILENCE)
        case MalformedChunk():
            broken = Reply(200, reply.headers, reply.body[:half])
            yield from (_begin(broken), Send(broken.body))
        case _:
            yield from (_begin(reply), Send(reply.body))


def stream_steps(stream: Stream, plan: Plan, interruption: Interruption = lambda _sent: ()) -> Iterator[Step]:
    """Deliver a stream."""
    yield Begin(200, stream.headers)
    wait = plan.first_token
    for frame in _disturbed(stream.frames, plan.disturbance, interruption):
        if not isinstance(frame, Frame):
            yield frame
            continue
        if frame.kind is not FrameKind.FRAMING:
            if wait:
                yield Wait(wait)
            wait = plan.per_token * frame.tokens
        yield Send(frame.data)


def with_length(headers: Headers, length: int) -> Headers:
    return [*headers, (b"content-length", b"%d" % length)]


def _begin(reply: Reply) -> Begin:
    return Begin(reply.status, with_length(reply.headers, len(reply.body)))


def _disturbed(
    frames: Iterable[Frame], disturbance: Disturbing | None, interruption: Interruption
) -> Iterator[Frame | Close | Silence]:
    match disturbance:
        case None:
            yield from frames
        case NoTerminator():
            yield from (frame for frame in frames if frame.kind is not FrameKind.END)
        case NoFinish():
            yield from (frame for frame in frames if frame.kind < FrameKind.FINISH)
        case MalformedChunk(after=after):
            yield from _broken(frames, after)
        case _:
            sent = 0
            for sent, frame in enumerate(_until(frames, disturbance.after), start=1):  # noqa: B007 - counted for below
                yield frame
            match disturbance:
                case Cut(reset=reset):
                    yield Close(reset)
                case ErrorInStream():
                    yield from interruption(sent)
                case _:
                    yield SILENCE


def _until(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Yield frames up to and with the content frame number `count`."""
    content = 0
    for frame in frames:
        content += frame.kind is not FrameKind.FRAMING
        if content > count:
            return
        yield frame


def _broken(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Yield every frame, but break the JSON of the content frame after number `count`."""
    content = 0
    for frame in frames:
        content += frame.kind is FrameKind.CONTENT
        strikes = frame.kind is FrameKind.CONTENT and content == count + 1
        yield frame._replace(data=_half(frame.data)) if strikes else frame


def _half(data: bytes) -> bytes:
    """Cut the end off an event's JSON, and keep the blank line that ends the event."""
    body = data.rstrip(b"\r\n")
    end = data[len(body) :]
    return body.rstrip(b" ")[: -max(1, (len(body) - body.rfind(b"data: ")) // 3)] + end
