from allweather.audit_sink.app import main
from allweather.audit_sink.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("audit-sink", Settings, main, observed)
