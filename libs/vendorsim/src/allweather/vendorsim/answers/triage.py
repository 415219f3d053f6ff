"""Sort a customer's message by what it says: a small stand-in for what a model would see in it."""

import re
from functools import lru_cache
from typing import NamedTuple


class Triage(NamedTuple):
    category: str
    urgency: str
    language: str
    summary: str


_CATEGORIES = {
    "safety": r"allerg|rash|burn|smoke|injur|fire|shock|verletz|blessé|brûl|quemad|fuego|ustion|火傷|煙",
    "billing": r"invoice|charg|refund|payment|billed|price|rechnung|abgebucht|erstattung|facture|rembours|prélev"
    r"|factura|cobr|reembols|fattura|rimbors|rekening|terugbetal|請求|返金|환불|发票|退款",
    "delivery": r"deliver|parcel|shipp|courier|tracking|paket|liefer|versand|colis|livr|paquete|entrega|envío|pacco"
    r"|spedi|consegna|pakket|bezorg|配送|届|배송|快递|物流",
    "returns": r"return|exchange|send back|rücksend|zurück|umtausch|retour|échang|devol|cambio|reso"
    r"|ruil|返品|반품|退货",
    "product_defect": r"broken|defect|leak|crack|faulty|stopped working|kaputt|defekt|undicht|cassé|panne|fuite|roto"
    r"|averiad|rotto|difettos|kapot|壊|고장|坏",
    "account": r"password|log ?in|account|verification|passwort|konto|anmeld|mot de passe|compte|contraseña|cuenta"
    r"|accesso|wachtwoord|パスワード|비밀번호|密码",
}
_CATEGORY = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _CATEGORIES.items()), re.IGNORECASE)
_CRITICAL = re.compile(r"emergency|hospital|ambulance|lawyer|notfall|krankenhaus|anwalt|hôpital|avocat|abogado", re.I)
_HIGH = re.compile(
    r"urgent|immediately|asap|today|third time|unacceptable|sofort|dringend|heute|tout de suite|aujourd|urgente"
    r"|inmediat|subito|dringende?|至急|급해|马上|!!",
    re.IGNORECASE,
)
_LOW = re.compile(r"no rush|whenever|just wondering|curious|keine eile|pas pressé|sin prisa|con calma|geen haast", re.I)
_SCRIPTS = (
    ("ja", re.compile(r"[぀-ヿ]")),
    ("ko", re.compile(r"[가-힯]")),
    ("zh", re.compile(r"[一-鿿]")),
    ("ar", re.compile(r"[؀-ۿ]")),
    ("ru", re.compile(r"[Ѐ-ӿ]")),
    ("hi", re.compile(r"[ऀ-ॿ]")),
)
_STOPWORDS = {
    "en": "the and is my was have not with this you please i for it of to",
    "de": "der die das und ist nicht ich mein meine mit bitte habe sie ein eine auf",
    "fr": "le la les et est pas je mon ma avec vous une des pour que mais",
    "es": "el los las y es no mi con por una para que pero está lo usted",
    "it": "il gli e è non mio mia con per una che ma sono ho della",
    "pt": "o os e é não meu minha com por uma para que mas está você",
    "nl": "de het een en is niet ik mijn met voor dat maar heb van u",
    "sv": "och är inte jag min mitt med för en ett att men har på",
    "pl": "i jest nie mój moja z się że ale mam do na to proszę",
}
_LANGUAGES = {word: [tongue for tongue, words in _STOPWORDS.items() if word in words.split()]
              for word in " ".join(_STOPWORDS.values()).split()}  # fmt: skip
_SENTENCE_END = re.compile("(?<=[.!?。\uff01\uff1f])\\s*|\n+")
_SCANNED = 4000
"""Characters looked at: what a ticket is about is said early, and inputs can be megabytes."""


@lru_cache(maxsize=4096)
def triage(text: str) -> Triage:
    """Sort `text`; the same text is always sorted the same way."""
    head = text[:_SCANNED]
    found = _CATEGORY.search(head)
    return Triage(
        found.lastgroup or "question" if found else "question", _urgency(head), _language(head), _summary(head)
    )


def _urgency(text: str) -> str:
    if _CRITICAL.search(text):
        return "critical"
    if _HIGH.search(text):
        return "high"
    return "low" if _LOW.search(text) else "medium"


def _language(text: str) -> str:
    for language, script in _SCRIPTS:
        if script.search(text):
            return language
    votes = dict.fromkeys(_STOPWORDS, 0)
    for word in re.findall(r"\w+", text.lower()):
        for language in _LANGUAGES.get(word, ()):
            votes[language] += 1
    return max(votes, key=lambda language: votes[language])


def _summary(text: str) -> str:
    first = next((part.strip() for part in _SENTENCE_END.split(text.strip()) if part.strip()), "")
    return first if len(first) <= 140 else first[:139].rstrip() + "…"
