"""OpenAI's prompt cache: it works by itself, from 1,024 tokens on, for prompts that begin alike."""

from allweather.vendorsim.dialects.prefixes import seen_share
from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.wire import Json, items

_LEAST, _STEP = 1024, 128


def cached_tokens(cache: PromptCache, payload: Json, name: str, input_tokens: int, now: float) -> int:
    """Return how much of the prompt was seen lately, and remember it; `name` is the member that holds the turns."""
    if input_tokens < _LEAST:
        return 0
    begin = [payload.get("model"), payload.get("tools"), payload.get("instructions")]
    share = seen_share(cache, begin, items(payload[name]) or [payload[name]], now)
    tokens = min(int(input_tokens * share), input_tokens - 1) // _STEP * _STEP
    return tokens if tokens >= _LEAST else 0
