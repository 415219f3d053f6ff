from allweather.router.app import main
from allweather.router.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("router", Settings, main, observed)
