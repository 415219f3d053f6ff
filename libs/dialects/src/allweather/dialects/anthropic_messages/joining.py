"""Stream events put together again, with every field that the vendor has put into them."""

import msgspec

from allweather.dialects.lenient import Json, child, count, parse_object, text


class Joining:
    """Adds up the events of one message."""

    def __init__(self) -> None:
        self._message: Json = {}
        self._blocks: dict[int, Json] = {}
        self._inputs: dict[int, str] = {}

    def add(self, payload: str) -> None:
        """Take in the next event."""
        event = parse_object(payload) or {}
        match event.get("type"):
            case "message_start":
                self._message = child(event, "message")
            case "content_block_start":
                self._blocks[count(event, "index")] = child(event, "content_block")
            case "content_block_delta":
                self._add_delta(count(event, "index"), child(event, "delta"))
            case "message_delta":
                counts = {name: value for name, value in child(event, "usage").items() if value is not None}
                self._message |= child(event, "delta")
                self._message["usage"] = child(self._message, "usage") | counts
            case _:
                return

    def whole(self) -> bytes:
        """The `message` that the events are."""
        for index, said in self._inputs.items():
            self._blocks[index]["input"] = parse_object(said) or {}
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        return msgspec.json.encode(self._message | {"content": blocks})

    def _add_delta(self, index: int, delta: Json) -> None:
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        match delta.get("type"):
            case "text_delta":
                block["text"] = text(block, "text") + text(delta, "text")
            case "thinking_delta":
                block["thinking"] = text(block, "thinking") + text(delta, "thinking")
            case "signature_delta":
                block["signature"] = text(block, "signature") + text(delta, "signature")
            case "input_json_delta":
                self._inputs[index] = self._inputs.get(index, "") + text(delta, "partial_json")
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
            case _:
                return
