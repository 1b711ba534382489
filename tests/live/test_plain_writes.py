"""What the journal says of a guest's writes is a command that can be typed, and reads like a sentence."""

from types import SimpleNamespace

import pytest

from labkit.live import contents

pytestmark = pytest.mark.timeless


@pytest.mark.parametrize(
    ("places", "more"),
    [
        ([(0, 8192)], []),
        ([(0, 8192), (65536, 4096)], ["and 1 more such write in web"]),
        ([(0, 8192), (65536, 4096), (131072, 4096)], ["and 2 more such writes in web"]),
        ([], None),
    ],
)
def test_the_first_write_is_told_whole_and_the_others_are_counted(places, more, monkeypatch):
    noted = []
    monkeypatch.setattr(contents, "_script", lambda *_words, **_doing: None)
    host = SimpleNamespace(comment=noted.append, progress=lambda _words, _done: None)
    machine = SimpleNamespace(name="web", host=host, device=lambda _disk: "/dev/vdb")
    contents.overwrite(machine, "data", places)
    first = (
        "in web: dd if=/dev/urandom of=/dev/vdb bs=8192 count=1 seek=0 "
        "iflag=fullblock oflag=direct,seek_bytes conv=notrunc,fsync"
    )
    assert noted == ([] if more is None else [first, *more])
