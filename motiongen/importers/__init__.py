"""Readers of foreign motion files: each gives a `Motion` on SMPL's 24 joints."""
