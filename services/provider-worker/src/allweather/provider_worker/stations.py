"""The deployments of one vendor as this process can call them: address, credential, limits."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from allweather.contracts.config import Configuration, Deployment, Vendor
from allweather.provider_worker.adapters.credentials import Credential, FixedKey, from_file
from allweather.provider_worker.limits import Limiter
from allweather.provider_worker.settings import Lacking, Settings, resolve, secret
from allweather.provider_worker.wire import Target

log = logging.getLogger(__name__)

SIMULATED_KEY = "simulated-key"
SIMULATED_PROJECT = "allweather"


@dataclass(frozen=True, slots=True)
class Equipped:
    """A deployment that can be called."""

    target: Target
    credential: Credential
    limiter: Limiter


@dataclass(frozen=True, slots=True)
class Unequipped:
    """A deployment that cannot be called from this process."""

    reason: str


Station = Equipped | Unequipped


Equip = Callable[[Deployment], tuple[Target, Credential]]
"""Finds a deployment's address and credential. Raises `Lacking`."""


def stations(configuration: Configuration, settings: Settings) -> Mapping[str, Station]:
    """The vendor's deployments by id. What cannot be called is reported, and answers `misconfigured`."""
    vendor = configuration.vendor(settings.vendor)
    equip = _simulated(vendor, settings.vendor_base_url) if settings.vendor_base_url else _real(settings)
    return {d.id: _station(d, equip) for d in configuration.deployments if d.vendor == vendor.id}


def _station(deployment: Deployment, equip: Equip) -> Station:
    try:
        target, credential = equip(deployment)
    except Lacking as error:
        log.warning("deployment cannot be called", extra={"deployment": deployment.id, "reason": str(error)})
        return Unequipped(f"{deployment.id} cannot be called here: {error}.")
    return Equipped(target, credential, Limiter.of(deployment.concurrency))


def _simulated(vendor: Vendor, base_url: str) -> Equip:
    """All deployments at the simulators, with a key that opens nothing."""

    def equip(deployment: Deployment) -> tuple[Target, Credential]:
        path = vendor.simulator_path.format(region=deployment.region)
        return Target(deployment, base_url.rstrip("/") + path, SIMULATED_PROJECT), FixedKey(SIMULATED_KEY)

    return equip


def _real(settings: Settings) -> Equip:
    """Addresses and credentials as the catalogue names them; each credential file is read once."""
    files: dict[Path, Credential] = {}

    def equip(deployment: Deployment) -> tuple[Target, Credential]:
        endpoint, found = resolve(deployment.endpoint), secret(deployment.credential)
        if isinstance(found, SecretStr):
            return Target(deployment, endpoint), FixedKey(found.get_secret_value())
        if found not in files:
            files[found] = from_file(found)
        return Target(deployment, endpoint, settings.google_cloud_project or files[found].project), files[found]

    return equip
