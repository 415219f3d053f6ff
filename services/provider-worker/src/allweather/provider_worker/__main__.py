from allweather.provider_worker.app import main
from allweather.provider_worker.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("provider-worker", Settings, main, observed)
