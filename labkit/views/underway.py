"""What a live host is doing at the moment: a bar, words, and how many seconds it has been at it.

The browser counts the seconds, so they go on also while the kernel is busy or a guest's start has nothing new to tell.
"""

from __future__ import annotations

import re

import anywidget
import traitlets

__all__ = ["Underway", "aloud", "plain"]

_STARTING = "Starting the live host."
# What is said aloud, by the first word of what a host says it is doing; all the rest is part of starting.
_ALOUD = {
    "measuring": "Measuring.",
    "the": "The guests are at work.",
    "waiting": "Waiting for the guests.",
    "taking": "Taking the snapshot.",
    "ruining": "Ruining the guest.",
    "going": "Going back.",
    "looking": "Looking at what is there.",
    "writing": "Writing to the disks.",
    "reading": "Reading the disks.",
}
# Guests that are no machines of the experiment, by the beginning of their names: what each is started for.
_OWN_GUESTS = {
    "speed": "measuring how fast a guest is here, once",
    "saved": "starting a guest for the first time; later ones are quicker",
}
_OWN_GUEST = re.compile(rf"\b({'|'.join(_OWN_GUESTS)})-[0-9a-f]+\b")
_JUDGE = re.compile(r"\bjudge\b")
_JUDGING = "starting a second guest, which looks at what the snapshot has"


def plain(words: str) -> str:
    """What a host says it is doing, as a person reads it: without the names of guests that nobody asked for."""
    found = _OWN_GUEST.search(words)
    if found:
        return _OWN_GUESTS[found[1]]
    return _JUDGING if _JUDGE.search(words) else words


def aloud(words: str) -> str:
    """The same as a screen reader says it: few sentences, so that not every step interrupts."""
    return _ALOUD.get(words.split(" ")[0].lower(), _STARTING)


class Underway(anywidget.AnyWidget):
    """A line of progress.

    Parameters
    ----------
    value : str
        What is being done, in words; the line is not there where it is empty.
    done : float
        How much of it is done, from 0 to 1; from 1 on there is no bar, and no seconds are counted.
    """

    _esm = """
    function render({ model, el }) {
      const line = document.createElement("div");
      const bar = document.createElement("progress");
      const words = document.createElement("span");
      line.className = "labkit-underway";
      bar.max = 1;
      bar.setAttribute("aria-label", "Live host");
      line.append(bar, words);
      el.append(line);
      let begun = null;
      const show = () => {
        const said = model.get("value");
        const busy = said !== "" && model.get("done") < 1;
        begun = busy ? begun ?? Date.now() : null;
        line.style.display = said === "" ? "none" : "";
        bar.style.display = busy ? "" : "none";
        bar.value = model.get("done");
        const seconds = busy ? Math.floor((Date.now() - begun) / 1000) : 0;
        words.textContent = said + (busy ? " …" : "") + (seconds ? ` ${seconds} s` : "");
      };
      show();
      const clock = setInterval(() => begun !== null && show(), 500);
      model.on("change:value change:done", show);
      return () => {
        clearInterval(clock);
        model.off("change:value change:done", show);
      };
    }
    export default { render };
    """

    value = traitlets.Unicode("").tag(sync=True)
    done = traitlets.Float(1.0).tag(sync=True)

    def tell(self, words: str, done: float = 1.0) -> None:
        """Say what is being done, and how much of it is done, in one message."""
        with self.hold_sync():
            self.value, self.done = words, round(done, 2)
