"""A place on the page whose changes a screen reader reads out.

It has to be there before its words change: an element that is put in anew with its words, as an HTML widget does, is
not read out. So this one stays, and only what is in it is replaced.
"""

from __future__ import annotations

import anywidget
import traitlets

__all__ = ["Said"]


class Said(anywidget.AnyWidget):
    """What has just happened, said aloud.

    Parameters
    ----------
    value : str
        HTML, with everything that is not ours escaped.
    role : {"status", "alert"}
        Whether it waits for its turn, or interrupts.
    unseen : bool
        Whether it is for the ears only.
    """

    _esm = """
    function render({ model, el }) {
      const region = document.createElement("div");
      const role = model.get("role");
      region.setAttribute("role", role);
      region.setAttribute("aria-live", role === "alert" ? "assertive" : "polite");
      if (model.get("unseen"))
        region.style.cssText =
          "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
      const show = () => { region.innerHTML = model.get("value"); };
      el.appendChild(region);
      show();
      model.on("change:value", show);
      return () => model.off("change:value", show);
    }
    export default { render };
    """

    value = traitlets.Unicode("").tag(sync=True)
    role = traitlets.Unicode("status").tag(sync=True)
    unseen = traitlets.Bool(False).tag(sync=True)
