"""The output items of a Responses stream while they are being said: which events each kind has, in which order."""

from collections.abc import Iterator

from allweather.contracts.conversation import Json, Reasoning, Refusal, Text
from allweather.dialects.openai_responses.rendering import content_of, function_call, message, reasoning


class OpenItem:
    """An output item that is being said."""

    kind = ""

    def __init__(self) -> None:
        self.name = ""
        self.said: list[str] = []

    def begun(self) -> Iterator[tuple[str, Json]]:
        """The events with which it begins."""
        yield "response.output_item.added", {"item": self.empty()}

    def more(self, text: str, /) -> Iterator[tuple[str, Json]]:
        """The events of a piece of it."""
        raise NotImplementedError

    def ended(self) -> Iterator[tuple[str, Json]]:
        """The events with which it ends."""
        yield "response.output_item.done", {"item": self.whole()}

    def empty(self) -> Json:
        """The item while nothing of it has been said."""
        raise NotImplementedError

    def whole(self) -> Json:
        """The item with all that was said."""
        raise NotImplementedError


class Words(OpenItem):
    """A message with one part: text, or a refusal."""

    def __init__(self, kind: str, field: str) -> None:
        super().__init__()
        self.kind, self._field = kind, field

    @property
    def _at(self) -> Json:
        return {"item_id": f"msg_{self.name}", "content_index": 0}

    def _part(self, said: str) -> Json:
        return content_of(Text(said) if self.kind == "output_text" else Refusal(said))

    def begun(self) -> Iterator[tuple[str, Json]]:
        yield from super().begun()
        yield "response.content_part.added", {**self._at, "part": self._part("")}

    def more(self, text: str, /) -> Iterator[tuple[str, Json]]:
        yield f"response.{self.kind}.delta", {**self._at, "delta": text, **self._logprobs}

    def ended(self) -> Iterator[tuple[str, Json]]:
        said = "".join(self.said)
        yield f"response.{self.kind}.done", {**self._at, self._field: said, **self._logprobs}
        yield "response.content_part.done", {**self._at, "part": self._part(said)}
        yield from super().ended()

    @property
    def _logprobs(self) -> Json:
        return {"logprobs": []} if self.kind == "output_text" else {}

    def empty(self) -> Json:
        return message(self.name, [], "in_progress")

    def whole(self) -> Json:
        return message(self.name, [self._part("".join(self.said))])


class Arguments(OpenItem):
    """A function call."""

    kind = "function_call"

    def __init__(self, call: str, function: str) -> None:
        super().__init__()
        self._call, self._function = call, function

    @property
    def _at(self) -> Json:
        return {"item_id": f"fc_{self.name}"}

    def more(self, text: str, /) -> Iterator[tuple[str, Json]]:
        if text:
            yield "response.function_call_arguments.delta", {**self._at, "delta": text}

    def ended(self) -> Iterator[tuple[str, Json]]:
        done = {"name": self._function, "arguments": "".join(self.said)}
        yield "response.function_call_arguments.done", {**self._at, **done}
        yield from super().ended()

    def empty(self) -> Json:
        return function_call(self.name, self._call, self._function, "", "in_progress")

    def whole(self) -> Json:
        return function_call(self.name, self._call, self._function, "".join(self.said))


class Thoughts(OpenItem):
    """Reasoning, shown as one summary."""

    kind = "reasoning"

    def __init__(self) -> None:
        super().__init__()
        self.token: Reasoning | None = None

    @property
    def _at(self) -> Json:
        return {"item_id": f"rs_{self.name}", "summary_index": 0}

    def more(self, text: str, /) -> Iterator[tuple[str, Json]]:
        if len(self.said) == 1:
            part = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**self._at, "part": part}
        yield "response.reasoning_summary_text.delta", {**self._at, "delta": text}

    def ended(self) -> Iterator[tuple[str, Json]]:
        said = "".join(self.said)
        if said:
            yield "response.reasoning_summary_text.done", {**self._at, "text": said}
            part = {"type": "summary_text", "text": said}
            yield "response.reasoning_summary_part.done", {**self._at, "part": part}
        yield from super().ended()

    def empty(self) -> Json:
        return {"type": "reasoning", "id": f"rs_{self.name}", "summary": []}

    def whole(self) -> Json:
        token = self.token or Reasoning()
        return reasoning(Reasoning("".join(self.said), token.token, token.origin, token.id), self.name)


class Whole(OpenItem):
    """An item of OpenAI's own, which comes as it is."""

    kind = "item"

    def __init__(self, item: Json) -> None:
        super().__init__()
        self._item = item

    def more(self, _text: str, /) -> Iterator[tuple[str, Json]]:
        return iter(())

    def empty(self) -> Json:
        return self._item

    def whole(self) -> Json:
        return self._item
