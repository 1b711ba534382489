"""The door of the model: which of its two hosts is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from labkit.model.simulated import SimulatedHost

if TYPE_CHECKING:
    from labkit.model.fluid import FluidHost

__all__ = ["simulated"]


def simulated(
    cpus: int = 2, *, rules: str = "kvm", seed: int = 0, mode: Literal["slices", "fluid"] = "slices"
) -> SimulatedHost | FluidHost:
    """Open a simulated host, one of time slices or a fluid one; see `SimulatedHost` and `labkit.model.FluidHost`.

    Raises
    ------
    ValueError
        Where an argument is outside its range, or there is no such mode.
    """
    if mode == "slices":
        return SimulatedHost(cpus, rules=rules, seed=seed)
    if mode == "fluid":
        from labkit.model.fluid import FluidHost

        return FluidHost(cpus, rules=rules, seed=seed)
    raise ValueError(f"mode is 'slices' or 'fluid', not {mode!r:.40}")
