"""The prices of the catalogue's models, from the genai-prices library."""
