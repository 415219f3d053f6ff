from allweather.policy.app import main
from allweather.policy.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("policy", Settings, main, observed)
