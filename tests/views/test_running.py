import pytest

from labkit.experiments.settings import SettingError
from labkit.host import HostError
from labkit.views import run, table

from .fakes import FakeHost


def live():
    return FakeHost(kind="live", offset=0.01)


def test_both_hosts():
    result = run("cpu-shares", open_live=live, open_simulated=lambda settings: FakeHost(settings.cpus))
    assert result.text == table(result.outcome)
    assert result.value("m1", "cpu", "live") == pytest.approx(0.153, abs=0.001)
    assert "virsh start m1" in result.journal
    assert "What libvirt was asked (3 commands)" in result.html
    assert "<th" in result.html and "+0.010" in result.html
    assert set(result.outcome.seconds) == {"simulated", "live"}


def test_without_a_live_host_the_rest_is_there():
    def impossible():
        raise HostError("There is no libvirt.", "Install it.")

    result = run("cpu-shares", open_live=impossible)
    assert result.value("m3", "cpu") == pytest.approx(0.571, abs=0.01)
    assert "live: not run: There is no libvirt. Install it." in result.text
    with pytest.raises(KeyError):
        result.value("m3", "cpu", "live")


def test_an_interrupt_leaves_nothing_and_shows_what_there_is():
    hosts = []

    class Interrupted(FakeHost):
        def observe(self, seconds, every=0.2):
            raise KeyboardInterrupt

    def opened():
        hosts.append(Interrupted(kind="live"))
        return hosts[-1]

    result = run("cpu-shares", open_live=opened)
    assert hosts[0].closed.is_set()
    assert "live: not run: somebody stopped it" in result.text
    assert result.journal


def test_only_simulated_opens_no_live_host():
    def never():
        raise AssertionError

    result = run("cpu-shares", host="simulated", open_live=never, shares=[100, 300])
    assert result.value("m2", "cpu") == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"host": "cloud"}, ValueError), ({"shares": (1, 2)}, SettingError), ({"speed": 3}, SettingError)],
)
def test_wrong_use_is_one_sentence(wrong, error):
    with pytest.raises(error) as caught:
        run("cpu-shares", **wrong)
    assert "\n" not in str(caught.value)


def test_what_is_said_aloud_while_it_runs(monkeypatch):
    from types import SimpleNamespace

    from labkit.views import running

    shown = []
    line = SimpleNamespace(tell=lambda words, done=1.0: shown.append(words))
    said = SimpleNamespace(value="")
    monkeypatch.setattr(running, "_progress_line", lambda: (line, said))
    tell = running.Teller()
    heard = []
    for words in (
        "opening the live host",
        "Measuring",
        "Booting saved-21724",
        "measuring for 2 s, look 2",
        "The load in m1",
    ):
        tell(words, 0.5)
        heard.append(said.value)
    starting = "Starting the live host."
    assert heard == [starting, "Measuring.", starting, "Measuring.", "The guests are at work."]
    assert shown[2] == "starting a guest for the first time; later ones are quicker"
