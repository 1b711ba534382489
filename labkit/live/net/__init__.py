"""Networks of real guests: Open vSwitch, libvirt's nwfilter and Linux's token bucket, all in a private host.

Each network is a switch of Open vSwitch. A machine's cable (a tap) goes straight into it, with its VLAN. Where a port
has rules or a shape, the cable goes there by way of a little Linux bridge of its own, since libvirt's filters do not
work on ports of Open vSwitch: tap, bridge with filter, a pair of virtual cable ends with the bucket, switch. OpenStack
has plugged its machines in that way for years, and calls it hybrid plugging (its `LibvirtHybridOVSBridgeDriver`).
"""
