"""Who has been promised more than the CPUs that they may use can give: guests, and rooms that they have keys to.

Hall's theorem in CPU seconds: promises can be kept exactly if no set of machines has been promised more, together, than
the number of CPUs that any of them may use. A maximum flow from machines to CPUs finds whether they can, and where it
gets stuck stands the set that is overcrowded most (L. R. Ford and D. R. Fulkerson, Flows in Networks, 1962).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

__all__ = ["crowd"]

# CPU. What floats lose, and far below what anybody could measure.
TINY = 1e-12


def crowd(amounts: Sequence[float], pins: Sequence[frozenset[int]]) -> set[int]:
    """Those whose CPUs are overcrowded most, as positions in `amounts`; nobody where everything fits.

    Parameters
    ----------
    amounts : sequence of float
        What each has been promised, in CPU.
    pins : sequence of frozenset of int
        The CPUs that each may use.

    Returns
    -------
    set of int
        The smallest set with the largest difference between what it was promised and its number of CPUs.
    """
    # Machines with the same pins are one, and so are CPUs that the same machines may use.
    left: dict[frozenset[int], float] = {}
    for amount, pin in zip(amounts, pins, strict=True):
        left[pin] = left.get(pin, 0.0) + amount
    classes: dict[frozenset[frozenset[int]], int] = {}
    for cpu in frozenset().union(*left):
        users = frozenset(pin for pin in left if cpu in pin)
        classes[users] = classes.get(users, 0) + 1
    room = {users: float(count) for users, count in classes.items()}
    reach = {pin: [users for users in room if pin in users] for pin in left}
    flow = {users: dict.fromkeys(users, 0.0) for users in room}
    while True:
        came = _search(left, room, reach, flow)
        full = next((users for users in came if users in room and room[users] > TINY), None)
        if full is None:
            return {place for place, pin in enumerate(pins) if pin in came}
        _push(full, came, left, room, flow)


_Pin = frozenset[int]
_Users = frozenset[_Pin]


def _search(
    left: dict[_Pin, float],
    room: dict[_Users, float],
    reach: dict[_Pin, list[_Users]],
    flow: dict[_Users, dict[_Pin, float]],
) -> dict[_Pin | _Users, _Pin | _Users | None]:
    """All that can be reached from those with something left, each with the one it was reached from; nearest first.

    It stops at CPUs with room.
    """
    came: dict[_Pin | _Users, _Pin | _Users | None] = {pin: None for pin, amount in left.items() if amount > TINY}
    ahead = deque(came)
    while ahead:
        pin = ahead.popleft()
        for users in reach[pin]:
            if users in came:
                continue
            came[users] = pin
            if room[users] > TINY:
                return came
            for other, amount in flow[users].items():
                if amount > TINY and other not in came:
                    came[other] = users
                    ahead.append(other)
    return came


def _push(
    full: _Users,
    came: dict[_Pin | _Users, _Pin | _Users | None],
    left: dict[_Pin, float],
    room: dict[_Users, float],
    flow: dict[_Users, dict[_Pin, float]],
) -> None:
    """Send as much as possible along the path that ends at CPUs with room."""
    path = [full]
    while (before := came[path[-1]]) is not None:
        path.append(before)
    # From the end: CPUs, who uses them, the CPUs that these leave, who uses those instead, and so on.
    takers = list(zip(path[::2], path[1::2], strict=True))
    leavers = list(zip(path[2::2], path[1::2], strict=False))
    amount = min(room[full], left[path[-1]], *(flow[users][pin] for users, pin in leavers))
    room[full] -= amount
    left[path[-1]] -= amount
    for users, pin in takers:
        flow[users][pin] += amount
    for users, pin in leavers:
        flow[users][pin] -= amount
