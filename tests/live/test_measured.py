"""The rule of `measured` in conftest.py: it goes by what others used, and by nothing that came out."""

import pytest


@pytest.fixture
def quiet_cpu() -> None:
    """Nothing is waited for here, as nothing is measured."""


@pytest.mark.filterwarnings("ignore:others used")
@pytest.mark.parametrize(
    ("used", "looks", "room"),
    [((0.0,), 1, 0.0), ((0.03,), 1, 0.0), ((0.5, 0.02), 2, 0.0), ((0.5, 0.2, 0.3, 0.0), 3, 0.3)],
)
def test_it_is_measured_anew_where_others_were_at_work(measured, used, looks, room):
    taken = []

    def look():
        taken.append(used[len(taken)])
        return taken[-1]

    assert measured(look, others=lambda seen: seen) == (used[looks - 1], room)
    assert len(taken) == looks


def test_it_is_said(measured):
    with pytest.warns(UserWarning, match="others used 50.0% of these CPUs: held less closely by that"):
        measured(lambda: None, attempts=1, others=lambda _seen: 0.5)
