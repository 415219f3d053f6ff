"""Our partition of a key is that of Kafka's own clients."""

import pytest

from allweather.messaging.partitioning import murmur2, partition_of

# From the tests of Kafka's Java client (org.apache.kafka.common.utils.UtilsTest), as signed integers.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), VECTORS.items())
def test_hash_agrees_with_kafkas(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


def test_partition_is_the_positive_hash_modulo_their_number() -> None:
    assert [partition_of(key, 4) for key in VECTORS] == [(signed & 0x7FFFFFFF) % 4 for signed in VECTORS.values()]
