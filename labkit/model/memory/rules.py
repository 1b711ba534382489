"""The numbers by which a hypervisor deals with memory; a card on the wall beside that of its CPUs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LINUX_MEMORY", "MEMORY_RULES", "MemoryRules"]


@dataclass(frozen=True)
class MemoryRules:
    """The numbers by which a hypervisor deals with memory.

    Parameters
    ----------
    title : str
        What a reader calls them.
    balloon_request : float
        MiB that the balloon hands over, or takes back, at a time.
    balloon_speed : float
        MiB that it moves in a second.
    fill_speed : float
        MiB that a program in a guest fills in a second.
    filler : float
        MiB that this program needs for itself while it fills, the files that it is read from not counted.
    pages_to_scan : int
        How many pages the host compares before it rests, where it looks for equal ones.
    rest : float
        How long it rests then, in seconds.
    zero_pages : bool
        Whether pages that hold nothing but zeros are all let point to the one page of zeros that there is anyway.
    """

    title: str
    balloon_request: float
    balloon_speed: float
    fill_speed: float
    filler: float
    pages_to_scan: int
    rest: float
    zero_pages: bool


# Where the numbers come from:
# - balloon_request: Linux, drivers/virtio/virtio_balloon.c, VIRTIO_BALLOON_ARRAY_PFNS_MAX 256: pages of 4 KiB. The idea
#   is that of C. A. Waldspurger, "Memory resource management in VMware ESX Server", OSDI 2002, section 3.2.
# - balloon_speed, fill_speed: round figures, not Linux's own. It is as fast as the guest that deals the pages out and
#   the host that takes them; guests of software emulation moved 250 MiB/s or so, and filled 100.
# - filler: what the tools' Python took while it ran in a guest apart, 3.0 to 3.1 MiB.
# - pages_to_scan, rest: Linux, Documentation/admin-guide/mm/ksm.rst: pages_to_scan "Default: 100", sleep_millisecs
#   "Default: 20".
# - zero_pages: there too, use_zero_pages; 0 by default. labkit's live host switches it on while it measures, so that
#   empty pages are counted apart, and so it is on here.
LINUX_MEMORY = MemoryRules(
    title="Linux's rules",
    balloon_request=1.0,
    balloon_speed=256.0,
    fill_speed=100.0,
    filler=3.0,
    pages_to_scan=100,
    rest=0.020,
    zero_pages=True,
)
"""The rules of KVM: virtio's balloon, and kernel same-page merging."""

MEMORY_RULES: dict[str, MemoryRules] = {"kvm": LINUX_MEMORY}
"""The rules of memory by the name of those of the CPUs; for others there are none yet."""
