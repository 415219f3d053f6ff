"""Ids are derived: the same submission gives the same id, and no tenant can name or forge another's."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.ids import (
    DoorAddress,
    attempt_id,
    event_id,
    parse_public_id,
    position_key,
    public_id,
    request_id,
)

SECRET = b"s" * 32
tenants = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@given(tenants, st.text(max_size=60), tenants, st.text(max_size=60))
def test_two_submissions_share_an_id_only_when_tenant_and_key_are_equal(a: str, k: str, b: str, m: str) -> None:
    assert (request_id(a, k) == request_id(b, m)) == ((a, k) == (b, m))


@given(st.uuids(), st.text(max_size=80))
def test_an_event_id_is_the_version_5_uuid_of_request_and_step(request: UUID, step: str) -> None:
    assert event_id(request, step) == str(uuid5(request, step))


@given(tenants, st.uuids())
def test_a_public_id_leads_back_to_its_request(tenant: str, request: UUID) -> None:
    assert parse_public_id(public_id(request, tenant, SECRET), tenant, SECRET) == request


@given(tenants, tenants, st.uuids())
def test_a_public_id_of_another_tenant_is_unknown(tenant: str, other: str, request: UUID) -> None:
    found = parse_public_id(public_id(request, tenant, SECRET), other, SECRET)

    assert found == (request if tenant == other else None)


@given(st.text(max_size=80))
def test_malformed_public_ids_are_unknown_and_harmless(text: str) -> None:
    assert parse_public_id(text, "demo", SECRET) is None


def test_a_tampered_public_id_is_unknown() -> None:
    text = public_id(request_id("demo", "a"), "demo", SECRET)
    flipped = "0" if text[5] != "0" else "1"

    assert parse_public_id(text[:5] + flipped + text[6:], "demo", SECRET) is None


def test_a_door_address_is_valid_only_for_the_request_it_was_signed_for() -> None:
    mine, other = request_id("demo", "a"), request_id("demo", "b")
    text = DoorAddress("door-1", 3).sign(mine, SECRET)

    assert DoorAddress.verify(text, mine, SECRET) == DoorAddress("door-1", 3)
    assert DoorAddress.verify(text, other, SECRET) is None
    assert DoorAddress.verify(text.replace(":3:", ":2:"), mine, SECRET) is None
    assert DoorAddress.verify(text, mine, b"t" * 32) is None


@given(st.text(max_size=80))
def test_malformed_door_addresses_are_ignored(text: str) -> None:
    assert DoorAddress.verify(text, request_id("demo", "a"), SECRET) is None


def test_attempts_and_events_have_ids_of_their_own() -> None:
    request = request_id("demo", position_key("ai.public.requests.demo.v1", 2, 17))
    steps = ("verdict", "parked-1", "outcome")
    names = [str(attempt_id(request, 1)), str(attempt_id(request, 3)), *(event_id(request, s) for s in steps)]

    assert len(set(names)) == len(names)
