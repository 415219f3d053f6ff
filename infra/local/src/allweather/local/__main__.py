"""The detached supervisor: `python -m allweather.local '<options as JSON>'`."""

import asyncio
import sys

from allweather.local.daemon import detach, main
from allweather.local.detached import LOG
from allweather.local.plan import Options
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder

settings = LocalSettings()
detach(StateFolder(settings.state_dir).log(LOG))
sys.exit(asyncio.run(main(settings, Options.model_validate_json(sys.argv[1]))))
