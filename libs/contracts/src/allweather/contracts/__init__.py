"""Every record, id, topic and header of Allweather as frozen models. No I/O."""
