"""A private host: libvirt's own daemon in namespaces of its own, as root or as an ordinary user.

In it are virtual networks, firewalls, bridges and Open vSwitch, all real, and none of it can be seen or felt outside:
the computer's network stays as it is, no traffic leaves, and everything goes when the process that opened it ends,
however it ends.

::

    with LiveHost(private.shared(), image) as host: ...
    driver.run(["ip", "-br", "link"])      # a program inside
"""

from __future__ import annotations

from labkit.live.private.opening import PrivateDriver, open_private, shared
from labkit.live.private.room import Room

__all__ = ["PrivateDriver", "Room", "open_private", "shared"]
