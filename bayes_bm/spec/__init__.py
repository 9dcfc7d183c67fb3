"""What is assumed: a TOML document as frozen records."""
