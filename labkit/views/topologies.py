"""A host's network as a picture, and the frames that passed on it one by one.

Where frames were seen to pass they can be gone through, by buttons or a slider: the cable that a frame came by, and all
those that it went out on. The browser does that by itself, so it works while a cell runs, too.
"""

from __future__ import annotations

import html
from itertools import pairwise
from typing import Any

import anywidget
import traitlets

from labkit.host import Observation
from labkit.host.words import listed
from labkit.views.picture import Picture
from labkit.views.wiring import Wiring, wiring_of
from labkit.views.wiringdrawing import drawing, key_of_vlans, learnt, lines, marks, page

__all__ = ["Replay", "drawn", "topology"]

MOST_FRAMES = 200
"""So many frames can be gone through, the first ones; the text names how many there were."""


def _news(before: Wiring, after: Wiring) -> str:
    """What a switch learns from a frame, where it is something new: for those too who do not see the table grow."""
    new = [known[mac] for name, known in after.tables.items() for mac in known if mac not in before.tables[name]]
    return f" The switch learns where {listed(new)} is." if new else ""


def drawn(wiring: Wiring) -> Picture | Replay:
    """The picture with its key and tables; where frames passed, with buttons to go through them."""
    if wiring.frames:
        return Replay(wiring)
    return Picture(page(wiring), "\n".join(lines(wiring)))


class Replay(anywidget.AnyWidget):
    """The picture, and the frames that passed, one by one.

    Parameters
    ----------
    wiring : Wiring
        What is drawn; of its frames the first `MOST_FRAMES`.
    """

    _esm = """
    function render({ model, el }) {
      const root = document.createElement("div");
      root.className = "labkit-topology";
      root.setAttribute("role", "group");
      root.setAttribute("aria-label", "The network, and the frames that passed");
      root.dataset.lmSuppressShortcuts = "true";
      root.innerHTML = `<div class="lt-drawn">${model.get("picture")}</div>
        <p class="lt-step"><button type="button" data-by="-1">Previous</button>
        <input type="range" min="0" step="1" value="0" aria-label="frame">
        <button type="button" data-by="1">Next</button>
        <span class="lt-words" role="status" aria-live="polite"></span></p>
        <div>${model.get("below")}</div><div class="lt-learnt"></div>`;
      el.append(root);
      const frames = model.get("frames");
      const range = root.querySelector("input");
      const marks = root.querySelector(".lt-marks");
      const svg = marks.ownerSVGElement;
      const named = svg.getAttribute("aria-label");
      range.max = String(frames.length);
      const show = () => {
        const at = Number(range.value);
        const frame = frames[at - 1];
        marks.innerHTML = frame?.marks ?? "";
        root.querySelector(".lt-learnt").innerHTML = model.get("tables")[at];
        const words = frame
          ? `Frame ${at} of ${frames.length}, ${frame.words}`
          : `Before the first of ${frames.length} frames.`;
        root.querySelector(".lt-words").textContent = words;
        range.setAttribute("aria-valuetext", frame ? `frame ${at}` : "before the first");
        svg.setAttribute("aria-label", frame ? `${named} ${words}` : named);
        root.dataset.at = String(at);
        for (const button of root.querySelectorAll("button")) {
          const end = at + Number(button.dataset.by);
          button.setAttribute("aria-disabled", String(end < 0 || end > frames.length));
        }
      };
      root.addEventListener("click", (event) => {
        const by = Number(event.target.closest?.("button")?.dataset.by ?? 0);
        if (!by) return;
        range.value = String(Number(range.value) + by);
        show();
      });
      range.addEventListener("input", show);
      root.addEventListener("keydown", (event) => event.stopPropagation());
      show();
    }
    export default { render };
    """
    _css = """
    .labkit-topology { color: var(--jp-ui-font-color1, currentColor); }
    .labkit-topology { font-family: var(--jp-ui-font-family, sans-serif); }
    .labkit-topology .lt-step { display: flex; flex-flow: row wrap; align-items: center; gap: 4px 10px; margin: 4px 0; }
    .labkit-topology .lt-words { flex: 1 1 260px; min-height: 2.8em; line-height: 1.4; }
    .labkit-topology button { padding: 2px 10px; border: 1px solid var(--jp-border-color1, #8888); border-radius: 4px;
      background: var(--jp-layout-color1, ButtonFace); color: inherit; font: inherit; }
    .labkit-topology button[aria-disabled="true"] { border-style: dashed; }
    .labkit-topology :focus-visible { outline: 2px solid var(--jp-brand-color1, #0072b2); outline-offset: 1px; }
    .labkit-topology th, .labkit-topology td { padding: 2px 10px 2px 0; }
    """

    picture = traitlets.Unicode().tag(sync=True)
    below = traitlets.Unicode().tag(sync=True)
    tables = traitlets.List().tag(sync=True)  # before the first frame, and after each
    frames = traitlets.List().tag(sync=True)

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        frames = wiring.frames[:MOST_FRAMES]
        states = [wiring.after(count) for count in range(len(frames) + 1)]
        shown = [
            {"words": f"{frame.words}{_news(*around)}", "marks": marks(wiring, frame)}
            for frame, around in zip(frames, pairwise(states), strict=True)
        ]
        tables = [learnt(state) for state in states]
        super().__init__(picture=drawing(wiring), below=key_of_vlans(wiring), frames=shown, tables=tables)

    def __repr__(self) -> str:
        every = self.wiring.frames
        said = [*lines(self.wiring), f"{len(every)} frame{'s' * (len(every) != 1)} passed:"]
        said += [f"  {number}. {frame.words}" for number, frame in enumerate(every[:MOST_FRAMES], 1)]
        if len(every) > MOST_FRAMES:
            said.append(f"  and {len(every) - MOST_FRAMES} more, which are not shown.")
        return "\n".join(said)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
            data["text/html"] = self._whole_page()
        return bundle

    def _whole_page(self) -> str:
        """For a page on which nothing runs: the picture, and the frames as a list."""
        steps = "".join(f"<li>{html.escape(frame['words'])}</li>" for frame in self.frames)
        return f"{page(self.wiring)}<details><summary>The frames that passed</summary><ol>{steps}</ol></details>"


def topology(host: Any, seen: Observation | None = None, *, from_nothing: bool = False) -> Picture | Replay:
    """A host's network as a picture, and the frames of an observation one by one.

    Parameters
    ----------
    host : Networked
        Whose network.
    seen : Observation, optional
        What was captured on it, as by ``host.capture("m1", "m2")``.
    from_nothing : bool
        Whether its switches had forgotten everything just before that, as by ``network.forget()``. Then what they have
        learnt is shown as it grew, frame by frame; else as it is now.

    Raises
    ------
    HostError
        Where the host has no networks.
    """
    return drawn(wiring_of(host, seen, from_nothing=from_nothing))
