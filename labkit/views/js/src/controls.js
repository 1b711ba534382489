// What ipywidgets leaves out of the controls around the view: names for a screen reader, and keys kept from Lab.

/** Names the controls of the panel that the view is in; those already named are left as they are. */
export function nameControls(root) {
  const panel = root.closest(".labkit-panel");
  if (!panel) return;
  panel.dataset.lmSuppressShortcuts = "true"; // arrow keys move a slider here, not the notebook's cursor
  panel.querySelectorAll(".widget-slider, .widget-hslider").forEach(nameSlider);
  panel.querySelectorAll(".widget-toggle-buttons").forEach(nameSwitch);
  panel.querySelectorAll(".labkit-switch").forEach(keepFocus);
}

function first(element) {
  if (element.dataset.labkit) return false;
  element.dataset.labkit = "named";
  return true;
}

/** A slider's handle is called what its label says, and says the value that the person sees. */
function nameSlider(slider) {
  const handle = slider.querySelector(".noUi-handle");
  if (!handle || !first(handle)) return;
  const label = slider.querySelector(".widget-label")?.textContent ?? "value";
  const readout = slider.querySelector(".widget-readout");
  handle.setAttribute("aria-label", label);
  if (!readout) return;
  // What is typed there moves the slider only sometimes, so it is for reading; the handle says the same value.
  const close = () => {
    if (readout.getAttribute("contenteditable") !== "false") readout.setAttribute("contenteditable", "false");
  };
  close();
  new MutationObserver(close).observe(readout, { attributeFilter: ["contenteditable"] });
  readout.setAttribute("aria-hidden", "true");
  readout.removeAttribute("tabindex");
  readout.removeAttribute("role");
  const tell = () => {
    const disabled = String(slider.querySelector("[disabled]") !== null);
    if (handle.getAttribute("aria-disabled") !== disabled) handle.setAttribute("aria-disabled", disabled);
    if (handle.getAttribute("aria-valuetext") !== readout.textContent)
      handle.setAttribute("aria-valuetext", readout.textContent);
  };
  tell();
  new MutationObserver(tell).observe(readout, { childList: true, characterData: true, subtree: true });
  new MutationObserver(tell).observe(handle, { attributeFilter: ["aria-valuetext"] });
  new MutationObserver(tell).observe(slider, { attributeFilter: ["disabled"], subtree: true });
}

/** Stop goes away when the guests are off; whoever pressed it is then on the button Simulated, and not nowhere. */
function keepFocus(top) {
  if (!first(top)) return;
  top.addEventListener(
    "click",
    (event) => {
      const stop = event.target.closest?.(".labkit-stop");
      if (!stop) return;
      // The kernel may be busy and answer late: that it was asked to stop is said at once.
      if (stop.lastChild) stop.lastChild.textContent = "Stopping…";
      const waiting = setInterval(() => {
        const simulated = top.querySelector(".widget-toggle-buttons button");
        if (top.isConnected && (!simulated || simulated.disabled || stop.offsetParent)) return;
        clearInterval(waiting);
        const at = document.activeElement;
        if (!at || at === stop || !at.matches("input, select, textarea, button, [role=slider]")) simulated?.focus();
      }, 100);
    },
    true,
  );
}

/** A switch is a group of buttons of which one is pressed. */
function nameSwitch(group) {
  if (!first(group)) return;
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", (group.querySelector(".widget-label")?.textContent ?? "").replace(/:$/, ""));
  const tell = () =>
    group.querySelectorAll("button").forEach((button) => {
      const pressed = String(button.classList.contains("mod-active"));
      if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
    });
  tell();
  new MutationObserver(tell).observe(group, { attributeFilter: ["class"], childList: true, subtree: true });
}
