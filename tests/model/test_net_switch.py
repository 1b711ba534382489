"""A switch against a scan of all that ever came in, and who reaches whom against the parts of a graph."""

import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

import labkit
from labkit.model.net.frames import BROADCAST, Frame, Packet
from labkit.model.net.switch import Socket, Switch

ONE = Packet("udp", "request", "10.0.0.1", "10.0.0.2", 1, 2, 33)
MACS = ["a", "b", "c", "d"]


steps = st.lists(
    st.tuples(
        st.floats(0, 200),
        st.integers(0, 4),
        st.sampled_from(MACS),
        st.sampled_from([*MACS, BROADCAST]),
        st.sampled_from([None, 10, 20]),
    ),
    max_size=30,
)
ports = st.lists(st.sampled_from([0, 10, 20, (10,), (10, 20)]), min_size=5, max_size=5)


@settings(deadline=None)
@given(ports, steps)
@example([0] * 5, [(0, 0, "a", "b", None), (1, 1, "b", "a", None), (1, 0, "a", "b", None)])
@example([0] * 5, [(0, 1, "b", "a", None), (299, 0, "a", "b", None), (1, 0, "a", "b", None), (1, 0, "a", "b", None)])
@example([10, 20, (10, 20), 10, 20], [(0, 2, "a", "b", 10), (0, 0, "b", "a", None), (0, 1, "b", "a", None)])
def test_where_a_frame_goes_follows_from_all_that_came_before(colours, script):
    env = simpy.Environment()
    switch = Switch(env)
    got: list[tuple[int, int | None]] = []
    sockets = []
    for number, colour in enumerate(colours):
        trunk = frozenset(colour) if isinstance(colour, tuple) else frozenset()
        vlan = 0 if trunk else colour
        sockets.append(Socket(f"p{number}", lambda frame, number=number: got.append((number, frame.tag)), vlan, trunk))
        switch.plug(sockets[-1])
    history: list[tuple[float, int, str, int]] = []
    for number, (gap, port, source, destination, tag) in enumerate(script):
        if env.now + gap > env.now:
            env.run(env.now + gap)
        got.clear()
        switch.enter(sockets[port], Frame(number, source, destination, ONE, tag))
        colour = colours[port]
        let_in = tag in colour if isinstance(colour, tuple) else tag is None
        vlan = (tag if isinstance(colour, tuple) else colour) if let_in else None
        if vlan is None:
            assert got == []
            continue
        history.append((env.now, port, source, vlan))
        heard = [line for line in history if line[2:] == (destination, vlan)][-1:]
        known = {line[1] for line in heard if env.now - line[0] <= 300}
        expected = {
            (other, vlan if isinstance(colour, tuple) else None)
            for other, colour in enumerate(colours)
            if other != port
            and (vlan in colour if isinstance(colour, tuple) else vlan == colour)
            and (not known or other in known)
        }
        assert set(got) == expected and len(got) == len(expected)


def test_what_was_learnt_at_a_plug_goes_with_it():
    env = simpy.Environment()
    switch, seen = Switch(env), []
    one, two, three = (Socket(name, lambda frame, name=name: seen.append(name)) for name in ("1", "2", "3"))
    for socket in (one, two, three):
        switch.plug(socket)
    switch.enter(two, Frame(1, "b", BROADCAST, ONE))
    assert {socket.name for socket in switch.table().values()} == {"2"}
    seen.clear()
    switch.enter(one, Frame(2, "a", "b", ONE))
    assert seen == ["2"]
    switch.unplug(two)
    seen.clear()
    switch.enter(one, Frame(3, "a", "b", ONE))
    assert seen == ["3"]
    assert {socket.name for socket in switch.table().values()} == {"1"}


VLANS = (None, 10, 20)
wiring = st.integers(1, 5).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.tuples(*(st.tuples(st.integers(0, each), st.sets(st.sampled_from(VLANS[1:]))) for each in range(count - 1))),
        st.lists(st.tuples(st.integers(0, count - 1), st.sampled_from(VLANS)), min_size=2, max_size=5),
    )
)


@settings(deadline=None, max_examples=60)
@given(wiring)
@example((2, ((0, {10}),), [(0, 10), (1, 10), (1, 20), (0, 20)]))
@example((3, ((0, {10}), (1, {10, 20})), [(0, 10), (2, 10), (1, 20), (2, 20)]))
@example((2, ((0, set()),), [(0, None), (1, None), (1, 10)]))
def test_who_reaches_whom_is_who_hangs_together(wired):
    """Random switches in a tree, joined by trunks: for each VLAN, the parts of the graph of cables that carry it."""
    count, joints, plugs = wired
    with labkit.simulated() as host:
        lans = [host.network(f"s{number}") for number in range(count)]
        for number, (other, carried) in enumerate(joints, 1):
            lans[number].join(lans[other], carried)
        for number, (where, vlan) in enumerate(plugs, 1):
            host.create(f"m{number}", nics=[lans[where].port(vlan=vlan, address=f"10.0.0.{number}/24")])
        first, again = host.reach(), host.reach()  # on empty tables, and on full ones

    part = {(number, vlan): {(number, vlan)} for number in range(count) for vlan in VLANS}
    for number, (other, carried) in enumerate(joints, 1):
        for vlan in carried or {None}:
            merged = part[number, vlan] | part[other, vlan]
            for place in merged:
                part[place] = merged
    expected = {
        f"m{one}>m{other}": float(plug in part[other_plug])
        for one, plug in enumerate(plugs, 1)
        for other, other_plug in enumerate(plugs, 1)
        if one != other
    }
    for seen in (first, again):
        assert {row["machine"]: row["value"] for row in seen.rows} == expected


def test_a_machine_at_a_trunk_speaks_in_all_its_vlans():
    with labkit.simulated() as host:
        lan = host.network("lan")
        host.create("both", nics=[lan.port(trunk=(10, 20))])
        for name, vlan in (("ten", 10), ("twenty", 20), ("thirty", 30)):
            host.create(name, nics=[lan.port(vlan=vlan)])
        seen = {row["machine"] for row in host.reach().rows if row["value"]}
    assert seen == {"both>ten", "ten>both", "both>twenty", "twenty>both"}
