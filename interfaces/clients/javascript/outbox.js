/**
 * The messages that a person has sent and the server has not acknowledged yet.
 *
 * Each has a nonce, under which it is sent again until it is answered: the server stores it once. In each chat one message is
 * on its way at a time, so that messages are stored in the order in which they were written, whatever is refused meanwhile.
 *
 * @module
 */

/** @typedef {import("./index.d.ts").Outgoing} Outgoing */

const PREFIX = "send:";

export class Outbox {
  /** In the order of writing. @type {Map<string, Outgoing>} */
  #entries = new Map();

  /** All entries, oldest first. */
  all() {
    return [...this.#entries.values()];
  }

  /** @param {string} chatId */
  of(chatId) {
    return this.all().filter((entry) => entry.chat_id === chatId);
  }

  /** @param {string} nonce */
  get(nonce) {
    return this.#entries.get(nonce);
  }

  /** @param {Outgoing} entry */
  put(entry) {
    this.#entries.set(entry.nonce, entry);
  }

  /** Replaces a part of an entry; entries are not changed in place. @param {string} nonce @param {Partial<Outgoing>} change */
  change(nonce, change) {
    const entry = this.#entries.get(nonce);
    if (entry !== undefined) this.#entries.set(nonce, { ...entry, ...change });
    return this.#entries.get(nonce);
  }

  /** @param {string} nonce */
  delete(nonce) {
    return this.#entries.delete(nonce);
  }

  /** Entries that wait and are the first of their chat that is not finished. @param {number} now */
  due(now) {
    /** @type {Set<string>} */
    const busy = new Set();
    const due = [];
    for (const entry of this.#entries.values()) {
      if (entry.state === "refused" || entry.state === "stored" || busy.has(entry.chat_id)) continue;
      busy.add(entry.chat_id);
      if (entry.state === "waiting" && entry.not_before <= now) due.push(entry);
    }
    return due;
  }

  /** When the next entry that was put off may be sent. */
  nextDue() {
    const times = this.all()
      .filter((entry) => entry.state === "waiting" && entry.not_before > 0)
      .map((entry) => entry.not_before);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** After a connection has ended: what was on its way waits again. */
  interrupted() {
    for (const entry of this.#entries.values())
      if (entry.state === "sending") this.#entries.set(entry.nonce, { ...entry, state: "waiting", not_before: 0 });
  }
}

/** The name under which a storage keeps an entry. @param {Outgoing} entry */
export const nameOf = ({ number }) => `${PREFIX}${number}`;

/** What a storage keeps of an entry. @param {Outgoing} entry */
export const textOf = ({ chat_id, text, nonce }) => JSON.stringify({ chat_id, text, nonce });

/**
 * The entries that a storage has kept, oldest first.
 *
 * @param {Record<string, string>} texts
 * @returns {Outgoing[]}
 */
export function entriesIn(texts) {
  const found = [];
  for (const [name, text] of Object.entries(texts)) {
    const number = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length)) : Number.NaN;
    if (Number.isFinite(number)) found.push({ number, ...JSON.parse(text), state: "waiting", error: null, seq: null, not_before: 0 });
  }
  return found.sort((a, b) => a.number - b.number);
}
