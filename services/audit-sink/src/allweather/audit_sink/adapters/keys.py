"""The log's key files: the private key for its owner only, the public key for everybody."""

import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from allweather.audit_sink.checkpoints import Verifier
from allweather.runtime.settings import SettingsError


def load_or_create(path: Path) -> Ed25519PrivateKey:
    """The private key in `path`, which is made when there is none. Raises SettingsError when it cannot be trusted."""
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise SettingsError([f"{path}: others may read the private key of the audit log; chmod 600 it"])
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise SettingsError([f"{path}: not a private key in PEM form"]) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError([f"{path}: not an Ed25519 key"])
    return key


def write_verifier_keys(path: Path, verifier: Verifier, shards: int) -> None:
    """Publish the public key: one verifier key a line, for each shard, as note tools take them."""
    lines = "".join(f"{verifier.verifier_key(shard)}\n" for shard in range(shards))
    _replace(path, lines.encode(), 0o644)


def read_verifier(path: Path, log: str) -> Verifier:
    """The verifier of `log` from the public key file. Raises SettingsError."""
    try:
        return Verifier.from_verifier_key(log, path.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError) as error:
        raise SettingsError([f"{path}: no public key of the audit log ({error})"]) from None


def _create(path: Path) -> None:
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path, content, 0o600)
    try:
        os.link(temporary, path)  # unlike a rename, this never replaces the key of a replica that was faster
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _replace(path: Path, content: bytes, mode: int) -> None:
    _temporary(path, content, mode).replace(path)


def _temporary(path: Path, content: bytes, mode: int) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(content)
        file.flush()
        os.fsync(handle)
    return Path(name)
