"""Signatures are those of HMAC-SHA256, whatever the secret and the text."""

import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from allweather.contracts.mac import mac


@given(st.binary(max_size=200), st.binary(max_size=400))
@example(b"k" * 64, b"")
@example(b"k" * 65, b"text")
def test_a_mac_is_what_the_standard_library_computes(secret: bytes, text: bytes) -> None:
    twice = [mac(secret, text), mac(secret, text)]

    assert twice == [hmac.digest(secret, text, "sha256")] * 2
