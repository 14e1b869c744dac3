/**
 * The letters that a messenger on the own machine has written instead of sending them: a newcomer needs no mailbox.
 *
 * @module
 */

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { base } from "../session.js";
import { momentOf, moment, say } from "../texts.js";

const EVERY = 2000;

/** Nothing where letters are really sent. @param {{to?: string}} props whose letters; without it, all */
export function Letters({ to: wanted = "" }) {
  const [letters, setLetters] = useState(/** @type {{to: string, subject: string, link: string | null, written: string}[]} */ ([]));
  const isHere = document.body.dataset.letters !== "";
  useEffect(() => {
    if (!isHere) return undefined;
    const look = async () => {
      try {
        const answer = await fetch(`${base}${document.body.dataset.letters}`, { cache: "no-store" });
        if (answer.ok) setLetters((await answer.json()).data.filter((/** @type {{to: string}} */ each) => each.to.includes(wanted)));
      } catch {
        // asked again soon
      }
    };
    void look();
    const timer = setInterval(look, EVERY);
    return () => clearInterval(timer);
  }, []);
  if (!isHere) return null;
  return html`<section class="letters" aria-label=${say.letters}>
    <p>${say.letterLocal}</p>
    <ul aria-live="polite">
      ${letters.map(
        ({ to, subject, link, written }) => html`<li>
          ${link === null ? html`<b>${subject}</b>` : html`<a href=${link}>${subject}</a>`}
          <small>${to} · ${momentOf(moment(written))}</small>
        </li>`,
      )}
    </ul>
    ${letters.length === 0 && html`<p>${say.noLetters}</p>`}
  </section>`;
}
