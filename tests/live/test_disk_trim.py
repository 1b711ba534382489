"""What a real guest gives back, to the byte."""

import pytest

from labkit.experiments import load

pytestmark = pytest.mark.live

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


def test_a_file_system_that_trims_makes_room(shared_host):
    """ext4, as a person would have it: what it writes besides is not modelled, so only that most comes back is held."""
    disk = shared_host.disk("data", "64 MiB")
    guest = shared_host.create("m1", disks=[disk])
    try:
        script = (
            "/tools/bin/mke2fs -q -t ext4 $0 && mkdir -p /run/data && mount -t ext4 $0 /run/data"
            " && cd /run/data && dd if=/dev/urandom of=keep bs=1M count=4 && dd if=/dev/urandom of=go bs=1M count=16"
            " && sync && sha256sum /run/data/keep"
        )
        first = guest.execute(["/bin/sh", "-c", script, guest.device("data")], 120)
        assert first.status == 0, first.errors
        full = disk.store_bytes
        assert guest.execute(["/bin/sh", "-c", "rm /run/data/go && sync"]).status == 0
        deleted = disk.store_bytes
        assert deleted >= full - (1 << 20)  # nobody outside has heard of it
        assert guest.execute(["/bin/sh", "-c", "fstrim /run/data"]).status == 0
        assert disk.store_bytes <= full - (14 << 20)
        second = guest.execute(["/bin/sh", "-c", "sha256sum /run/data/keep; umount /run/data"])
        assert second.output == first.output
    finally:
        guest.stop()
        disk.remove()
