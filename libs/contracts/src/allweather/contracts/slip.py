"""The routing slip: all that a service needs to know of a request, carried in every internal record.

Policy writes it once; only the router adds to it (attempts, parks, position). Times are milliseconds since the Unix
epoch and come from the causing record, never from the clock of the service that decides.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal
from uuid import UUID

from allweather.contracts.failures import FailureKind
from allweather.contracts.model import Value


class Operation(StrEnum):
    """What a model is asked to do; the values of `gen_ai.operation.name`."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Dialect(StrEnum):
    """The wire format that the caller speaks; results, deltas and errors are rendered in it."""

    OPENAI_CHAT = "openai.chat"
    OPENAI_RESPONSES = "openai.responses"
    OPENAI_EMBEDDINGS = "openai.embeddings"
    ANTHROPIC_MESSAGES = "anthropic.messages"

    @property
    def operation(self) -> Operation:
        """What requests in it ask for."""
        return Operation.EMBEDDINGS if self is Dialect.OPENAI_EMBEDDINGS else Operation.CHAT


class Priority(StrEnum):
    INTERACTIVE = "interactive"
    BULK = "bulk"


class Capability(StrEnum):
    """Something that a request needs and a deployment may have."""

    STREAMING = "streaming"
    TOOLS = "tools"
    PARALLEL_TOOLS = "parallel_tools"
    VISION = "vision"
    JSON_SCHEMA = "json_schema"
    REASONING = "reasoning"
    EMBEDDINGS = "embeddings"
    """Making vectors: a model that does it does nothing else, and no other model does."""


class Parameter(StrEnum):
    """Something else that a request asks for and that not every vendor's format can say."""

    ALLOWED_TOOLS = "allowed_tools"
    CHOICES = "choices"
    """More than one answer."""
    DIMENSIONS = "dimensions"
    """Vectors shorter than the model makes them by itself."""
    DOCUMENTS = "documents"
    DOCUMENT_URLS = "document_urls"
    FREQUENCY_PENALTY = "frequency_penalty"
    HIGH_TEMPERATURE = "high_temperature"
    """Above 1."""
    IMAGE_URLS = "image_urls"
    JSON_OBJECT = "json_object"
    """JSON without a schema."""
    LOGIT_BIAS = "logit_bias"
    LOGPROBS = "logprobs"
    MANY_INPUTS = "many_inputs"
    """More than one text to embed."""
    MANY_STOPS = "many_stops"
    """More than four stop sequences."""
    NATIVE = "native"
    """A field without an equal elsewhere: only a vendor that speaks the caller's dialect can be asked."""
    PRESENCE_PENALTY = "presence_penalty"
    SERIAL_TOOLS = "serial_tools"
    """At most one tool call in an answer."""
    STOP = "stop"
    TEMPERATURE = "temperature"
    PRETOKENIZED = "pretokenized"
    """Texts that are tokens already, of the tokenizer of one family of models."""
    TOOL_IMAGES = "tool_images"
    """Images in the result of a tool."""
    TOP_K = "top_k"
    TOP_P = "top_p"
    VERBOSITY = "verbosity"


class Needs(Value, frozen=True, kw_only=True):
    """What a candidate must offer."""

    capabilities: tuple[Capability, ...] = ()
    parameters: Mapping[Parameter, str] = {}
    """Each with the name of the field in which the caller asks for it."""
    input_tokens: int = 0
    """Estimate, an upper bound by bytes / 3; settled with the vendor's own count."""
    longest_input_tokens: int | None = None
    """The longest of several inputs of which each has the context window to itself; None when all share it."""
    output_tokens: int | None = None
    """The caller's limit, if given."""

    @property
    def window_tokens(self) -> int:
        """Estimate of what has to fit into the context window at once."""
        longest = self.input_tokens if self.longest_input_tokens is None else self.longest_input_tokens
        return longest + (self.output_tokens or 0)


class ReplyAddress(Value, frozen=True, kw_only=True):
    """Where the outcome goes."""

    topic: str
    partition: int | None = None
    door: str | None = None
    """Id of the HTTP door that waits; None at the Kafka door."""
    echo: tuple[tuple[str, str], ...] = ()
    """Correlation headers of the request, values in base64, carried unchanged by the reply."""


class Verdict(Value, frozen=True, kw_only=True):
    """Policy's decision, and what decided it."""

    effect: Literal["permit", "deny", "invalid"]
    rules: tuple[str, ...] = ()
    """Ids of the rules that decided, most specific first."""
    code: str | None = None
    """Machine-readable reason of a deny or invalid, such as `model_not_allowed`."""
    reason: str | None = None
    """One sentence for the caller: what is wrong and what to do."""
    param: str | None = None
    """The field of the request that is to blame, if one is."""
    regions: tuple[str, ...] | None = None
    """Places in which the request may be processed; None = anywhere."""
    vendors: tuple[str, ...] | None = None
    """Vendors that may see the request; None = any."""
    output_check: bool = False
    """Whether the answer must be reviewed before it is released."""
    policy_digest: str = ""
    """Digest of the rules under which this was decided."""
    decided_at_ms: int = 0


class Usage(Value, frozen=True, kw_only=True):
    """Tokens of one call, in normal form: cached and reasoning tokens are contained in the totals."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Attempt(Value, frozen=True, kw_only=True):
    """A finished dispatch, whether or not a vendor was called."""

    n: int
    deployment: str
    episode: int
    failure: FailureKind | None = None
    message: str | None = None
    http_status: int | None = None
    retry_after_ms: int | None = None
    dispatched_at_ms: int
    ended_at_ms: int
    first_token_ms: int | None = None
    usage: Usage | None = None


class ApiHeaders(Value, frozen=True, kw_only=True):
    """What callers of an API say in headers, and a vendor of the same API is to hear. Others have no use for it."""

    version: str | None = None
    betas: str | None = None


class Slip(Value, frozen=True, kw_only=True):
    """What every internal record says of its request."""

    request_id: UUID
    tenant: str
    dialect: Dialect = Dialect.OPENAI_CHAT
    api: ApiHeaders | None = None
    route: str
    """What the application named as `model`."""
    stream: bool = False
    include_usage: bool = False
    """The caller asked for a usage chunk at the end of its stream."""
    priority: Priority
    data_class: str | None = None
    accepted_at_ms: int
    deadline_ms: int
    body_digest: str
    """SHA-256 of the body as received: the same key with another digest is a conflict."""
    body_ref: str | None = None
    """Digest under which the payload store holds the body when it does not travel in the record."""
    needs: Needs = Needs()
    reply: ReplyAddress
    verdict: Verdict
    position: int = 0
    """How many steps of the chain led here; the next step is taken at `position + 1`, once."""
    episode: int = 1
    parks: int = 0
    attempts: tuple[Attempt, ...] = ()

    @property
    def next_attempt(self) -> int:
        """The number of the attempt to dispatch next; the oldest attempts may have been forgotten."""
        return self.attempts[-1].n + 1 if self.attempts else 1

    @property
    def this_episode(self) -> tuple[Attempt, ...]:
        """The attempts of the current episode, oldest first."""
        return tuple([a for a in self.attempts if a.episode == self.episode])
