"""Motions of our own: keyframes on a few controls, solved by inverse kinematics on the open body's skeleton."""
