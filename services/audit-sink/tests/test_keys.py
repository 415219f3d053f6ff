"""Key files: made once, kept private, never replaced."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from allweather.audit_sink.adapters.keys import load_or_create, read_verifier, write_verifier_keys
from allweather.audit_sink.checkpoints import Signer
from allweather.runtime.settings import SettingsError

LOG = "allweather.local/test"


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.key"

    first, second = load_or_create(path), load_or_create(path)

    assert first.private_bytes_raw() == second.private_bytes_raw()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    load_or_create(path)
    path.chmod(0o640)

    with pytest.raises(SettingsError, match="chmod 600"):
        load_or_create(path)


def test_a_file_that_is_not_the_key_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"not a key", other):
        path = tmp_path / "audit.key"
        path.write_bytes(content)
        path.chmod(0o600)

        with pytest.raises(SettingsError, match=r"audit\.key: not an? "):
            load_or_create(path)
        assert path.read_bytes() == content


def test_the_public_key_file_has_a_verifier_key_for_each_shard(tmp_path: Path) -> None:
    signer = Signer(LOG, load_or_create(tmp_path / "audit.key"))
    public = tmp_path / "audit.pub"

    write_verifier_keys(public, signer.verifier, 4)

    assert [line.partition("+")[0] for line in public.read_text().splitlines()] == [f"{LOG}/{n}" for n in range(4)]
    assert read_verifier(public, LOG).open(3, signer.sign(3, 1, bytes(32), 0)).checkpoint.size == 1


@pytest.mark.parametrize("content", ["", "\n", "nonsense", "a+b", "name+00000000+AAAA"])
def test_a_broken_public_key_file_is_a_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "audit.pub"
    path.write_text(content)

    with pytest.raises(SettingsError, match="no public key of the audit log"):
        read_verifier(path, LOG)


def test_a_missing_public_key_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no public key of the audit log"):
        read_verifier(tmp_path / "audit.pub", LOG)
