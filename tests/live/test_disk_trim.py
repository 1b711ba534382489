"""What a real guest gives back, to the byte."""

import pytest

from labkit.experiments import load
from labkit.host import HostError
from labkit.live.trimming import plainly

pytestmark = [pytest.mark.live, pytest.mark.timeless]

trim = load("disk-trim")


@pytest.mark.parametrize(
    "settings",
    [
        trim.Settings(file=0.1875, written=8, deleted=5, order="scattered"),
        trim.Settings(format="raw", file=1 / 64, written=2, deleted=1, order="scattered"),
    ],
    ids=lambda settings: f"{settings.format} {settings.file:g} {settings.order} {settings.discard}",
)
def test_the_model_has_the_same_bytes(shared_host, settings):
    import labkit

    if not shared_host.can("pool"):
        pytest.skip(shared_host.can("pool").reason)
    with labkit.simulated() as simulated:
        expected = {(row["machine"], row["quantity"]): row["value"] for row in trim.run(simulated, settings).rows}
    seen = {(row["machine"], row["quantity"]): row["value"] for row in trim.run(shared_host, settings).rows}
    assert seen == expected
    assert len(seen) == 9


def test_the_plain_command_in_the_journal_does_what_was_done(shared_host):
    """One disk is written as labkit does it, another by the command that the journal shows: both files are alike."""
    places = [(288542720, 4096), (33 << 20, 300 << 10), (64 << 20, 512 << 10)]
    written = shared_host.disk("written", "1 GiB")
    typed = shared_host.disk("typed", "1 GiB")
    guest = shared_host.create("m1", disks=[written, typed])
    try:
        guest.write("written", places)
        noted = [line for line in shared_host.journal() if " dd " in line]
        assert noted[-1] == (
            f"# in m1: dd if=/dev/urandom of={guest.device('written')} bs=4096 count=1 seek=288542720 iflag=fullblock "
            "oflag=direct,seek_bytes conv=notrunc,fsync"
        )
        for place in places:
            assert guest.execute(plainly("write", guest.device("typed"), *place)).status == 0
        assert typed.file_bytes == written.file_bytes
        assert [(part.start, part.length) for part in typed.map() if part.data] == [
            (part.start, part.length) for part in written.map() if part.data
        ]
    finally:
        guest.stop()
        written.remove()
        typed.remove()


def test_a_file_system_that_trims_makes_room(shared_host):
    """ext4, as a person would have it: what it writes besides is not modelled, so only that most comes back is held."""
    disk = shared_host.disk("data", "64 MiB")
    guest = shared_host.create("m1", disks=[disk])
    try:
        volume = guest.volume("data")
        volume.save("keep", "4 MiB")
        volume.save("go", "16 MiB")
        before = volume.files
        assert list(before) == ["go", "keep"]
        assert len(set(before.values())) == 2
        with pytest.raises(HostError, match="could not"):
            volume.save("keep", "1 MiB")
        full = disk.store_bytes
        volume.delete("go")
        assert disk.store_bytes >= full - (1 << 20)  # nobody outside has heard of it
        volume.trim()
        assert disk.store_bytes <= full - (14 << 20)
        assert guest.volume("data").files == {"keep": before["keep"]}
    finally:
        guest.stop()
        disk.remove()
