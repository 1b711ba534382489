"""What a live host can do, by which mechanism, and what it says when it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.host import Ability
from labkit.live import balloon, caps, ksm, pools
from labkit.live.native import NO_NETWORK
from labkit.live.net.network import ability as network_ability

if TYPE_CHECKING:
    from labkit.live.livehost import LiveHost

__all__ = ["ability_of", "mechanisms_of"]

_RESERVATION = Ability(
    False,
    reason="libvirt and Linux have no reservation of CPU time.",
    remedy="Cap the other machines, so that they leave what this one needs; or use the simulated host.",
)
_NO_SWAP = Ability(
    False,
    reason="A guest of this course has no disk to swap to, and to make the host swap would slow down all of it.",
    remedy="Use the simulated host.",
)
_LATER = Ability(False)  # finding it out takes a moment, and only who asks for it waits
_OLD_IMAGE = Ability(
    False,
    reason="The guest image was made before it had a server in it.",
    remedy="Run 'labkit image build'.",
)


def ability_of(host: LiveHost, ability: str) -> Ability:
    """Whether a host can do something, such as ``"shares"``, and how, or why not."""
    agent = Ability(True, "QEMU's guest agent")
    known = {
        "shares": host.shares.ability,
        "pin": Ability(True, "libvirt's vcpupin"),
        "cap": caps.ability(host),
        "reservation": _RESERVATION,
        "hot-add": Ability(True, "libvirt's setvcpus, and the guest switches the new vCPU on"),
        "requests": Ability(True, _requests(host)) if host.image.serves else _OLD_IMAGE,
        "disks": host.shelf.ability,
        "boot disks": Ability(True, "SeaBIOS and SYSLINUX") if host.shelf.ability else host.shelf.ability,
        "export": Ability(True, "qemu-img and tar") if host.shelf.ability else host.shelf.ability,
        "throttle": _throttle(host),
        "pool": pools.ability(host) if ability == "pool" else _LATER,
        "snapshots": _snapshots(host),
        "contents": agent if host.image.serves else _OLD_IMAGE,
        "records": agent if host.image.serves else _OLD_IMAGE,
        "files": Ability(True, "ext4 in the guest") if host.root else host.shelf.ability,
        "trim": agent if host.root else host.shelf.ability,
        "balloon": balloon.ability(host.driver, host.kept),
        "filling": Ability(True, "a program in the guest") if host.image.serves else _OLD_IMAGE,
        "sharing": ksm.ability(host),
        "boots": _here(host, "the console's time stamps, and the agent's first answer"),
        "reclaim": _NO_SWAP,
        "harm": Ability(True, "the guest's own kernel, told so by the agent"),
        "inside": agent,
        "network programs": NO_NETWORK,
        **{name: network_ability(host, name) for name in ("networks", "firewall", "shaping")},
        "programs": _here(host, "one program on the host and in the guest") if host.image.serves else _OLD_IMAGE,
        "command": agent,
        "console": Ability(True, "the machine's serial port"),
    }
    return known.get(ability, Ability(False, reason=f"labkit's live host cannot do {ability!r:.40} yet."))


def _here(host: LiveHost, mechanism: str) -> Ability:
    """What takes files and processes of the host, which only a host in this process has."""
    if host.root:
        return Ability(True, mechanism)
    reason = f"labkit cannot look at the processes and files of {host.driver.uri}."
    return Ability(False, reason=reason, remedy="Leave LABKIT_URI unset to have guests of your own.")


def _throttle(host: LiveHost) -> Ability:
    return Ability(True, "libvirt's blkdeviotune, fio in the guest") if (able := host.shelf.ability) else able


def _snapshots(host: LiveHost) -> Ability:
    """What takes disks that lie here."""
    return (
        Ability(True, "taken by QEMU, as virsh snapshot-create-as asks it to")
        if host.shelf.ability
        else host.shelf.ability
    )


def _requests(host: LiveHost) -> str:
    server = "a server in the guest, first come, first served"
    return f"{server}; 1 CPU second = {host.known_speed:.4g} rounds, calibrated before" if host.known_speed else server


def mechanisms_of(host: LiveHost) -> dict[str, str]:
    """The mechanism of each ability that changes what machines get."""
    names = (
        "shares",
        "pin",
        "cap",
        "hot-add",
        "requests",
        "balloon",
        "filling",
        "sharing",
        "inside",
        "harm",
        "disks",
        "contents",
        "records",
        "throttle",
        "snapshots",
        "networks",
        "firewall",
        "shaping",
    )
    found = {name: ability_of(host, name) for name in names}
    return {name: able.mechanism for name, able in found.items() if able} | {
        "shares": found["shares"].mechanism or found["shares"].reason
    }
