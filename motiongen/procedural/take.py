"""A take of an action: keyframes on controls, oscillations and small life; one generator gives all variation."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from avatargen.core.values import Motion
from motiongen.procedural.rig import CONTROLS, solve

FPS = 30.0
Number = float | int


class Take:
    """Collects keys in seconds; `motion` solves them. All randomness comes from the generator given."""

    def __init__(
        self, generator: np.random.Generator, seconds: Number, tempo: tuple[float, float] = (0.85, 1.2)
    ) -> None:
        self.generator = generator
        self.tempo = float(generator.uniform(*tempo))
        """Over 1 is slower; every time below is multiplied by it."""
        self.size = float(generator.uniform(0.9, 1.12))
        """How large the gestures are."""
        self.seconds = seconds * self.tempo
        self.frames = max(8, round(self.seconds * FPS) + 1)
        self.time = np.arange(self.frames) / FPS / self.tempo
        self.controls: dict[str, np.ndarray] = {}
        self.base: set[str] = set()

    def vary(self, value: Number, by: Number = 0.12) -> float:
        """`value` times 1 +- `by`."""
        return value * float(self.generator.uniform(1 - by, 1 + by))

    def jitter(self, value: Sequence[Number], by: Number = 0.012) -> tuple[float, ...]:
        """`value` moved by a little."""
        return tuple(float(v + self.generator.uniform(-by, by)) for v in value)

    def key(self, control: str, *keys: tuple[Number, Sequence[Number] | None]) -> "Take":
        """Keys (second, value) of a control; None is its neutral value. Between keys it eases, outside it holds.

        A name that ends in `_lr` sets both sides.
        """
        if control.endswith("_lr"):
            for side in "lr":
                self.key(f"{control[:-2]}{side}", *keys)
            return self
        spec = CONTROLS[control]
        times = np.array([t for t, _ in keys])
        values = np.array([spec.neutral if v is None else tuple(v) for _, v in keys], dtype=float)
        if len(keys) == 1:
            curve = np.tile(values[0], (self.frames, 1))
        else:
            curve = np.asarray(PchipInterpolator(times, values, axis=0)(np.clip(self.time, times[0], times[-1])))
        self.controls[control] = curve
        return self

    def add(self, control: str, values: np.ndarray) -> "Take":
        """Add a curve [t, k] to a control."""
        if control.endswith("_lr"):
            for side in "lr":
                self.add(f"{control[:-2]}{side}", values)
            return self
        now = self.controls.get(control)
        if now is None:
            now = np.tile(np.array(CONTROLS[control].neutral, dtype=float), (self.frames, 1))
        self.controls[control] = now + values
        return self

    def envelope(self, start: Number, end: Number, ramp: Number = 0.3) -> np.ndarray:
        """0 outside, 1 between start + ramp and end - ramp, smooth. [t]."""
        rise = np.clip((self.time - start) / ramp, 0, 1) if start > 0 else np.ones(self.frames)
        fall = np.clip((end - self.time) / ramp, 0, 1) if end < self.time[-1] else np.ones(self.frames)
        u = np.minimum(rise, fall)
        return u * u * (3 - 2 * u)

    def swing(
        self, control: str, amplitude: Sequence[Number], hertz: Number, start: Number = 0.0, end: Number = 1e9,
        phase: Number = 0.0, ramp: Number = 0.3, sharp: Number = 0.0,
    ) -> "Take":  # fmt: skip
        """Add an oscillation amplitude * sin(2 pi (hertz t + phase)) between start and end; `sharp` squares it off."""
        wave = np.sin(2 * np.pi * (hertz * (self.time - max(start, 0.0)) + phase))
        if sharp > 0:
            wave = np.tanh(wave * (1 + 3 * sharp)) / np.tanh(1 + 3 * sharp)
        return self.add(control, (wave * self.envelope(start, end, ramp))[:, None] * np.array(amplitude, dtype=float))

    def pulse(self, control: str, amplitude: Sequence[Number], at: Number, width: Number) -> "Take":
        """Add a bump of about `width` seconds around `at`."""
        bump = np.exp(-0.5 * ((self.time - at) / (0.4 * width)) ** 2)
        return self.add(control, bump[:, None] * np.array(amplitude, dtype=float))

    def _drift(self, scale: Sequence[Number], slowest: Number = 0.15, fastest: Number = 0.6) -> np.ndarray:
        """Slow random movement: a few sines of random phase."""
        out = np.zeros((self.frames, len(scale)))
        for axis, size in enumerate(scale):
            for _ in range(3):
                hertz = self.generator.uniform(slowest, fastest)
                phase = self.generator.uniform(0, 2 * np.pi)
                out[:, axis] += size / 3 * np.sin(2 * np.pi * hertz * self.time * self.tempo + phase)
        return out

    def alive(self, amount: Number = 1.0) -> "Take":
        """Breathing, a shifting weight, a head and hands that are never quite still."""
        breath = np.sin(
            2 * np.pi * (self.generator.uniform(0.22, 0.34) * self.time * self.tempo + self.generator.uniform())
        )
        self.add("spine", amount * (0.9 * breath[:, None] * np.array([-1.0, 0, 0]) + self._drift((0.8, 1.5, 0.8))))
        for side in "lr":
            self.add(f"collar_{side}", amount * 1.2 * np.stack([breath, np.zeros_like(breath)], -1))
            still = 1.0 - 0.7 * np.maximum(self.controls.get(f"world_{side}", np.zeros((self.frames, 1))), 0)
            self.add(f"hand_{side}", amount * still * self._drift((0.006, 0.005, 0.008)))
        self.add("head", amount * self._drift((1.6, 2.8, 1.2)))
        sway = amount * self._drift((0.008, 0.0, 0.006))
        self.add("pelvis", sway)
        self.add("pelvis_turn", amount * self._drift((0.5, 1.2, 0.6)))
        return self

    def motion(self, name: str, smooth: Number = 0.8) -> Motion:
        """The take as a motion at `FPS`; `smooth` is in frames."""
        curves = {
            k: gaussian_filter1d(v, smooth, axis=0, mode="nearest") if smooth > 0 else v
            for k, v in self.controls.items()
        }
        if not curves:
            curves = {"pelvis": np.tile(CONTROLS["pelvis"].neutral, (self.frames, 1))}
        return solve(curves, FPS, name)
