/**
 * Small parts that all screens share.
 *
 * @module
 */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { session } from "../session.js";
import { say } from "../texts.js";

/** Renders the component again after each change of the session. */
export function useSession() {
  const [, show] = useState(session.version);
  useEffect(() => {
    show(session.version); // it may have changed since it was rendered
    return session.subscribe(() => show(session.version));
  }, []);
  return session;
}

const PATHS = {
  back: "M15 5l-7 7 7 7",
  send: "M4 12l16-8-6 16-3-7-7-1z",
  menu: "M4 7h16M4 12h16M4 17h16",
  group: "M9 11a3 3 0 100-6 3 3 0 000 6zm-6 8c0-3 2.7-5 6-5s6 2 6 5M16 5.5a3 3 0 010 5.5m2 3.5c2 .7 3 2.300 3 4.500",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  info: "M12 8h.01M12 11v5m9-4a9 9 0 11-18 0 9 9 0 0118 0z",
  search: "M11 18a7 7 0 100-14 7 7 0 000 14zm5-2l4 4",
  more: "M12 6h.01M12 12h.01M12 18h.01",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

const HUES = 12;

/** @param {{id: string, name: string, size?: string}} props */
export function Avatar({ id, name, size = "" }) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % HUES;
  const words = name.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const initials = words.slice(0, 2).map((word) => [...word.replace(/^[^\p{L}\p{N}]+/u, "")][0] ?? "").join("");
  return html`<span class=${`avatar hue${sum} ${size}`} aria-hidden="true">${initials.toLocaleUpperCase() || "·"}</span>`;
}

const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}»”]/gu;
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|[\u{1F3FB}-\u{1F3FF}])*|\p{Regional_Indicator}{2}|[#*0-9]\uFE0F?\u20E3|\s)+$/u;

/** A text with its links, as elements: nothing of it is ever read as HTML. @param {string} text */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(text.slice(end, match.index), html`<a href=${match[0]} target="_blank" rel="noopener noreferrer">${match[0]}</a>`);
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

/** Whether a text is shown large: a few emoji and nothing else. @param {string} text */
export const isEmoji = (text) => text.length <= 40 && ONLY_EMOJI.test(text) && /\S/.test(text);

/**
 * A dialog that has the focus while it is open, and gives it back where it was.
 *
 * @param {{title: string, onClose: () => void, children?: any, wide?: boolean}} props
 */
export function Dialog({ title, onClose, children }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const element = /** @type {HTMLDialogElement} */ (/** @type {unknown} */ (ref.current));
    element.showModal();
    return () => {
      element.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return html`<dialog
    ref=${ref}
    aria-label=${title}
    onCancel=${(event) => {
      event.preventDefault();
      const menu = ref.current.querySelector("details[open]");
      if (menu === null) onClose();
      else {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }}
    onClick=${(event) => event.target === ref.current && onClose()}
  >
    <div class="sheet">
      <header>
        <h2>${title}</h2>
        <button type="button" class="plain round" aria-label=${say.close} onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/**
 * A form whose button works once at a time, and which says what went wrong.
 *
 * @param {{submit: string, onSubmit: (fields: Record<string, string>) => Promise<string | void>, children?: any, danger?: boolean}} props
 *   `onSubmit` returns a complaint to show, or nothing
 */
export function Form({ submit, onSubmit, children, explain }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);
  const go = async (event) => {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget;
    setBusy(true);
    setProblem("");
    let told;
    try {
      told = await onSubmit(Object.fromEntries(new FormData(form)));
    } catch (error) {
      told = explain(error);
    }
    if (!alive.current) return;
    setBusy(false);
    setProblem(told ?? "");
    if (told) form.querySelector("input")?.focus();
  };
  return html`<form onSubmit=${go} novalidate>
    ${children}
    <p class="problem" role="alert">${problem}</p>
    <button class="main" aria-disabled=${busy ? "true" : "false"}>${submit}</button>
  </form>`;
}

/** @param {{label: string, name: string, type?: string, value?: string, hint?: string, [attribute: string]: any}} props */
export function Field({ label, name, type = "text", value = "", hint = "", ...rest }) {
  const id = `field-${name}`;
  return html`<label class="field">
    <span>${label}</span>
    <input name=${name} type=${type} defaultValue=${value} dir="auto" aria-describedby=${hint ? id : undefined} ...${rest} />
    ${hint && html`<small id=${id}>${hint}</small>`}
  </label>`;
}
