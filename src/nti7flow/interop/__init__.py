"""Strategies and samples from and for other packages; one foreign package per file, imported when it is used."""
