/**
 * Keeps the focus on the page: people who use a keyboard would begin anew at the top whenever the element that they were on
 * goes away.
 *
 * @module
 */

/** Where to go on, the nearest first: an open dialog, the open chat, the list, the screen. */
const HOMES = ["dialog[open] [autofocus]", "dialog[open] button", ".question button", ".composer textarea", ".scroller", "nav .row[aria-current]", "nav .row", "#search", ".card input", ".card button"];

/** @param {HTMLElement} root whose elements come and go */
export function keepFocus(root) {
  /** @type {Element | null} */
  let last = null;
  document.addEventListener("focusin", ({ target }) => {
    last = /** @type {Element} */ (target);
  });
  const look = () => {
    if (last === null || last.isConnected || document.activeElement !== document.body) return;
    last = null;
    const isTouched = matchMedia("(pointer: coarse)").matches; // a focused field would open the keyboard of the screen
    for (const home of HOMES) {
      const element = [...document.querySelectorAll(home)].find((each) => each.checkVisibility() && !(isTouched && each.matches("input, textarea")));
      if (element instanceof HTMLElement) {
        element.focus({ preventScroll: true });
        return;
      }
    }
  };
  new MutationObserver(look).observe(root, { childList: true, subtree: true });
}
