"""The slow reader of record batches agrees with the client's own writer."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (aiokafka's batch builder is untyped)

from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from allweather.messaging import Record, TopicPartition
from allweather.messaging.kafka import raw
from allweather.messaging.kafka.client import decompress

AT = TopicPartition("t", 3)
nullable = st.none() | st.binary(max_size=300)
entries = st.lists(
    st.tuples(nullable, nullable, st.lists(st.tuples(st.text(max_size=40), nullable), max_size=4).map(tuple)),
    min_size=1,
    max_size=30,
)


def batch(records: list[tuple[bytes | None, bytes | None, Any]], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, 0, 1 << 20)
    for n, (key, value, headers) in enumerate(records):
        builder.append(n, timestamp=1_000_000 + 7 * n, key=key, value=value, headers=list(headers))
    return bytes(builder.build())


def expected(records: list[tuple[bytes | None, bytes | None, Any]]) -> list[Record]:
    return [Record(*AT, n, 1_000_000 + 7 * n, *each) for n, each in enumerate(records)]


@given(entries, st.sampled_from([0, 1, 3, 4]))
def test_records_are_read_as_they_were_written(records: list[Any], codec: int) -> None:
    """Uncompressed, gzip, lz4 and zstd; snappy is never better than zstd and only other people's."""
    assert list(raw.records(AT, batch(records, codec), 0, decompress)) == expected(records)


@given(entries, st.integers(0, 30))
def test_records_before_the_start_are_left_out(records: list[Any], start: int) -> None:
    assert list(raw.records(AT, batch(records), start, decompress)) == expected(records)[start:]


@given(entries, st.integers(0, 100))
def test_batch_that_was_cut_off_is_left_for_the_next_time(records: list[Any], cut: int) -> None:
    whole = batch(records)

    assert list(raw.records(AT, whole + whole[: min(cut, len(whole) - 1)], 0, decompress)) == expected(records)


def test_name_that_is_not_utf8_is_escaped() -> None:
    data = batch([(None, b"v", (("@@", b"opaque"),))]).replace(b"@@", b"\xff\xfe")

    (record,) = raw.records(AT, data, 0, decompress)

    assert record.headers == (("\\xff\\xfe", b"opaque"),)


@pytest.mark.parametrize("codec", [2])
def test_snappy_is_read(codec: int) -> None:
    assert list(raw.records(AT, batch([(b"k", b"v", ())], codec), 0, decompress)) == expected([(b"k", b"v", ())])
