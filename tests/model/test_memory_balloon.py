"""The simulated balloon against a guest whose every page is written down, and against arithmetic."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import labkit
from labkit.host import CpuLoad, HostError, MemoryLoad
from labkit.model.memory import LINUX_MEMORY, GuestMemory

# What the course's guest has, as measured on it: MiB of its kernel (33.246, and 70 bytes a page), of what runs in it,
# of the files that a program of the tools leaves, and what the start touched and left.
KERNEL, PER_MIB, USED, FILES, TOUCHED, RESERVE = 33.24609375, 70 / 4096, 28.2, 5.3, 16.2, 16.0
memories = st.integers(96, 1024)


def kept(memory):
    return KERNEL + PER_MIB * memory


class Written:
    """A guest written down page by page (of 0.05 MiB), as a pile of free ones: True where the host has room for one."""

    PAGE = 0.05

    def __init__(self, memory):
        room = memory - kept(memory) - USED
        self.whole = room
        self.free = [False] * round((room - TOUCHED) / self.PAGE) + [True] * round(TOUCHED / self.PAGE)
        self.held = self.ballooned = 0

    def do(self, what, pages):
        if what == "take":
            count = min(pages, len(self.free))
            del self.free[len(self.free) - count :]
            self.held += count
        elif what == "leave":
            count = min(pages, self.held)
            self.free += [True] * count
            self.held -= count
        elif what == "inflate":
            count = min(pages, len(self.free))
            del self.free[len(self.free) - count :]
            self.ballooned += count
        else:
            count = min(pages, self.ballooned)
            self.free += [False] * count
            self.ballooned -= count


@settings(max_examples=60, deadline=None)
@given(
    memories,
    st.lists(st.tuples(st.sampled_from(["take", "leave", "inflate", "deflate"]), st.integers(1, 4000)), max_size=25),
)
def test_each_page_is_where_a_pile_says(memory, steps):
    guest, written = GuestMemory("m", memory), Written(memory)
    for what, pages in steps:
        written.do(what, pages)
        getattr(guest, what)(pages * Written.PAGE)
        close = (len(steps) + 2) * Written.PAGE  # the room is no whole number of such pages
        assert guest.free == pytest.approx(len(written.free) * Written.PAGE, abs=close)
        assert guest.ballooned == pytest.approx(written.ballooned * Written.PAGE, abs=close)
        on_the_host = kept(memory) + USED + (written.held + sum(written.free)) * Written.PAGE
        assert guest.resident == pytest.approx(on_the_host, abs=close)
        assert guest.total == pytest.approx(memory - kept(memory) - guest.ballooned, abs=1e-6)
        # Every MiB is in one place.
        assert kept(memory) + USED + guest.held + guest.free + guest.ballooned == pytest.approx(memory, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(memories, st.data())
def test_the_balloon_takes_its_time_and_arrives(memory, data):
    least = int(kept(memory) + USED + RESERVE) + 1
    target = data.draw(st.integers(min(least, memory), memory))
    with labkit.simulated() as host:
        machine = host.create("m", memory=memory)
        machine.set(memory=target)
        takes = (memory - target) / LINUX_MEMORY.balloon_speed
        if takes > 0.02:
            host.observe(takes / 2)
            assert machine.memory_seen()["size"] == pytest.approx((memory + target) / 2, abs=1.01)
        host.observe(takes / 2 + 0.02)
        seen = machine.memory_seen()
        assert seen["size"] == pytest.approx(target, abs=1e-5)
        assert seen["guest_total"] == pytest.approx(target - kept(memory), abs=1e-5)
        assert seen["guest_free"] == pytest.approx(target - kept(memory) - USED, abs=1e-5)


def test_what_a_guest_clears_away_the_host_keeps_until_the_balloon_comes():
    """Step by step: 256 MiB, of which the kernel keeps 37.6 and its programs use 28.2."""
    with labkit.simulated() as host:
        machine = host.create("m", memory="256 MiB")
        first = machine.memory_seen()
        assert first["host_resident"] == pytest.approx(37.62 + 28.2 + 16.2, abs=0.01)
        job = machine.run(MemoryLoad(150))
        job.wait()
        assert job.progress == 1.0 and machine.busy
        full = machine.memory_seen()
        assert first["guest_free"] - full["guest_free"] == pytest.approx(150 + FILES)
        assert full["host_resident"] == pytest.approx(37.62 + 28.2 + 150 + FILES + LINUX_MEMORY.filler, abs=0.01)
        job.cancel()
        cleared = machine.memory_seen()
        assert cleared["host_resident"] == pytest.approx(full["host_resident"])
        assert cleared["guest_free"] == pytest.approx(first["guest_free"] - FILES)
        machine.set(memory=156)
        host.observe(1.0)
        assert machine.memory_seen()["host_resident"] == pytest.approx(full["host_resident"] - 100)
        # Given back, it costs the host nothing until it is used, and to take that again gains nothing.
        machine.set(memory=256)
        host.observe(1.0)
        assert machine.memory_seen()["host_resident"] == pytest.approx(full["host_resident"] - 100)
        machine.set(memory=200)
        host.observe(1.0)
        assert machine.memory_seen()["host_resident"] == pytest.approx(full["host_resident"] - 100)


def test_a_guest_is_not_left_too_little():
    with labkit.simulated() as host:
        machine = host.create("m", memory=128)
        with pytest.raises(HostError, match="Leave it 80 MiB or more"):
            machine.set(memory=72)
        with pytest.raises(ValueError, match="at most the 128 MiB"):
            machine.set(memory=129)
        assert machine.memory_seen()["size"] == 128
        machine.set(memory=80)
        job = host.create("busy", memory=128).run(MemoryLoad(20))
        with pytest.raises(HostError, match="Leave it 10[0-9] MiB or more"):
            host.machines["busy"].set(memory=90)  # what the load is still going to fill counts
        job.cancel()
        with pytest.raises(HostError, match=r"no 60 MiB left to fill. Fill \d+ MiB at most"):
            host.machines["busy"].run(MemoryLoad(60))
        with pytest.raises(HostError, match="does not start with 64 MiB. Give it 79 MiB or more"):
            host.create("small", memory=64).memory_seen()
    with labkit.simulated(rules="xen") as host:
        assert not host.can("balloon") and not host.can("sharing")
        with pytest.raises(HostError, match="not modelled for Xen"):
            host.create("m").set(memory=100)
    assert not labkit.simulated(mode="fluid").can("balloon")


def test_what_a_program_holds_is_not_the_balloon_s():
    """37.6 MiB of the kernel's, 28.2 in use, 100 held and 16 to spare: 182 of 256."""
    with labkit.simulated() as host:
        machine = host.create("m", memory=256)
        job = machine.run(MemoryLoad(100))
        job.wait()
        with pytest.raises(HostError, match="Leave it 182 MiB or more"):
            machine.set(memory=181)
        machine.set(memory=182)
        host.observe(1.0)
        job.cancel()
        machine.set(memory=82)


def test_a_load_counts_a_balloon_on_its_way_as_there():
    """Of 256 MiB 190.2 are free; the balloon is going to take 106, the load needs 3 and 5.3 of files besides."""
    with labkit.simulated() as host:
        machine = host.create("m", memory=256)
        machine.set(memory=150)
        host.observe(0.1)
        with pytest.raises(HostError, match="no 100 MiB left to fill. Fill 75 MiB at most"):
            machine.run(MemoryLoad(100))
        machine.run(MemoryLoad(75)).wait()
        host.observe(1.0)
        assert machine.memory_seen()["size"] == pytest.approx(150)


@pytest.mark.parametrize("look", [1e9, 0.05])
def test_how_often_the_chart_is_looked_at_changes_nothing(look, monkeypatch):
    """A host on whose CPUs nothing runs is not looked at; what is seen of it is the same."""

    def seen():
        with labkit.simulated() as host:
            machine = host.create("m", memory=256)
            machine.set(memory=200)
            machine.run(MemoryLoad(50))
            found = host.observe(3.0, 1.0)
            return found.rows, tuple(found.series), tuple(found.events), machine.memory_seen()

    before = seen()
    monkeypatch.setattr("labkit.model.observing.LOOK", look)
    assert seen() == before


def test_a_balloon_may_be_sent_elsewhere_on_its_way():
    with labkit.simulated() as host:
        machine = host.create("m", memory=512)
        machine.set(memory=256)
        host.observe(0.25)
        assert machine.memory_seen()["size"] == pytest.approx(512 - 64, abs=1.01)
        machine.set(memory=500)
        host.observe(1.0)
        assert machine.memory_seen()["size"] == pytest.approx(500)


def test_an_observation_tells_of_memory_where_it_matters_and_watching_changes_nothing():
    def at_the_end(looks):
        with labkit.simulated() as host:
            machine = host.create("m", memory=256)
            machine.run(MemoryLoad(100)).wait()
            machine.set(memory=230)
            for _look in range(looks):
                seen = host.observe(0.8 / looks, 0.02)
            return machine.memory_seen(), seen

    assert at_the_end(1)[0] == at_the_end(7)[0]
    seen = at_the_end(1)[1]
    line = next(series for series in seen.series if series.quantity == "guest_total")
    assert len(seen.series) == len(seen.rows) == 5 and len(line.times) == len(line.values) == 40
    # 26 MiB at 256 MiB/s: a ramp of 0.102 s, then level; the mean is that of a trapezium and a rectangle.
    ramp = 26 / LINUX_MEMORY.balloon_speed
    mean = 230 - kept(256) + 26 / 2 * ramp / 0.8
    assert seen.value("m", "guest_total") == pytest.approx(mean, abs=0.1)
    with labkit.simulated() as host:
        host.create("m").run(CpuLoad())
        assert {row["quantity"] for row in host.observe(0.2).rows} == {"cpu", "ready"}


@pytest.mark.parametrize(
    "wrong", [{"size": -1}, {"size": 1, "identical": 1.1}, {"size": 1, "seed": -1}, {"size": True}]
)
def test_a_wrong_load(wrong):
    with pytest.raises(ValueError, match="must be"):
        MemoryLoad(**wrong)


def test_a_fluid_host_says_that_it_has_no_balloon():
    with labkit.simulated(mode="fluid") as host:
        machine = host.create("m")
        for ask in (machine.memory_seen, lambda: machine.set(memory=100)):
            with pytest.raises(HostError, match="fluid host cannot do that"):
                ask()
        with pytest.raises(ValueError, match="a load is"):
            machine.run(MemoryLoad(1))
