"""What a live host says it is doing, as a person reads it."""

import pytest

from labkit.views.underway import aloud, plain


@pytest.mark.parametrize(
    "said",
    ["Starting judge from the saved boot", "Booting judge", "judge is up", "No saved boot: booting judge"],
)
def test_a_guest_that_nobody_asked_for_is_told_by_what_it_is_for(said):
    assert plain(said) == "starting a second guest, which looks at what the snapshot has"


def test_other_guests_keep_their_names():
    assert plain("Starting web from the saved boot") == "Starting web from the saved boot"
    assert plain("Booting speed-3f2a") == "measuring how fast a guest is here, once"
    assert plain("taking the snapshot “before” of web") == "taking the snapshot “before” of web"
    assert aloud("taking the snapshot “before” of web") == "Taking the snapshot."
