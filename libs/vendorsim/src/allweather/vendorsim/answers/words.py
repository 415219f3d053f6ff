"""What the model writes when it is free to choose its words."""

from collections.abc import Sequence
from functools import lru_cache

from allweather.vendorsim.answers.tokens import pieces
from allweather.vendorsim.answers.triage import Triage

LONG = 2000
"""Tokens of the answer to `[[long]]`."""
_TOLD = 400
"""Characters of a tool's answer that are passed on to the user."""


def written(facts: Triage, choice: int, results: Sequence[str], *, long: bool) -> str:
    """Write to the customer, in the customer's language, with what the tools have found out."""
    if long:
        return _long(choice)
    opening = _OPENINGS.get(facts.language, _OPENINGS["en"])
    found = f" We looked it up: {'; '.join(results)[:_TOLD]}." if results else ""
    return f"{opening[choice % len(opening)]}{found} {_ADVICE[facts.category]} (ref {choice % 0xFFFFFF:06X})"


@lru_cache(maxsize=256)
def thought(topic: str, tokens: int) -> tuple[str, ...]:
    """Think about `topic`, for so many tokens."""
    if tokens <= 0:
        return ()
    sentence = pieces(f"The customer writes about {topic}: sort the message, look for what is asked, answer that. ")
    return (sentence * (tokens // len(sentence) + 1))[:tokens]


def _long(choice: int) -> str:
    paragraph = " ".join(_ADVICE.values())
    repeats = LONG // len(pieces(paragraph)) + 1
    return "".join(pieces(f"Case {choice % 0xFFFFFF:06X}: " + " ".join([paragraph] * repeats))[:LONG])


_OPENINGS = {
    "en": (
        "Thank you for telling us.",
        "Thanks for your message, and sorry for the trouble.",
        "We have read your message carefully.",
    ),
    "de": ("Vielen Dank für Ihre Nachricht.", "Danke, dass Sie uns geschrieben haben."),
    "fr": ("Merci pour votre message.", "Merci de nous avoir écrit."),
    "es": ("Gracias por su mensaje.", "Gracias por escribirnos."),
    "it": ("Grazie per il suo messaggio.",),
    "pt": ("Obrigado pela sua mensagem.",),
    "nl": ("Bedankt voor uw bericht.",),
    "ja": ("お問い合わせありがとうございます。",),
}
_ADVICE = {
    "safety": "Please stop using the product; a specialist will call you today.",
    "billing": "We are checking the charge with our billing team and will write within two working days.",
    "delivery": "We have asked the carrier where the parcel is and will send you the new delivery date.",
    "returns": "A prepaid return label is on its way to you by e-mail.",
    "product_defect": "We will send a replacement as soon as we have a photo of the fault.",
    "account": "We have sent a link to the address on file with which you can get back into your account.",
    "question": "A colleague who knows the product will answer you by tomorrow.",
}
