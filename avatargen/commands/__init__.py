"""Subcommands that convert and animate; each has a parser and calls one function."""
