"""A piece of HTML that a screen reader reads out whenever it changes.

A live region has to be on the page before its words change; replacing the region itself, as an HTML widget
does, is not read out. So this one stays, and only what is in it is replaced.
"""

from __future__ import annotations

import anywidget
import traitlets

__all__ = ["GUARD", "Announcement"]

# Keys pressed in a card are the card's: without this, `b` on a button adds a cell to the notebook. A card may
# come onto the page long after it was rendered, so it is also looked for when something in it gets the focus.
GUARD = """
function guardCard(card) {
  if (!card || card.dataset.labkitGuarded) return;
  card.dataset.labkitGuarded = "true";
  card.setAttribute("data-lm-suppress-shortcuts", "true");
  card.addEventListener("keydown", (event) => event.stopPropagation());
}
function guard(el) {
  setTimeout(() => guardCard(el.closest(".labkit-card")), 0);
  if (window.labkitGuards) return;
  window.labkitGuards = true;
  document.addEventListener("focusin", (event) => guardCard(event.target.closest?.(".labkit-card")), true);
}
"""


class Announcement(anywidget.AnyWidget):
    """What has just happened, said aloud and shown.

    What is added to the end of what was there is read out alone; anything else is read out whole. `focus`
    moves the keyboard there.

    Parameters
    ----------
    value : str
        HTML, with everything a person typed escaped.
    """

    _esm = (
        GUARD
        + """
    function render({ model, el }) {
      const region = document.createElement("div");
      region.setAttribute("role", "status");
      region.setAttribute("aria-live", "polite");
      region.setAttribute("aria-atomic", "false");
      let shown = "";
      const show = () => {
        const value = model.get("value");
        if (shown && value.startsWith(shown)) region.insertAdjacentHTML("beforeend", value.slice(shown.length));
        else region.innerHTML = value;
        shown = value;
      };
      el.classList.add("labkit-announcement");
      el.tabIndex = -1;
      el.appendChild(region);
      guard(el);
      model.on("change:value", show);
      show();
      return () => model.off("change:value", show);
    }
    export default { render };
    """
    )

    value = traitlets.Unicode("").tag(sync=True)
