"""The same conversation makes every vendor's model do the same: what it calls, with what, and what it says."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from allweather.vendorsim.wire import items

HEADERS = {"authorization": "Bearer test", "anthropic-version": "2023-06-01", "api-key": "test"}
PARAMETERS: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
}
TURNS = (
    "[[tool]] [[then]] [[say Done.]] Is it raining in Bergen?",
    '[[say One moment.]] [[tool look {"city": "Oslo"}]] [[tool look]] [[then]] [[tool look]] [[then]] [[say So.]]',
    "[[say Only words, “quoted” and 日本語.]]",
)


class Heard(NamedTuple):
    text: str
    calls: list[tuple[str, Any]]


Speak = Callable[[list[Any]], tuple[str, dict[str, Any]]]


def chat(path: str, model: str) -> Speak:
    def ask(history: list[Any]) -> tuple[str, dict[str, Any]]:
        messages: list[Any] = []
        for kind, value in history:
            if kind == "user":
                messages.append({"role": "user", "content": value})
            elif kind == "model":
                messages.append(value["choices"][0]["message"])
            else:
                calls = messages[-1]["tool_calls"]
                messages += [{"role": "tool", "tool_call_id": call["id"], "content": value} for call in calls]
        function = {"name": "look", "parameters": PARAMETERS}
        return path, {"model": model, "messages": messages, "tools": [{"type": "function", "function": function}]}

    return ask


def responses(history: list[Any]) -> tuple[str, dict[str, Any]]:
    found: list[Any] = []
    for kind, value in history:
        if kind == "user":
            found.append({"role": "user", "content": value})
        elif kind == "model":
            found += value["output"]
        else:
            answered = [each["call_id"] for each in found if each.get("type") == "function_call_output"]
            called = [each["call_id"] for each in found if each.get("type") == "function_call"]
            waiting = [each for each in called if each not in answered]
            found += [{"type": "function_call_output", "call_id": each, "output": value} for each in waiting]
    tool = {"type": "function", "name": "look", "parameters": PARAMETERS}
    return "/openai/v1/responses", {"model": "gpt-5.2", "input": found, "tools": [tool]}


def messages(history: list[Any]) -> tuple[str, dict[str, Any]]:
    turns: list[Any] = []
    for kind, value in history:
        if kind == "user":
            turns.append({"role": "user", "content": value})
        elif kind == "model":
            turns.append({"role": "assistant", "content": value["content"]})
        else:
            uses = [block for block in turns[-1]["content"] if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": use["id"], "content": value} for use in uses]
            turns.append({"role": "user", "content": results})
    tool = {"name": "look", "input_schema": PARAMETERS}
    ask = {"model": "claude-sonnet-4-6", "max_tokens": 500, "messages": turns, "tools": [tool]}
    return "/anthropic/v1/messages", ask


def gemini(history: list[Any]) -> tuple[str, dict[str, Any]]:
    contents: list[Any] = []
    for kind, value in history:
        if kind == "user":
            contents.append({"role": "user", "parts": [{"text": value}]})
        elif kind == "model":
            contents.append(value["candidates"][0]["content"])
        else:
            calls = [part for part in contents[-1]["parts"] if "functionCall" in part]
            answer = {"functionResponse": {"name": "look", "response": {"output": value}}}
            contents.append({"role": "user", "parts": [answer for _ in calls]})
    path = "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:generateContent"
    tool = {"functionDeclarations": [{"name": "look", "parametersJsonSchema": PARAMETERS}]}
    return path, {"contents": contents, "tools": [tool]}


VENDORS: dict[str, Speak] = {
    "openai": chat("/openai/v1/chat/completions", "gpt-5.2"),
    "azure": chat("/azure/uksouth/openai/v1/chat/completions", "gpt-5-2"),
    "opensource": chat("/opensource/v1/chat/completions", "openai/gpt-oss-120b"),
    "responses": responses,
    "anthropic": messages,
    "vertex": gemini,
}


def heard(answer: Any) -> Heard:
    """Read any vendor's answer."""
    if "choices" in answer:
        message = answer["choices"][0]["message"]
        calls: list[Any] = [each["function"] for each in items(message.get("tool_calls"))]
        return Heard(message["content"] or "", [(each["name"], json.loads(each["arguments"])) for each in calls])
    if "output" in answer:
        texts = [part["text"] for item in answer["output"] if item["type"] == "message" for part in item["content"]]
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        return Heard("".join(texts), [(each["name"], json.loads(each["arguments"])) for each in calls])
    if "candidates" in answer:
        parts = answer["candidates"][0]["content"]["parts"]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        return Heard("".join(part.get("text", "") for part in parts), [(each["name"], each["args"]) for each in calls])
    texts = [block["text"] for block in answer["content"] if block["type"] == "text"]
    calls = [block for block in answer["content"] if block["type"] == "tool_use"]
    return Heard("".join(texts), [(each["name"], each["input"]) for each in calls])


async def conversation(http: httpx.AsyncClient, speak: Speak, turn: str) -> list[Heard]:
    """Go on until the model has no more calls."""
    history: list[Any] = [("user", turn)]
    said: list[Heard] = []
    while not said or said[-1].calls:
        path, body = speak(history)
        response = await http.post(path, headers=HEADERS, json=body)
        assert response.status_code == 200, response.text
        said.append(heard(response.json()))
        history += [("model", response.json()), ("tools", "Rain.")]
    return said


@pytest.mark.parametrize("turn", TURNS)
async def test_every_vendor_does_and_says_the_same(http: httpx.AsyncClient, turn: str) -> None:
    first, *others = [await conversation(http, speak, turn) for speak in VENDORS.values()]

    assert others == [first] * len(others)
