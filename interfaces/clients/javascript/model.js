/**
 * What a client holds: its chats as entries of docs/protocol.md, kept up to date by frames, and the messages that it has read.
 *
 * The model applies frames and asks for nothing. Messages of a chat are a map by `seq`, which has no holes: a number that is
 * missing in the map is a message that was not loaded.
 *
 * @module
 */

/** @typedef {import("./index.d.ts").Entry} Entry */
/** @typedef {import("./index.d.ts").Frame} Frame */
/** @typedef {import("./index.d.ts").Message} Message */
/** @typedef {import("./index.d.ts").ChatState} ChatState */
/** @typedef {import("./index.d.ts").Applied} Applied */

/** The types of frames that carry a position. An unknown type that carries `after` counts as durable, too. */
export const DURABLE = new Set(["new_message", "chat_changed", "member_added", "member_removed", "role_changed"]);

/** @param {Frame} frame */
export const isDurable = (frame) => DURABLE.has(frame.type) || (Number.isInteger(frame.after) && Number.isInteger(frame.position) && frame.type !== "gap");

export class Model {
  constructor() {
    /** @type {Map<string, ChatState>} */
    this.chats = new Map();
    /** @type {string | null} */
    this.profileId = null;
    /** @type {string | null} */
    this.epoch = null;
    /** Where the pages of chats go on; null if all were read, undefined before the first. @type {string | null | undefined} */
    this.next = undefined;
    /** Messages of chats that are read anew, while the line of history is the same. @type {Map<string, ChatState>} */
    this.before = new Map();
  }

  /** The chats, newest activity first. */
  list() {
    return [...this.chats.values()].sort((a, b) => compare(activity(b), activity(a)) || compare(a.chat.id, b.chat.id));
  }

  /** How many messages of others are unread, in all chats whose pages were read. */
  get unread() {
    let count = 0;
    for (const chat of this.chats.values()) count += chat.unread_count;
    return count;
  }

  /**
   * Applies one frame.
   *
   * @param {Frame} frame
   * @returns {Applied} `applied`; `known` for a repeat; `ignored` for a chat whose page was not read; `hole` if frames before
   *   it are missing, and then nothing was changed
   */
  apply(frame) {
    if (isDurable(frame)) return this.#durable(frame);
    const known = frame.chat_id === undefined ? undefined : this.chats.get(frame.chat_id);
    switch (frame.type) {
      case "snapshot":
        this.next = frame.next;
        for (const entry of frame.chats) this.#put(entry);
        if (frame.next === null) this.before.clear();
        break;
      case "reset":
        if (frame.scope === "all") this.forget(frame.reason !== "epoch");
        else this.#replace(frame.state);
        break;
      case "gap":
        this.#replace(frame.state);
        break;
      case "chat_added":
        this.#replace(frame.chat);
        break;
      case "chat_removed":
        this.chats.delete(frame.chat_id);
        break;
      case "read_up_to":
        if (known === undefined) return "ignored";
        this.#readUpTo(known, frame);
        break;
      case "messages_read":
        if (known === undefined) return "ignored";
        if (frame.read_by !== this.profileId) this.#othersRead(known, frame.to_seq);
        break;
      case "message_read": {
        if (known === undefined) return "ignored";
        const read = [...known.messages.values()].find((message) => message.id === frame.message_id);
        if (read !== undefined) this.#set(known, { messages: with_(known.messages, [{ ...read, read_at: read.read_at ?? frame.timestamp }]) });
        break;
      }
      default:
        return "ignored";
    }
    return "applied";
  }

  /**
   * Adds messages of a page of history, also to a chat that is being read anew.
   *
   * @param {string} chatId
   * @param {Message[]} messages
   */
  addHistory(chatId, messages) {
    const held = this.chats.has(chatId) ? this.chats : this.before;
    const known = held.get(chatId);
    if (known === undefined || messages.length === 0) return;
    held.set(chatId, { ...known, messages: with_(known.messages, messages) });
  }

  /**
   * Takes what the answer to a request tells about a chat.
   *
   * @param {Entry} entry
   */
  takeEntry(entry) {
    this.#put(entry);
  }

  /**
   * Forgets loaded messages of a chat outside a range of `seq`, to bound memory.
   *
   * @param {string} chatId
   * @param {number} from
   * @param {number} to
   */
  keepOnly(chatId, from, to) {
    const known = this.chats.get(chatId);
    if (known === undefined) return;
    const messages = new Map([...known.messages].filter(([seq]) => seq >= from && seq <= to));
    if (messages.size < known.messages.size) this.#set(known, { messages });
  }

  /**
   * Forgets all chats, because they are read anew.
   *
   * @param {boolean} isSameHistory whether loaded messages are still those of the server
   */
  forget(isSameHistory = false) {
    this.before = isSameHistory ? new Map([...this.before, ...this.chats]) : new Map();
    this.chats = new Map();
    this.next = undefined;
  }

  /** The position up to which a chat was handled, even if it is being read anew. @param {string} chatId */
  positionOf(chatId) {
    return (this.chats.get(chatId) ?? this.before.get(chatId))?.position;
  }

  /** What a storage keeps of a chat: its entry without the loaded messages. @param {ChatState} chat */
  static textOf({ messages: _, others_read_up_to, ...entry }) {
    return JSON.stringify({ entry, position: entry.position, others_read_up_to });
  }

  /** @param {string} text */
  restore(text) {
    const { entry, others_read_up_to } = JSON.parse(text);
    this.chats.set(entry.chat.id, { ...entry, others_read_up_to, messages: new Map() });
  }

  /** @param {Frame} frame @returns {Applied} */
  #durable(frame) {
    const known = this.chats.get(frame.chat_id);
    if (known === undefined) return this.next === null ? "hole" : "ignored";
    if (frame.position <= known.position) return "known";
    if (frame.after !== known.position) return "hole";
    /** @type {Partial<ChatState>} */
    const change = { position: frame.position };
    switch (frame.type) {
      case "new_message": {
        const { message } = frame;
        const own = message.sender_id === this.profileId;
        change.last_message = message;
        change.seq = message.seq;
        change.messages = with_(known.messages, [message]);
        change.unread_count = known.unread_count + (own ? 0 : 1);
        break;
      }
      case "chat_changed":
        change.chat = { ...known.chat, name: frame.name, description: frame.description };
        break;
      case "member_added":
        change.chat = { ...known.chat, member_count: known.chat.member_count + 1 };
        break;
      case "member_removed":
        change.chat = { ...known.chat, member_count: known.chat.member_count - 1 };
        break;
      case "role_changed":
        if (frame.user_id === this.profileId) change.role = frame.role;
        if (frame.role === "owner") change.chat = { ...known.chat, owner: { ...NOBODY, id: frame.user_id } };
        break;
    }
    this.#set(known, change);
    return "applied";
  }

  /** @param {ChatState} known @param {Frame} frame */
  #readUpTo(known, frame) {
    let later = 0;
    for (let seq = Math.max(frame.last_seq, 0) + 1; seq <= known.seq; seq++) {
      const message = known.messages.get(seq);
      if (message === undefined || message.sender_id !== this.profileId) later++;
    }
    this.#set(known, {
      unread_count: frame.unread_count + later,
      read_up_to: Math.max(frame.seq, known.read_up_to),
    });
    if (frame.others_read_up_to !== undefined) this.#othersRead(/** @type {ChatState} */ (this.chats.get(known.chat.id)), frame.others_read_up_to);
  }

  /** @param {ChatState} known @param {number} seq */
  #othersRead(known, seq) {
    if (seq > known.others_read_up_to) this.#set(known, { others_read_up_to: seq });
  }

  /** Takes an entry of a page unless the chat is known at a higher position. @param {Entry} entry */
  #put(entry) {
    const known = this.chats.get(entry.chat.id);
    if (known === undefined || known.position <= entry.position) this.#replace(entry);
  }

  /** @param {Entry} entry */
  #replace(entry) {
    const known = this.chats.get(entry.chat.id) ?? this.before.get(entry.chat.id);
    const messages = known?.messages ?? new Map();
    const last = entry.last_message;
    this.chats.set(entry.chat.id, {
      ...entry,
      others_read_up_to: Math.max(known?.others_read_up_to ?? 0, readByOthers(entry, this.profileId)),
      messages: last === null ? messages : with_(messages, [last]),
    });
  }

  /** @param {ChatState} known @param {Partial<ChatState>} change */
  #set(known, change) {
    this.chats.set(known.chat.id, { ...known, ...change });
  }
}

/** What frames do not tell of a person. */
const NOBODY = { first_name: null, last_name: null, middle_name: null, username: null };

/**
 * A map with more messages. Maps are replaced and not changed, so that a state can be compared by identity.
 *
 * @param {ReadonlyMap<number, Message>} messages
 * @param {Message[]} more
 */
function with_(messages, more) {
  const all = new Map(messages);
  for (const message of more) all.set(message.seq, message);
  return all;
}

/** @param {Entry} entry @param {string | null} profileId */
function readByOthers(entry, profileId) {
  const last = entry.last_message;
  return last !== null && last.sender_id === profileId && last.read_at !== null ? last.seq : 0;
}

/** @param {Entry} entry */
function activity(entry) {
  return entry.last_message?.sent_at ?? entry.chat.created_at;
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
