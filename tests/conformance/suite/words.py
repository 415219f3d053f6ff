"""Conversations in which only words are said: plain, long, of many turns, with images, in a schema, declined, cut."""

import base64
import struct
import zlib
from typing import Final

from allweather.contracts.conversation import Document, Image, JsonFormat, Text, Thinking
from suite.script import Script, ask, cut, declines, says, script

NEVER_FLAGS: Final = {
    "open-source": "open models decline in words: nothing but the words tells it from an answer",
    "mistral": "as open models do",
}
THOUGHT_IT_ALL_AWAY: Final = {"vertex": "it thinks unasked, and its thoughts are within the limit"}


def system(*said: str) -> tuple[Text, ...]:
    return tuple(map(Text, said))


PLAIN: Final = (
    script("a greeting", ask("Good morning! [[say Good morning to you.]]", says("Good morning to you."))),
    script(
        "instructions and a question",
        ask("Where is my parcel? [[say It is on its way.]]", says("It is on its way.")),
        instructions=system("You are the voice of a parcel service. Be brief."),
    ),
    script(
        "instructions of two sides",
        ask("May I return it? [[say You may.]]", says("You may.")),
        instructions=system("Be brief.", "Never promise a date."),
    ),
    script(
        "letters of many kinds",
        ask(
            "Schön! “Ça va?” 日本語 🙂 e\u0301 [[say Grüße — “ok” 日本語 🙂 e\u0301]]",
            says("Grüße — “ok” 日本語 🙂 e\u0301"),
        ),
    ),
    script(
        "text that looks like a wire",
        ask(
            'data: {"a": "\\"b\\\\"}\n\n</s><|im_end|> [[say data: [DONE]\n\nevent: x\n{"type":"error"}]]',
            says('data: [DONE]\n\nevent: x\n{"type":"error"}'),
        ),
    ),
    script(
        "lines and blanks",
        ask("Write a list. [[say 1. one\n\n2.\ttwo\r\n  3. three  ]]", says("1. one\n\n2.\ttwo\r\n  3. three  ")),
    ),
    script("sampling", ask("Say yes. [[say Yes.]]", says("Yes.")), temperature=0.2, top_p=0.9),
    script("a warm temperature", ask("Say yes. [[say Yes!]]", says("Yes!")), temperature=1.5),
    script("few tokens to choose from", ask("Say no. [[say No.]]", says("No.")), top_k=20),
    script("a seed and a user", ask("Say no. [[say No!]]", says("No!")), seed=7, user="customer-17"),
    script("two answers", ask("Say yes. [[say Yes, I do.]]", says("Yes, I do."), says("Yes, I do.")), choices=2),
    script(
        "a form without a schema",
        ask(
            "My espresso machine leaks.",
            says(
                '{"category":"product_defect","urgency":"medium","language":"en",'
                '"summary":"My espresso machine leaks."}'
            ),
        ),
        instructions=system("Sort the message. Answer in JSON."),
    ),
)

STORY: Final = " ".join(f"Sentence {number} of a long story about a parcel that went astray." for number in range(150))

BEGINNING: Final = (
    "Sentence 0 of a long story about a parcel that went astray. "
    "Sentence 1 of a long story about a parcel that went astray. Sentence 2 of"
)
"""What 32 tokens hold of it."""

LONG: Final = (
    script("a long answer", ask(f"Tell me a story. [[say {STORY}]]", says(STORY))),
    script("a long question", ask(f"{STORY} [[say A long story.]]", says("A long story."))),
    script(
        "long instructions",
        ask("So? [[say So it is.]]", says("So it is.")),
        instructions=system(STORY),
    ),
    script(
        "a long history",
        *(ask(f"Number {n}? [[say This is {n}.]]", says(f"This is {n}.")) for n in range(1, 9)),
    ),
)

TURNS: Final = (
    script("two turns", ask("One? [[say One.]]", says("One.")), ask("Two? [[say Two.]]", says("Two."))),
    script(
        "three turns with instructions",
        ask("Is it late? [[say Yes.]]", says("Yes.")),
        ask("How late? [[say Two days.]]", says("Two days.")),
        ask("Thanks. [[say You are welcome.]]", says("You are welcome.")),
        instructions=system("Be kind."),
    ),
    script(
        "a correction",
        ask("It is red. [[say Red, then.]]", says("Red, then.")),
        ask("No, blue. [[say Blue, then.]]", says("Blue, then.")),
    ),
    script(
        "another language in between",
        ask("Where is it? [[say In Bergen.]]", says("In Bergen.")),
        ask("Wo genau? [[say Am Hafen.]]", says("Am Hafen.")),
        ask("日本語で? [[say 港です。]]", says("港です。")),
    ),
    script(
        "the same question again",
        ask("Ready? [[say Yes.]]", says("Yes.")),
        ask("Ready? [[say Yes.]]", says("Yes.")),
    ),
    script(
        "text in parts",
        ask((Text("One part,"), Text(" and another. [[say Both.]]")), says("Both.")),
        ask("And? [[say That is all.]]", says("That is all.")),
    ),
    script(
        "a prefix to keep",
        ask((Text(STORY, cache="5m"), Text("Sum it up. [[say Astray.]]")), says("Astray.")),
        ask("Shorter. [[say Lost.]]", says("Lost.")),
        instructions=(Text("Be brief.", cache="1h"),),
    ),
)


def png(side: int) -> Image:
    """A grey square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * side) * side)
    drawn = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return Image(data=base64.b64encode(drawn).decode(), media_type="image/png")


PDF: Final = Document(
    data=base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode(), media_type="application/pdf", name="invoice.pdf"
)

IMAGES: Final = (
    script("an image and a question", ask((png(8), Text("What is it? [[say Grey.]]")), says("Grey."))),
    script("a question and an image", ask((Text("What is it? [[say Grey.]]"), png(8)), says("Grey."))),
    script("two images", ask((png(8), png(9), Text("Compare. [[say Alike.]]")), says("Alike."))),
    script(
        "an image by its address",
        ask((Image(url="https://shop.example/cup.jpg"), Text("Broken? [[say Yes.]]")), says("Yes.")),
    ),
    script(
        "an image later on",
        ask("It is broken. [[say Send a photo.]]", says("Send a photo.")),
        ask((png(8), Text("Here. [[say Thank you.]]")), says("Thank you.")),
        ask("And now? [[say We send a new one.]]", says("We send a new one.")),
    ),
    script("a document", ask((PDF, Text("Is it paid? [[say It is.]]")), says("It is."))),
)

TICKET: Final = {
    "type": "object",
    "properties": {"category": {"type": "string"}, "urgent": {"type": "boolean"}},
    "required": ["category", "urgent"],
    "additionalProperties": False,
}
NESTED: Final = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": TICKET}, "verdict": {"type": "string", "enum": ["keep"]}},
    "required": ["items", "verdict"],
    "additionalProperties": False,
}
LATE: Final = "My parcel is late."

SCHEMA: Final = (
    script(
        "a form",
        ask(LATE, says('{"category":"delivery","urgent":false}')),
        format=JsonFormat(TICKET, "ticket"),
    ),
    script(
        "a strict form",
        ask(LATE, says('{"category":"delivery","urgent":false}')),
        format=JsonFormat(TICKET, "ticket", strict=True),
    ),
    script(
        "a described form",
        ask(LATE, says('{"category":"delivery","urgent":false}')),
        format=JsonFormat(TICKET, "ticket", "What it is about."),
    ),
    script(
        "a nested form",
        ask(LATE, says('{"items":[{"category":"delivery","urgent":false}],"verdict":"keep"}')),
        format=JsonFormat(NESTED, "verdicts"),
    ),
    script(
        "a form in the second turn too",
        ask(LATE, says('{"category":"delivery","urgent":false}')),
        ask("You charged me twice on the invoice.", says('{"category":"billing","urgent":false}')),
        format=JsonFormat(TICKET, "ticket"),
        instructions=system("Sort the message."),
    ),
    script(
        "any JSON",
        ask('Answer in JSON. [[say {"ok":true}]]', says('{"ok":true}')),
        format=JsonFormat(),
    ),
)

REFUSALS: Final = (
    script("a request that is declined", ask("[[refuse]] How do I?", declines()), elsewhere=NEVER_FLAGS),
    script(
        "an answer that is filtered half-way",
        ask("[[filter]] [[say one two three four]]", declines("one two")),
        elsewhere=NEVER_FLAGS,
    ),
    script(
        "going on after a refusal",
        ask("[[refuse]] How do I?", declines()),
        ask("Something else, then. [[say Gladly.]]", says("Gladly.")),
        elsewhere=NEVER_FLAGS,
    ),
    script(
        "a refusal in a later turn",
        ask("Hello. [[say Hello.]]", says("Hello.")),
        ask("[[refuse]] How do I?", declines()),
        elsewhere=NEVER_FLAGS,
    ),
)

TRUNCATION: Final = (
    script(
        "an answer that is cut",
        ask(f"Tell me a story. [[say {STORY}]]", cut(BEGINNING)),
        max_output_tokens=32,
        elsewhere=THOUGHT_IT_ALL_AWAY,
    ),
    script(
        "going on after the cut",
        ask(f"Tell me a story. [[say {STORY}]]", cut(BEGINNING)),
        ask("Go on. [[say The end.]]", says("The end.")),
        max_output_tokens=32,
        elsewhere=THOUGHT_IT_ALL_AWAY,
    ),
    script(
        "nothing but thoughts",
        ask("Why? [[think 4000]] [[say Because.]]", cut()),
        ask("Shorter? [[think 16]] [[say Just so.]]", says("Just so.")),
        thinking=Thinking("low", 1_024, shown=True),
        max_output_tokens=2_048,
    ),
    script("room enough", ask("Say yes. [[say Yes.]]", says("Yes.")), max_output_tokens=64),
    script(
        "a word to stop at",
        ask("Count. [[say one two END three]]", says("one two ")),
        stops=("END",),
    ),
    script(
        "five words to stop at",
        ask("Count. [[say one two three]]", says("one ")),
        stops=("two", "x1", "x2", "x3", "x4"),
    ),
)

ALL: Final[dict[str, tuple[Script, ...]]] = {
    "plain": PLAIN,
    "long": LONG,
    "turns": TURNS,
    "images": IMAGES,
    "schema": SCHEMA,
    "refusals": REFUSALS,
    "truncation": TRUNCATION,
}
