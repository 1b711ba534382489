"""A piece of HTML that a screen reader reads out whenever it changes.

A live region has to be on the page before its words change; replacing the region itself, as an HTML widget
does, is not read out. So this one stays, and only what is in it is replaced.
"""

from __future__ import annotations

import anywidget
import traitlets

__all__ = ["Announcement"]


class Announcement(anywidget.AnyWidget):
    """What has just happened, said aloud and shown.

    Parameters
    ----------
    value : str
        HTML, with everything a person typed escaped.
    """

    _esm = """
    function render({ model, el }) {
      const region = document.createElement("div");
      region.setAttribute("role", "status");
      region.setAttribute("aria-live", "polite");
      const show = () => { region.innerHTML = model.get("value"); };
      el.classList.add("labkit-announcement");
      el.appendChild(region);
      model.on("change:value", show);
      show();
      return () => model.off("change:value", show);
    }
    export default { render };
    """

    value = traitlets.Unicode("").tag(sync=True)
