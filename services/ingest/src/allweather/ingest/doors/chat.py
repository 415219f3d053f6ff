"""`POST /v1/chat/completions`: OpenAI Chat Completions, plain and streamed."""

from allweather.contracts.slip import Dialect
from allweather.ingest.doors.conversing import PassedOn, Peek
from allweather.ingest.forms.chat import ChatForm
from allweather.ingest.forms.form import Form


class ChatCompletions(PassedOn):
    """The dialect that a record has when it names none."""

    dialect = Dialect.OPENAI_CHAT

    def form(self, peek: Peek) -> Form:
        return ChatForm(include_usage=peek.include_usage, choices=peek.choices)
