"""Wrappers around a handler, one concern each; consumers apply them outermost first."""

from allweather.messaging.middleware.dead_letter import dead_letter
from allweather.messaging.middleware.dead_letter_limit import RecentDeadLetters
from allweather.messaging.middleware.metered import metered
from allweather.messaging.middleware.retry import Backoff, retry
from allweather.messaging.middleware.standard import standard
from allweather.messaging.middleware.traced import traced

__all__ = ["Backoff", "RecentDeadLetters", "dead_letter", "metered", "retry", "standard", "traced"]
