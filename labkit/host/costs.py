"""What leaving a guest costs: the published numbers that both theory and simulation are given.

A guest's instructions run on the processor itself, at its own speed (*direct execution*), until one comes that must
not: then the processor leaves the guest, an *exit*, the hypervisor does what the guest meant, and goes back. Each
number here says where it was published, and on which computer it was measured; what nobody published is marked as
assumed. They are in seconds at one clock rate, that of the computer on which the direct cost of an exit was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COSTS", "Costs", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """One number of the model.

    Parameters
    ----------
    value : float
        The number.
    unit : str
        Its unit; ``"1"`` for a pure number.
    source : str
        Where it was published, and on what it was measured; or why it is assumed.
    assumed : bool
        Whether nobody published it, or not as it is used here: the source then says what it was made of.
    """

    value: float
    unit: str
    source: str
    assumed: bool = False

    def __repr__(self) -> str:
        return f"{self.value:.4g} {self.unit} ({'assumed: ' if self.assumed else ''}{self.source})"


_CLOCK = 2.93e9  # Hz; the Xeon X5570 of Landau and others


@dataclass(frozen=True)
class Costs:
    """How often programs leave a guest, and what that costs.

    Parameters
    ----------
    exit : Parameter
        The direct cost of an exit and of going back, in s. What the caches lose (its indirect cost) is not in it.
    device : Parameter
        From a guest's knock at a virtual device of QEMU's until QEMU hears it, the exit included, in s.
    ticks : Parameter
        Interruptions by the guest's own clock in a second of time.
    exits_per_tick : Parameter
        How many exits each of them takes.
    host_path : Parameter
        In a hosted hypervisor: what the program on the host adds to each use of a device, in s.
    world_switch : Parameter
        In a hosted hypervisor: changing between the hypervisor's world and the host's, once, in s.
    exits_per_nested_exit : Parameter
        In a hypervisor inside a guest: how many real exits it takes to handle one of its own guest's.
    translated : Parameter
        How much longer translated integer code takes than the processor's own.
    software_mmu : Parameter
        How much longer again where memory addresses are translated by software too.
    """

    exit: Parameter = Parameter(
        2000 / _CLOCK,
        "s",
        "2,000 cycles: A. Landau, M. Ben-Yehuda, A. Gordon, 'SplitX: split guest/hypervisor execution on multi-core', "
        "WIOV 2011; Xeon X5570 at 2.93 GHz, KVM of Linux 2.6.34",
    )
    device: Parameter = Parameter(
        20e-6,
        "s",
        "K. Rister's measurement, told by S. Hajnoczi on the list qemu-devel with his patches for polling (archived as "
        "message 412486, 2016 or so): 'the guest->host notification takes around 20 us'",
    )
    ticks: Parameter = Parameter(250.0, "1/s", "CONFIG_HZ=250, Debian's kernel", assumed=True)
    exits_per_tick: Parameter = Parameter(
        2.0, "1", "one for the interrupt, one for the guest's setting its timer anew", assumed=True
    )
    host_path: Parameter = Parameter(
        (22.7e-6 + 3.0e-6) * 733e6 / _CLOCK,
        "s",
        "22.7 us for the host's virtual network driver and 3.0 us for the emulated card, for each packet: J. Sugerman, "
        "G. Venkitachalam, B.-H. Lim, 'Virtualizing I/O devices on VMware Workstation's hosted virtual machine "
        "monitor', USENIX 2001, the table of where time goes; on a Pentium III at 733 MHz, taken as so many cycles, "
        "and for a disk as for a network card",
        assumed=True,
    )
    world_switch: Parameter = Parameter(
        2000 / _CLOCK,
        "s",
        "no less than an exit: it 'involves saving and restoring all user and system visible state', Sugerman and "
        "others, section 2",
        assumed=True,
    )
    exits_per_nested_exit: Parameter = Parameter(
        14.0,
        "1",
        "the exit itself, 6 to 10 VMREADs, 2 to 6 VMWRITEs and a VMRESUME of the inner KVM, each of which exits where "
        "the processor has no VMCS shadowing: reads and writes as counted by A. Altea, pull request 130 of intel/haxm, "
        "2018; their middles, 8 and 4, and two more",
        assumed=True,
    )
    translated: Parameter = Parameter(
        4.0,
        "1",
        "F. Bellard, 'QEMU, a fast and portable dynamic translator', USENIX 2005: 'about 4 times slower "
        "than native code on integer code'; x86 on x86, QEMU 0.4.2",
    )
    software_mmu: Parameter = Parameter(
        2.0, "1", "Bellard, ibid.: the software MMU of full system emulation costs a factor of 2"
    )


COSTS = Costs()
"""The published numbers."""
