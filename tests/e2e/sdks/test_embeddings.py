"""Vectors through the official clients, of one vendor after another. A vendor that makes none says so."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from speaking import Vendor, standing_at

from allweather.contracts.config import Configuration
from allweather.contracts.slip import Capability, Parameter
from allweather.dialects.openai_embeddings import rendering

pytestmark = pytest.mark.sdk("openai")
TEXTS = ["My espresso machine leaks.", "Where is my parcel?"]


@contextmanager
def vectors(vendor: Vendor, configuration: Configuration, *wishes: Parameter, field: str = "model") -> Generator[str]:
    """The route to the vendor's vectors. One without is refused for the model that was named, else as `asked` says."""
    route = f"embeds-{vendor.id}"
    embedder = standing_at(route, vendor.id, configuration)
    named = field if Capability.EMBEDDINGS in embedder.declares else "model"
    with embedder.asked(Capability.EMBEDDINGS, *wishes, field=named):
        yield route
    vendor.refused = embedder.refused


@pytest.mark.supports("Embeddings", "a text: numbers, base64, the client's own choice")
async def test_a_text_is_embedded(gpt: openai.AsyncOpenAI, vendor: Vendor, configuration: Configuration) -> None:
    with vectors(vendor, configuration) as model:
        numbers = await gpt.embeddings.create(model=model, input=TEXTS[0], encoding_format="float")
        packed: Any = await gpt.embeddings.create(model=model, input=TEXTS[0], encoding_format="base64")
        usual = await gpt.embeddings.create(model=model, input=TEXTS[0])

        assert numbers.usage.prompt_tokens > 0
        assert _near(numbers.data[0].embedding) == _near(usual.data[0].embedding)
        assert _near(numbers.data[0].embedding) == _near(rendering.unpacked(packed.data[0].embedding))


@pytest.mark.supports("Embeddings", "several texts")
async def test_several_texts_are_embedded_in_their_order(
    gpt: openai.AsyncOpenAI, vendor: Vendor, configuration: Configuration
) -> None:
    with vectors(vendor, configuration, Parameter.MANY_INPUTS, field="input") as model:
        both = await gpt.embeddings.create(model=model, input=TEXTS)
        last = await gpt.embeddings.create(model=model, input=TEXTS[1])

        assert [each.index for each in both.data] == [0, 1]
        assert _near(both.data[1].embedding) == _near(last.data[0].embedding)


@pytest.mark.supports("Embeddings", "tokens")
async def test_tokens_are_embedded(gpt: openai.AsyncOpenAI, vendor: Vendor, configuration: Configuration) -> None:
    with vectors(vendor, configuration, Parameter.PRETOKENIZED, field="input") as model:
        found = await gpt.embeddings.create(model=model, input=[[9906, 1917]])

        assert len(found.data) == 1


@pytest.mark.supports("Embeddings", "dimensions")
async def test_vectors_are_as_long_as_asked(
    gpt: openai.AsyncOpenAI, vendor: Vendor, configuration: Configuration
) -> None:
    with vectors(vendor, configuration, Parameter.DIMENSIONS, field="dimensions") as model:
        found = await gpt.embeddings.create(model=model, input=TEXTS[0], dimensions=256)

        assert len(found.data[0].embedding) == 256


def _near(vector: Any) -> list[float]:
    """What 32 bits keep of the numbers."""
    return [round(value, 6) for value in vector]
