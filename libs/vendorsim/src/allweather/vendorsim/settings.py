"""What can be set from outside; the only reader of the environment."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from allweather.vendorsim.faults import Latency, Spread, VendorName

_TYPICAL: Mapping[VendorName, tuple[Spread, float]] = {
    "anthropic": (Spread(650, 2600), 12.0),
    "openai": (Spread(500, 2200), 9.0),
    "azure-openai": (Spread(450, 2000), 8.0),
    "vertex": (Spread(550, 2400), 6.0),
    "open-source": (Spread(120, 600), 5.0),
    "mistral": (Spread(400, 1800), 7.0),
}


class Settings(BaseSettings):
    """Each is also an option of the command line."""

    model_config = SettingsConfigDict(env_prefix="ALLWEATHER_SIM_", frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="address to listen at")
    port: int = Field(
        default=8900, ge=0, le=65535, description="port of all vendors and the admin API; 0 picks a free one"
    )
    port_per_vendor: bool = Field(
        default=False,
        description="also give each vendor a port of its own (the ports after it), whose listener is really closed "
        "while a fault refuses the whole vendor",
    )
    call_log: Path | None = Field(default=None, description="append every call to this file (JSON lines)")
    seed: int = Field(default=0, description="sets probabilities and latencies: the same seed, the same faults")
    latency_profile: str = Field(
        default="none", description="`none`, `typical`, or a JSON file with a list of latency faults"
    )

    def latencies(self) -> list[Latency]:
        """Return the base distribution of each vendor.

        Raises ValueError when the file is not a list of latency faults.
        """
        if self.latency_profile == "none":
            return []
        if self.latency_profile == "typical":
            return [
                Latency(vendor=vendor, first_token_ms=spread, per_token_ms=per_token)
                for vendor, (spread, per_token) in _TYPICAL.items()
            ]
        return msgspec.json.decode(Path(self.latency_profile).read_bytes(), type=list[Latency])
