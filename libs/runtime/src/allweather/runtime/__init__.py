"""What every service process is made of: settings, signals, probes, Postgres, Redis, payload store."""
