"""The composition root of the audit sink: the only place that builds its clients."""

from pathlib import Path

from allweather.audit_sink.adapters.keys import load_or_create, write_verifier_keys
from allweather.audit_sink.adapters.log import Log
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.checkpoints import Signer
from allweather.audit_sink.entries import PIPELINE
from allweather.audit_sink.handlers import Sink
from allweather.audit_sink.lag import Lag
from allweather.audit_sink.publishing import Publishing
from allweather.audit_sink.settings import Settings
from allweather.contracts import topics
from allweather.messaging import TransientError
