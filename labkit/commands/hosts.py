"""`labkit hosts`: the drivers of this machine's libvirt."""

from __future__ import annotations

from argparse import Namespace

from labkit.commands import Answer, columns, one_line, tell

__all__ = ["hosts"]


def hosts(_args: Namespace) -> Answer:
    """Say which hosts this machine's libvirt can manage, from opening each driver."""
    from labkit.live.drivers import Found, examine

    tell("Opening each of libvirt's drivers; none is given another computer's address.")
    found = examine()

    def told(driver: Found) -> str:
        lines = [f"{driver.name}, for {driver.for_what}: {one_line(driver.evidence)}"]
        if driver.can:
            lines.append(f"can: {', '.join(driver.can)}")
        elif driver.has_calls_for:
            lines.append(f"where it works, it has calls for: {', '.join(driver.has_calls_for)}")
        if driver.remedy:
            lines.append(f"what to do: {driver.remedy}")
        return "\n        ".join(lines)

    def text() -> str:
        table = columns([["driver", "state", "address"], *([d.name, d.state, d.uri] for d in found)])
        return "\n".join([table, "", *map(told, found)])

    return Answer([vars(driver) for driver in found], text)
