"""Whatever is typed or set in the environment: one clear line, the right exit code, and nothing harmed."""

import json
import random
import stat

import pytest

import labkit as kit
from labkit.commands import UsageError, one_line
from labkit.commands.lab import find_lesson
from labkit.host import HostError
from labkit.live.places import cache_root

from .asking import labkit


def one_clear_line(reply, code=1):
    """The complaint: a sentence and a remedy, in one line that is not longer than a person would read."""
    assert reply.code == code, reply
    assert reply.err.startswith("labkit: ") and reply.err.count("\n") == 1, reply
    assert 30 < len(reply.err) < 700 and reply.err.removesuffix("\n").isprintable(), reply
    assert "labkit does not know" not in reply.err, f"not thought of: {reply.err}"
    return reply.err


# Settings: made up from pieces that have broken programs before

PIECES = [
    *("0", "-1", "1", "2", "1e3", "1_000", "0x10", "٣", "½", "nan", "-inf", "1e999", "9" * 400, "1.5", "true", "None"),
    *("", " ", ",", ",,", "=", "[", "[[1]]", "{}", "'", '"', "\\", "%s", "{0}", "$HOME", "`id`", ";", "\n", "\t"),
    *("\x1b[2J", "\x7f", "‮", "\u200b", "é", "漢", "🧪", "\udcff", "A" * 5000, "../..", "/etc/passwd", "256,512", "MiB"),
]


def test_settings_made_up_at_random(capfd):
    """Five hundred of them, in this process for speed: each runs, or is refused in one clear line."""
    from labkit import cli
    from labkit.experiments import NAMES, load

    dice = random.Random(3)
    ran = 0
    for _ in range(500):
        name = dice.choice(NAMES)
        known = list(load(name).Settings.__dataclass_fields__)
        setting = dice.choice([*known, *known, dice.choice(PIECES)])
        value = "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 3)))
        if setting in ("seconds", "requests", "machines", "shares", "length") and value.isdigit():
            continue  # these could be fine, and take long
        code = cli.main(["run", name, "--host", "live", "--set", f"{setting}={value}"])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err and "labkit does not know" not in err, (name, setting, value, err)
        assert err.count("\n") == 1 and err.startswith("labkit: ") and len(err) < 700, (name, setting, value, err)
        assert code in (1, 2), (name, setting, value)
        ran += code == 1
    assert ran, "some of them are good settings"


@pytest.fixture(autouse=True)
def no_guests(monkeypatch):
    monkeypatch.setenv("LABKIT_NO_LIVE", "1")


# Machine names

NAMES = [
    "",
    " ",
    "1a",
    "-a",
    "a" * 21,
    "a b",
    "a/b",
    "../a",
    "a\n",
    "a\x00",
    "é",
    "ａ",
    "а",
    "a,guest=b",
    "a'",
    "%s",
    None,
    1,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_of_machines(name):
    with kit.simulated(cpus=1) as host, pytest.raises(ValueError, match="a name is a letter") as caught:
        host.create(name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


@pytest.mark.live
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_of_live_machines(name, monkeypatch):
    monkeypatch.delenv("LABKIT_NO_LIVE")
    try:
        host = kit.live()
    except HostError as error:
        pytest.skip(str(error))
    with host, pytest.raises(ValueError, match="a name is a letter"):
        host.create(name)


# The environment

HOME = "~nobody-of-that-name/x"


@pytest.mark.parametrize(
    "place", [HOME, "/dev/null/x", "/etc/passwd", "a" * 5000, "/proc/1/x"], ids=["home", "null", "file", "long", "proc"]
)
def test_places_for_the_cache(place):
    reply = labkit("image", "status", LABKIT_CACHE=place)
    assert "LABKIT_CACHE" in one_clear_line(reply)
    both = labkit("run", "cpu-shares", "--host", "both", "--json", LABKIT_CACHE=place, LABKIT_NO_LIVE=None)
    assert both.code == 1 and both.err.count("\n") == 1
    assert all(row["live"] is None and row["simulated"] is not None for row in both.json["rows"])


def test_a_shared_directory_is_not_taken_for_the_cache(tmp_path, monkeypatch):
    """Such as /tmp, which nobody else could enter any more."""
    (tmp_path / "somebodys").write_text("")
    tmp_path.chmod(0o1777)
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    with pytest.raises(HostError, match="open to others and holds more than labkit's cache") as caught:
        cache_root()
    assert str(tmp_path / "labkit") in caught.value.remedy
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    (tmp_path / "somebodys").unlink()
    assert stat.S_IMODE(cache_root().stat().st_mode) == 0o700, "an empty one is for labkit"


@pytest.mark.parametrize(
    "uri",
    [
        "nonsense",
        "qemu:///nowhere",
        "qemu:///système",
        "qemu:///\udcff\udcfe",
        "http://[::1",
        "qemu+unix:///system?socket=/nowhere",
        f"qemu+unix:///system?socket=/{'a' * 5000}",
        "qemu:///embed",
        "qemu:///embed?root=/nowhere",
        "qemu+tcp://127.0.0.1:1/system",
        "--help",
        "qemu+ext:///system?command=/bin/true",
    ],
    ids=ascii,
)
@pytest.mark.live
def test_addresses_of_hosts(uri):
    pytest.importorskip("libvirt")
    reply = labkit("run", "cpu-shares", "--host", "both", "--json", LABKIT_URI=uri, LABKIT_NO_LIVE=None)
    said = one_clear_line(reply)
    assert "the live column is empty" in said
    remedy = said.rstrip(".\n").rpartition(". ")[2]
    assert len(remedy) > 15, "what can one do about it?"
    assert all(row["live"] is None and row["simulated"] is not None for row in reply.json["rows"])


@pytest.mark.parametrize("variable", ["LABKIT_PROGRESS", "LABKIT_COURSE_DIR"])
def test_a_home_that_there_is_not(variable):
    said = one_clear_line(
        labkit("progress", LABKIT_PROGRESS=None, **{variable: HOME})
        if variable != "LABKIT_PROGRESS"
        else labkit("progress", LABKIT_PROGRESS=HOME)
    )
    assert f"{variable} names a home directory that there is not" in said


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 99}', "\x00" * 100, "[" * 100_000, '{"version": NaN}'])
def test_a_progress_file_that_is_none(content, tmp_path):
    (tmp_path / "p.json").write_text(content)
    reply = labkit("progress", "--json", LABKIT_PROGRESS=str(tmp_path / "p.json"))
    assert reply.code == 0 and reply.json["lessons"] == {}
    kept = [path.read_text() for path in tmp_path.iterdir() if path.suffix == ".json"]
    assert content in kept, "what was there is kept"


# Lessons

LESSONS = [
    "77",
    "-2",
    "٠٢",
    "02\n",
    "../02",
    "/etc/passwd",
    "*",
    "[0-9]",
    "é",
    "\udcff",
    "02-vcpu%00",
    "2.5",
]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: ascii(lesson)[:12])
def test_lessons_that_there_are_not(lesson, tmp_path):
    (tmp_path / "00-start-here.ipynb").write_text("")
    with pytest.raises(UsageError, match="there are: 00-start-here") as caught:
        find_lesson(tmp_path, lesson)
    assert len(str(caught.value)) < 250 and one_line(str(caught.value)).isprintable()


@pytest.mark.parametrize("lesson", ["0", "00", "0" * 10_000, "00-start", "00-start-here.ipynb"], ids=range(5))
def test_names_of_one_that_there_is(lesson, tmp_path):
    (tmp_path / "00-start-here.ipynb").write_text("")
    assert find_lesson(tmp_path, lesson) == "00-start-here.ipynb"


@pytest.mark.parametrize("words", [("open", "--no-browser", "--copy"), ("edition", "learner")], ids=["open", "edition"])
@pytest.mark.parametrize("place", [HOME, "/dev/null", "/dev/null/x", "/proc/x", "a" * 5000])
def test_places_for_a_copy(words, place):
    one_clear_line(labkit(*words, place))


def test_a_name_of_a_copy_in_any_script(tmp_path):
    target = tmp_path / "курс 漢 🧪 'quoted' %s $HOME"
    reply = labkit("edition", "learner", str(target), "--json")
    assert reply.code == 0 and json.loads(json.dumps(reply.json))["folder"] == str(target)
    assert list(target.glob("*.ipynb"))
