"""`python -m allweather.vendorsim`."""

from allweather.vendorsim.app import main

main()
