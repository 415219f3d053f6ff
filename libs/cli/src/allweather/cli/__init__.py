"""The allweather command: services and libraries register their commands by entry point."""
