"""Judges of a finished avatar: its surface, its rig, its colors, its motion, and what text-image models say."""
