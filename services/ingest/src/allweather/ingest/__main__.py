from allweather.ingest.app import main
from allweather.ingest.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("ingest", Settings, main, observed)
