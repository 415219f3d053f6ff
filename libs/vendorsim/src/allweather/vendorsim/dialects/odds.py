"""Log probabilities of tokens, as Chat Completions and Responses tell them."""

from hashlib import blake2b

from allweather.vendorsim.wire import Json


def odds(token: str, top: int) -> Json:
    """Return the probability of `token`, and of the `top` likeliest in its place, itself the first."""
    told = _told(token, logprob(token))
    others = [_told(token.swapcase() + "'" * place, told["logprob"] - place - 1) for place in range(top - 1)]
    return {**told, "top_logprobs": [_told(token, told["logprob"]), *others] if top else []}


def logprob(token: str) -> float:
    """Return a log probability that is always the same for the same token."""
    return -int.from_bytes(blake2b(token.encode(), digest_size=2).digest()) / 65536


def _told(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": round(logprob, 6), "bytes": list(token.encode())}
