"""What an operator writes in `config/`: vendors, deployments, routes and tenants, validated as a whole.

Swapping a vendor is an edit of these files. The digest of the configuration is recorded with every decision.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from allweather.contracts.model import Model, canonical_json, digest
from allweather.contracts.prices import Price
from allweather.contracts.slip import Capability, Dialect, Parameter


class InvalidConfiguration(ValueError):
    """The files in the configuration folder contradict themselves or each other; the message lists every fault."""


class Vendor(Model, extra="forbid"):
    """A company or server that answers calls: one worker fleet, one dispatch topic."""

    id: str
    api: str
    """The translator that speaks its wire format, a module of the provider worker."""
    provider_name: str
    """`gen_ai.provider.name` of OpenTelemetry."""
    dialects: tuple[Dialect, ...] = ()
    """What callers speak and the vendor speaks too: their own words are passed on."""
    parameters: tuple[Parameter, ...] | None = None
    """What its format can say beyond capabilities; None = not declared, its workers find out."""
    simulator_path: str
    """Where the vendor simulator serves it, below its base address. `{region}` is replaced."""


class Concurrency(Model, extra="forbid"):
    """Calls in flight to one deployment from one worker process."""

    start: int = Field(default=4, ge=1)
    max: int = Field(default=64, ge=1)


class Deployment(Model, extra="forbid"):
    """One thing that can be called: a model, at a vendor, in a region, with a credential."""

    id: str
    vendor: str
    model: str
    """The vendor's name of the model."""
    deployment_name: str | None = None
    """Azure's name of the deployment, where it differs from the model."""
    region: str = "global"
    """Where the endpoint is."""
    processed_in: str = "global"
    """The place in which it processes, which is what residency compares; `global` means anywhere."""
    endpoint: str
    """Base address. `${NAME}` is replaced from the worker's environment."""
    credential: str
    """Name of the environment variable that holds the key (or the path of a key file)."""
    api_version: str | None = None
    capabilities: tuple[Capability, ...] = ()
    refuses: tuple[Parameter, ...] = ()
    """What this model cannot be asked, though its vendor's format can say it."""
    context_tokens: int = Field(gt=0)
    max_output_tokens: int = Field(default=0, ge=0)
    """0 for a model that embeds, which writes nothing."""
    price: Price
    """Written here, or else that of its vendor and model in `prices.yaml`."""
    concurrency: Concurrency = Concurrency()

    @cached_property
    def group(self) -> str:
        """Vendor and model: repeats within it are charged to the retry budget."""
        return f"{self.vendor}/{self.model}"

    @cached_property
    def embeds(self) -> bool:
        """Whether its model makes vectors."""
        return Capability.EMBEDDINGS in self.capabilities

    def offers(self, wanted: Collection[str]) -> bool:
        """Whether it can do everything that is wanted. A model that embeds does nothing else, and no other does."""
        if self.embeds is not (Capability.EMBEDDINGS in wanted):
            return False
        return not wanted or frozenset(self.capabilities).issuperset(wanted)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if self.embeds and (len(self.capabilities) > 1 or self.max_output_tokens):
            raise ValueError("a model that embeds does nothing else: no other capability, no max_output_tokens")
        if not self.embeds and not self.max_output_tokens:
            raise ValueError("max_output_tokens is missing")
        return self


class Timeouts(Model, extra="forbid"):
    """Limits of one call, in seconds."""

    connect: float = 2.0
    first_token: float = 10.0
    """Interactive requests fail over after this long without content."""
    between_tokens: float = 30.0
    total: float = 600.0


class Route(Model, extra="forbid"):
    """What applications name as `model`: who may answer, in which order."""

    id: str
    description: str = ""
    candidates: tuple[str, ...] = Field(min_length=1)
    """Deployment ids, most preferred first."""
    timeouts: Timeouts = Timeouts()


class Limits(Model, extra="forbid"):
    """What a tenant may keep waiting."""

    parked_requests: int = 10_000
    parked_bytes: int = 1 << 30


class Tenant(Model, extra="forbid"):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: str = ""
    limits: Limits = Limits()


class Configuration(Model):
    """The whole of `config/` but the policies, which belong to the policy service."""

    vendors: tuple[Vendor, ...]
    deployments: tuple[Deployment, ...]
    routes: tuple[Route, ...]
    tenants: tuple[Tenant, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the configuration."""
        return digest(canonical_json(self.model_dump(mode="json")))

    @cached_property
    def _vendors(self) -> Mapping[str, Vendor]:
        return {v.id: v for v in self.vendors}

    @cached_property
    def _deployments(self) -> Mapping[str, Deployment]:
        return {d.id: d for d in self.deployments}

    @cached_property
    def _routes(self) -> Mapping[str, Route]:
        by_model: dict[str, list[str]] = {}
        for deployment in self.deployments:
            by_model.setdefault(deployment.model, []).append(deployment.id)
        models = {m: Route(id=m, candidates=tuple(ids)) for m, ids in by_model.items()}
        return models | {r.id: r for r in self.routes}

    @cached_property
    def _tenants(self) -> Mapping[str, Tenant]:
        return {t.id: t for t in self.tenants}

    @property
    def route_ids(self) -> tuple[str, ...]:
        """Every name that an application may use as `model`: the routes, and each model by its own name."""
        return tuple(self._routes)

    def route(self, name: str) -> Route | None:
        """The route, or every deployment of the model, of that name."""
        return self._routes.get(name)

    def deployment(self, deployment_id: str) -> Deployment:
        """The deployment of that id. Raises KeyError."""
        return self._deployments[deployment_id]

    def vendor(self, vendor_id: str) -> Vendor:
        """The vendor of that id. Raises KeyError."""
        return self._vendors[vendor_id]

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self._tenants.get(tenant_id)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *_repeated("vendor", [v.id for v in self.vendors]),
            *_repeated("deployment", [d.id for d in self.deployments]),
            *_repeated("route", [r.id for r in self.routes]),
            *_repeated("tenant", [t.id for t in self.tenants]),
            *(
                f"deployment {d.id}: unknown vendor {d.vendor}"
                for d in self.deployments
                if d.vendor not in self._vendors
            ),
            *(
                f"route {r.id}: unknown deployment {c}"
                for r in self.routes
                for c in r.candidates
                if c not in self._deployments
            ),
            *self._mixed_vectors(),
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _mixed_vectors(self) -> Iterator[str]:
        """Routes on which a fallback would put vectors into an index that do not compare with those beside them."""
        for route in self.routes:
            found = [self._deployments[c] for c in route.candidates if c in self._deployments]
            models = dict.fromkeys(d.model for d in found)
            if len(models) > 1 and any(d.embeds for d in found):
                yield f"route {route.id}: vectors of different models do not compare: {', '.join(models)}"


def _repeated(kind: str, ids: list[str]) -> list[str]:
    return [f"{kind} {i}: declared {ids.count(i)} times" for i in dict.fromkeys(ids) if ids.count(i) > 1]


def parse(catalogue: Any, routes: Any, tenants: Any, prices: Any = None) -> Configuration:
    """The configuration in the parsed contents of the files. Raises `InvalidConfiguration` with every fault."""
    locked: Any = prices or {}
    priced = _priced(catalogue or {}, locked.get("prices") or {})
    try:
        return Configuration.model_validate({**priced, **(routes or {}), **(tenants or {})})
    except ValidationError as error:
        raise InvalidConfiguration("\n".join(map(_told, error.errors(include_url=False)))) from error


def _priced(catalogue: dict[str, Any], prices: Mapping[str, Any]) -> dict[str, Any]:
    """The catalogue with the price of its vendor and model in each deployment that has none of its own."""
    told: list[dict[str, Any]] = catalogue.get("deployments") or []
    known = ((each, prices.get(f"{each.get('vendor')}/{each.get('model')}")) for each in told)
    return catalogue | {"deployments": [{"price": price} | each if price else each for each, price in known]}


def _told(error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    no_price = error["type"] == "missing" and place.endswith(".price")
    return f"{place}: {error['msg']}" + ("; run `make prices`, or write one" if no_price else "")


def load(folder: Path) -> Configuration:
    """The configuration in `catalogue.yaml`, `routes.yaml`, `tenants.yaml` and, if there is one, `prices.yaml`.

    Raises `InvalidConfiguration`, naming the file when one is missing or is not YAML.
    """
    prices = folder / "prices.yaml"
    catalogue, routes, tenants = (_read(folder / name) for name in ("catalogue.yaml", "routes.yaml", "tenants.yaml"))
    return parse(catalogue, routes, tenants, _read(prices) if prices.exists() else None)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InvalidConfiguration(f"{path}: not YAML: {error}") from error
