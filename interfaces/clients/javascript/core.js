/**
 * The state machine of a client of `WS /ws`, without input or output.
 *
 * What happens is told to it with the time: `opened`, `received`, `closed`, `tick`, and what the person wants. Each method
 * returns a list of wishes, which the caller carries out: connect, send, close, refresh the tokens, save texts, tell a change.
 * The states are those of the table in docs/clients.md. Times are milliseconds of one clock.
 *
 * @module
 */

import { pauseIn, verdict } from "./closing.js";
import { isDurable, Model } from "./model.js";
import { entriesIn, nameOf, Outbox, textOf } from "./outbox.js";

/** @typedef {import("./index.d.ts").Wish} Wish */
/** @typedef {import("./index.d.ts").Frame} Frame */
/** @typedef {import("./index.d.ts").State} State */
/** @typedef {import("./index.d.ts").CoreOptions} CoreOptions */
/** @typedef {import("./index.d.ts").Outgoing} Outgoing */
/**
 * @typedef {object} Pending
 * @property {string} id
 * @property {string} type as on the wire
 * @property {"request" | "send" | "page" | "hole" | "gap"} purpose a `request` is the application's, the others are the core's own
 * @property {Record<string, any>} fields
 * @property {number | null} sentAt null while it waits for a connection
 */
/**
 * @typedef {object} Hole
 * @property {Frame[]} frames those that came after what is missing
 * @property {string} request the id of the one request that reads it; answers to earlier ones are of no use any more
 * @property {number} before the position at which what is missing ends
 * @property {boolean} isGap whether the model holds the state after what is missing already
 */

/** @type {CoreOptions} */
const DEFAULTS = {
  shortestPause: 1000,
  longestPause: 60_000,
  patience: 15_000,
  heartbeat: 25_000,
  catchUp: false,
  remember: false,
  mostSends: 32,
  profileId: null,
  random: Math.random,
};

/** Requests that may be sent again after a break: reads, marks, new values, and those with an idempotency key. */
const REPEATED = new Set(["get_history", "get_readers", "catch_up", "mark_read", "mark_single_read", "change_chat", "change_role", "watch_presence"]);

/** Frames about the messages before them: they count after the durable frames that came before. */
const READ = new Set(["read_up_to", "messages_read", "message_read", "your_messages_read"]);

/** The most chats that `since.seen` may name. */
const SEEN_MOST = 1000;

/** The refusals after which the same message is sent again, as are all with `retry_after`. */
const SENT_AGAIN = new Set(["outcome_unknown", "overloaded", "unavailable"]);

/** @type {ReadonlySet<State>} */
const WITH_SOCKET = new Set(["connecting", "authenticating", "entering", "live"]);

/** A refresh takes place when this part of an access token's time is left. */
const REFRESHED_AT = 0.1;

export class Core {
  model = new Model();
  outbox = new Outbox();
  /** @type {State} */
  state = "stopped";
  /** Why it does not come back by itself: a code of docs/protocol.md, or null. @type {string | null} */
  why = null;
  /** The limits that the server told. @type {{text: number, frame: number}} */
  limits = { text: 4000, frame: 65_536 };

  /** @type {CoreOptions} */
  #options;
  /** @type {string | null} */
  #token = null;
  #tokenEnds = 0;
  #refreshAt = 0;
  #isRefreshing = false;
  /** @type {string | null} */
  #cursor = null;
  /** The cursor of `auth_success`, which counts after the snapshot. @type {string | null} */
  #coming = null;
  /** The positions handled since the cursor. @type {Map<string, number>} */
  #seen = new Map();
  /** The chats that changed since they were saved. @type {Set<string>} */
  #unsaved = new Set();
  /** @type {Map<string, Pending>} */
  #pending = new Map();
  /** The chats of which frames are missing and were asked for. @type {Map<string, Hole>} */
  #holes = new Map();
  /** @type {string | null} */
  #refusal = null;
  #hasRetriedToken = false;
  #failures = 0;
  #number = 0;
  #sendNumber = 0;
  #heardAt = 0;
  /** @type {number | null} */
  #pingAt = null;
  /** When the present state is given up, or a pause ends. @type {number | null} */
  #until = null;
  /** When the server's `goaway` is followed. @type {number | null} */
  #leaveAt = null;
  #heartbeat;
  #hasMore = false;
  /** @type {Wish[]} */
  #wishes = [];

  /** @param {Partial<CoreOptions>} options */
  constructor(options = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#heartbeat = this.#options.heartbeat;
  }

  // What the application wants

  /**
   * Takes what a storage holds. To be called once, before `start`.
   *
   * @param {Record<string, string>} texts
   */
  restore(texts) {
    for (const entry of entriesIn(texts)) {
      this.outbox.put(entry);
      this.#sendNumber = entry.number;
    }
    if (!this.#options.remember || texts.place === undefined) return;
    const { epoch, cursor, next } = JSON.parse(texts.place);
    this.#cursor = cursor;
    this.model.epoch = epoch;
    this.model.next = next;
    for (const [name, text] of Object.entries(texts)) {
      if (!name.startsWith("chat:")) continue;
      this.model.restore(text);
      const { position } = JSON.parse(text);
      this.#seen.set(name.slice("chat:".length), position);
    }
  }

  /** @param {number} now */
  start(now) {
    if (this.state === "stopped" || this.state === "ended") this.#begin(now);
    return this.#done();
  }

  /** Closes the connection; `start` goes on from where it was. @param {number} now */
  stop(now) {
    this.#leave("stopped", null, now);
    return this.#done();
  }

  /**
   * Asks the server at once whether the connection lives, or ends a pause: the network is back, or the person looks again.
   *
   * @param {number} now
   */
  check(now) {
    if (this.state === "waiting") this.#begin(now);
    else if (this.state === "live" && this.#pingAt === null) this.#ping(now);
    return this.#done();
  }

  /**
   * Keeps a message, and sends it as soon as there is a connection.
   *
   * @param {{chat_id: string, text: string, nonce: string}} message
   * @param {number} now
   */
  send({ chat_id, text, nonce }, now) {
    if (this.outbox.get(nonce) === undefined) {
      // Tabs share a storage, so that a count would not do: the time and chance tell their messages apart.
      this.#sendNumber = Math.max(this.#sendNumber + 1, Math.floor(now) * 1000 + Math.floor(this.#options.random() * 1000));
      /** @type {Outgoing} */
      const entry = { number: this.#sendNumber, nonce, chat_id, text, state: "waiting", error: null, seq: null, not_before: 0 };
      this.outbox.put(entry);
      this.#save({ [nameOf(entry)]: textOf(entry) });
      this.#tell("outbox", { chat_id, nonce });
      this.#flush(now);
    }
    return this.#done();
  }

  /** Sends a refused message again, under the same nonce. @param {string} nonce @param {number} now */
  retry(nonce, now) {
    const entry = this.outbox.change(nonce, { state: "waiting", error: null, not_before: 0 });
    if (entry !== undefined) {
      this.#save({ [nameOf(entry)]: textOf(entry) });
      this.#tell("outbox", { chat_id: entry.chat_id, nonce });
      this.#flush(now);
    }
    return this.#done();
  }

  /** Gives a message up. If it was on its way it may have been stored. @param {string} nonce @param {number} now */
  discard(nonce, now) {
    this.#drop(nonce);
    this.#flush(now);
    return this.#done();
  }

  /**
   * Makes a request. A wish `answer` or `fail` with the same `id` follows.
   *
   * @param {string} type
   * @param {Record<string, any>} fields
   * @param {number} now
   * @returns {{id: string, wishes: Wish[]}}
   */
  request(type, fields, now) {
    const id = this.#ask("request", type, fields, now);
    return { id, wishes: this.#done() };
  }

  /** Sends a frame if there is a connection, and waits for no answer: for typing. @param {string} type @param {Record<string, any>} fields */
  signal(type, fields) {
    if (this.state === "live") this.#wish({ do: "send", frame: { ...fields, type, id: `s${++this.#number}` } });
    return this.#done();
  }

  // What happens

  /** There is an access token that is good for `expiresIn` more seconds. @param {string} token @param {number} expiresIn @param {number} now */
  refreshed(token, expiresIn, now) {
    this.#isRefreshing = false;
    this.#token = token;
    this.#tokenEnds = now + expiresIn * 1000;
    this.#refreshAt = now + expiresIn * 1000 * (1 - REFRESHED_AT);
    if (this.state === "refreshing") this.#connect(now);
    return this.#done();
  }

  /** There are no new tokens: the session was refused, or nothing could be learned now. @param {boolean} isRefused @param {number} now */
  notRefreshed(isRefused, now) {
    this.#isRefreshing = false;
    if (isRefused) {
      this.#token = null;
      this.#leave("ended", "signed_out", now);
    } else if (this.state === "refreshing") this.#pause(0, now);
    else this.#refreshAt = now + this.#options.longestPause * (0.5 + this.#options.random() / 2);
    return this.#done();
  }

  /** The connection is open. @param {number} now */
  opened(now) {
    if (this.state !== "connecting") return this.#done();
    this.#heardAt = now;
    this.#until = now + this.#options.patience;
    /** @type {Frame} */
    const frame = { type: "auth", token: this.#token };
    if (this.#cursor !== null) frame.since = { cursor: this.#cursor, seen: Object.fromEntries([...this.#seen].slice(-SEEN_MOST)) };
    this.#wish({ do: "send", frame });
    this.#become("authenticating");
    return this.#done();
  }

  /** A text frame came. @param {string} text @param {number} now */
  received(text, now) {
    if (!WITH_SOCKET.has(this.state)) return this.#done();
    this.#heardAt = now;
    this.#pingAt = null;
    /** @type {Frame} */
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      this.#broken(now);
      return this.#done();
    }
    this.#take(frame, now);
    return this.#done();
  }

  /** The connection has ended, or did not open (1006). @param {number} code @param {string} reason @param {number} now */
  closed(code, reason, now) {
    if (!WITH_SOCKET.has(this.state)) return this.#done();
    const refusal = this.#refusal;
    this.#refusal = null;
    switch (verdict(code, refusal)) {
      case "return":
        this.#pause(pauseIn(reason), now);
        break;
      case "refresh":
        this.#token = null;
        if (refusal !== "token_expired" && this.#hasRetriedToken) this.#leave("ended", "signed_out", now);
        else {
          this.#hasRetriedToken = true;
          this.#interrupted();
          this.#begin(now);
        }
        break;
      case "signed_out":
        this.#token = null;
        this.#leave("ended", "signed_out", now);
        break;
      case "fault":
        this.#leave("ended", refusal ?? `closed_${code}`, now);
        break;
    }
    return this.#done();
  }

  /** Time has passed; to be called at `wakeAt` or later. @param {number} now */
  tick(now) {
    if (this.#token !== null && now >= this.#refreshAt && this.state !== "stopped" && this.state !== "ended") this.#refresh();
    if (this.#until !== null && now >= this.#until) {
      if (this.state === "waiting") this.#begin(now);
      else this.#broken(now);
    } else if (this.state === "live") this.#look(now);
    return this.#done();
  }

  /** When `tick` is to be called next, or null. */
  get wakeAt() {
    const times = [];
    if (this.#until !== null) times.push(this.#until);
    if (this.#token !== null && !this.#isRefreshing && this.state !== "stopped" && this.state !== "ended") times.push(this.#refreshAt);
    if (this.state === "live") {
      times.push(this.#pingAt === null ? this.#heardAt + this.#heartbeat : this.#pingAt + this.#options.patience);
      for (const { sentAt } of this.#pending.values()) if (sentAt !== null) times.push(sentAt + 2 * this.#options.patience);
      if (this.#leaveAt !== null) times.push(this.#leaveAt);
      const due = this.outbox.nextDue();
      if (due !== null) times.push(due);
    }
    return times.length === 0 ? null : Math.min(...times);
  }

  // The states

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.#tell("state", { state, why: this.why });
  }

  /** Connects with a token that lasts, or gets one first. @param {number} now */
  #begin(now) {
    this.why = null;
    if (this.#token !== null && now < this.#tokenEnds) this.#connect(now);
    else {
      this.#until = null;
      this.#become("refreshing");
      this.#refresh();
    }
  }

  #refresh() {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    this.#wish({ do: "refresh" });
  }

  /** @param {number} now */
  #connect(now) {
    this.#until = now + this.#options.patience;
    this.#become("connecting");
    this.#wish({ do: "connect" });
  }

  /** What a live connection needs now and then. @param {number} now */
  #look(now) {
    const { patience } = this.#options;
    const asked = [...this.#pending.values()].map((each) => each.sentAt ?? Infinity);
    if ((this.#pingAt !== null && now >= this.#pingAt + patience) || now >= Math.min(...asked) + 2 * patience) this.#broken(now);
    else if (this.#leaveAt !== null && now >= this.#leaveAt) {
      this.#wish({ do: "close" });
      this.#interrupted();
      this.#begin(now);
    } else {
      if (this.#pingAt === null && now >= this.#heardAt + this.#heartbeat) this.#ping(now);
      this.#flush(now);
    }
  }

  /** The connection is of no use: it is silent, or what comes cannot be understood. @param {number} now */
  #broken(now) {
    this.#wish({ do: "close" });
    this.#pause(0, now);
  }

  /** Waits a random time, up to twice as long after each failure. @param {number} atLeast milliseconds @param {number} now */
  #pause(atLeast, now) {
    this.#interrupted();
    const { shortestPause, longestPause, random } = this.#options;
    const bound = Math.min(longestPause, shortestPause * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    this.#until = now + Math.max(atLeast, random() * bound);
    this.#become("waiting");
  }

  /** @param {"stopped" | "ended"} state @param {string | null} why @param {number} _now */
  #leave(state, why, _now) {
    if (this.state === state) return;
    if (WITH_SOCKET.has(this.state)) this.#wish({ do: "close" });
    this.why = why;
    this.#interrupted();
    for (const id of [...this.#pending.keys()]) this.#fail(id, why ?? "stopped");
    this.#until = null;
    this.#failures = 0;
    this.#hasRetriedToken = false;
    this.#become(state);
  }

  /** What was on its way is sent again later, or its outcome is unknown. */
  #interrupted() {
    for (const [chatId, hole] of this.#holes) {
      // The frames behind it come again: they were not handled.
      if (hole.isGap) hole.frames = [];
      else this.#holes.delete(chatId);
    }
    for (const { id, purpose, fields } of [...this.#pending.values()])
      if (purpose === "gap" && this.#holes.get(fields.chat_id)?.request !== id) this.#pending.delete(id);
    this.#hasMore = false;
    this.#pingAt = null;
    this.#leaveAt = null;
    this.#coming = null;
    for (const pending of [...this.#pending.values()]) {
      if (pending.purpose === "request" || pending.purpose === "gap") {
        if (pending.sentAt !== null && !REPEATED.has(pending.type) && pending.fields.key === undefined) this.#fail(pending.id, "outcome_unknown");
        else pending.sentAt = null;
      } else this.#pending.delete(pending.id);
    }
    this.outbox.interrupted();
  }

  // Frames

  /** @param {Frame} frame @param {number} now */
  #take(frame, now) {
    switch (frame.type) {
      case "auth_success":
        this.#greeted(frame, now);
        break;
      case "auth_error":
        this.#refusal = frame.code;
        break;
      case "resumed":
        if (this.state !== "entering") break;
        if (this.model.next === undefined) {
          // The snapshot was lost on the way.
          this.#cursor = null;
          this.#broken(now);
          break;
        }
        this.#until = null;
        this.#failures = 0;
        this.#keepPlace(frame.cursor);
        this.#become("live");
        for (const each of this.#pending.values()) if (each.sentAt === null) this.#transmit(each, now);
        this.#readOn(now);
        this.#flush(now);
        break;
      case "cursor":
        this.#keepPlace(frame.cursor);
        break;
      case "answer":
      case "pong":
        this.#answered(frame, now);
        break;
      case "error":
        this.#refused(frame, now);
        break;
      case "goaway":
        this.#leaveAt = now + this.#options.random() * 1000 * (frame.within ?? 0);
        break;
      default:
        if (this.state === "entering") this.#until = now + this.#options.patience;
        this.#inOrder(frame, now);
    }
  }

  /** Takes a frame, or keeps it until what is missing of its chat was read. @param {Frame} frame @param {number} now */
  #inOrder(frame, now) {
    const hole = this.#holes.get(frame.chat_id);
    if (hole !== undefined && (isDurable(frame) || READ.has(frame.type))) hole.frames.push(frame);
    else if (isDurable(frame)) this.#durable(frame, now);
    else this.#other(frame, now);
  }

  /** @param {Frame} frame @param {number} now */
  #greeted(frame, now) {
    this.#hasRetriedToken = false;
    const expected = this.#options.profileId ?? this.model.profileId;
    if (expected !== null && expected !== frame.user_id) {
      // What the outbox and the model hold is another person's.
      this.#leave("ended", "another_account", now);
      return;
    }
    this.model.profileId = frame.user_id;
    if (this.model.epoch !== null && this.model.epoch !== frame.epoch) this.model.forget();
    this.model.epoch = frame.epoch;
    this.limits = frame.limits ?? this.limits;
    this.#coming = this.#cursor === null ? frame.cursor : null;
    this.#heartbeat = Math.min(this.#options.heartbeat, (frame.heartbeat_interval ?? Infinity) * 1000);
    this.#until = now + this.#options.patience;
    this.#become("entering");
  }

  /** @param {Frame} frame @param {number} now */
  #durable(frame, now) {
    switch (this.model.apply(frame)) {
      case "applied":
        this.#applied(frame);
        break;
      case "hole":
        this.#missing(frame, now);
        break;
    }
  }

  /** @param {Frame} frame */
  #applied(frame) {
    this.#handled(frame.chat_id, frame.position);
    this.#told(frame);
  }

  /** Tells a durable frame as a change. @param {Frame} frame */
  #told(frame) {
    const { chat_id } = frame;
    if (frame.type === "new_message") {
      const { message } = frame;
      if (message.nonce !== undefined && message.sender_id === this.model.profileId) this.#drop(message.nonce);
      this.#tell("message", { chat_id, message });
    } else this.#tell("chat_changed", { chat_id, frame });
  }

  /** @param {string} chatId @param {number} position */
  #handled(chatId, position) {
    this.#seen.delete(chatId); // so that the newest stand last
    this.#seen.set(chatId, position);
    this.#unsaved.add(chatId);
  }

  /** Frames are missing before this one: reads them from the log, and applies the others behind them. @param {Frame} frame @param {number} now */
  #missing(frame, now) {
    const known = this.model.chats.get(frame.chat_id);
    if (known === undefined) {
      // Its `chat_added` was lost, and nothing else tells of the chat: everything is read anew.
      this.#cursor = null;
      this.#seen.clear();
      this.model.forget(true);
      this.#broken(now);
      return;
    }
    const request = this.#ask("hole", "catch_up", { chat_id: frame.chat_id, after: known.position, before: frame.position }, now);
    this.#holes.set(frame.chat_id, { frames: [frame], request, before: frame.position, isGap: false });
  }

  /** Whatever changes the model and has no position of its own. @param {Frame} frame @param {number} now */
  #other(frame, now) {
    /** @type {Map<string, number | undefined>} */
    const before = new Map();
    for (const entry of entriesOf(frame)) before.set(entry.chat.id, this.model.positionOf(entry.chat.id));
    if (this.model.apply(frame) === "applied" && frame.chat_id !== undefined) this.#unsaved.add(frame.chat_id);
    this.#dropShown();
    switch (frame.type) {
      case "snapshot":
        for (const { chat } of frame.chats) this.#unsaved.add(chat.id);
        if (this.#coming !== null) {
          this.#cursor = this.#coming;
          this.#coming = null;
        }
        this.#tell("snapshot", { chat_ids: frame.chats.map((/** @type {any} */ each) => each.chat.id), next: frame.next });
        for (const [chatId, position] of before) this.#catchUp(chatId, position, now);
        if (frame.id !== undefined) this.#answered(frame, now);
        this.#readOn(now);
        break;
      case "reset":
        if (frame.scope === "all") {
          this.#cursor = null;
          this.#seen.clear();
          // In the same line of history, what a gap hid is still wanted, and the new entry is behind it.
          for (const [chatId, hole] of this.#holes)
            if (hole.isGap && frame.reason !== "epoch") hole.frames = [];
            else this.#holes.delete(chatId);
          this.#coming = null; // the snapshot that follows ends with a cursor of `resumed`
        } else this.#handled(frame.chat_id, frame.state.position);
        this.#tell("reset", { scope: frame.scope, chat_id: frame.chat_id ?? null, reason: frame.reason });
        break;
      case "gap":
        if (this.#holes.get(frame.chat_id)?.isGap === false) this.#holes.delete(frame.chat_id);
        this.#handled(frame.chat_id, frame.state.position);
        this.#tell("gap", { chat_id: frame.chat_id, after: before.get(frame.chat_id) ?? frame.after, before: frame.before });
        this.#catchUp(frame.chat_id, before.get(frame.chat_id) ?? frame.after, now);
        break;
      case "chat_added":
        if (this.#holes.get(frame.chat_id)?.isGap === false) this.#holes.delete(frame.chat_id);
        this.#handled(frame.chat_id, frame.chat.position);
        this.#tell("chat_added", { chat_id: frame.chat_id });
        this.#catchUp(frame.chat_id, before.get(frame.chat_id), now); // it may be one that was known
        break;
      case "chat_removed":
        this.#holes.delete(frame.chat_id);
        this.#seen.delete(frame.chat_id);
        this.#tell("chat_removed", { chat_id: frame.chat_id, reason: frame.reason });
        for (const entry of this.outbox.of(frame.chat_id)) this.#sendFails(entry, "not_a_member");
        break;
      case "read_up_to":
      case "messages_read":
      case "message_read":
      case "your_messages_read":
        this.#tell("read", { chat_id: frame.chat_id, frame });
        break;
      default:
        this.#tell(frame.type, { chat_id: frame.chat_id, frame });
    }
  }

  /** Reads the events of a chat after `position` up to the one it has now, if the application wants all messages. @param {string} chatId @param {number | undefined} position @param {number} now */
  #catchUp(chatId, position, now) {
    const known = this.model.chats.get(chatId);
    if (!this.#options.catchUp || known === undefined || position === undefined || position >= known.position) return;
    const hole = this.#holes.get(chatId);
    const before = known.position + 1;
    if (hole?.isGap === true) {
      hole.before = Math.max(hole.before, before); // read after what is being read, so that all is told in order
      return;
    }
    const request = this.#ask("gap", "catch_up", { chat_id: chatId, after: position, before }, now);
    this.#holes.set(chatId, { frames: hole?.frames ?? [], request, before, isGap: true });
  }

  /** Everything before this cursor was handled, unless something is missing. @param {string} cursor */
  #keepPlace(cursor) {
    if (this.#holes.size > 0) return;
    this.#cursor = cursor;
    this.#seen.clear();
    if (!this.#options.remember) return;
    /** @type {Record<string, string | null>} */
    const changes = { place: JSON.stringify({ epoch: this.model.epoch, cursor, next: this.model.next ?? null }) };
    for (const chatId of this.#unsaved) {
      const chat = this.model.chats.get(chatId);
      changes[`chat:${chatId}`] = chat === undefined ? null : Model.textOf(chat);
    }
    this.#unsaved.clear();
    this.#save(changes);
  }

  // Requests and answers

  /** Reads the next page of chats, unless it was asked for. @param {number} now */
  #readOn(now) {
    const { next } = this.model;
    if (this.state !== "live" || this.#hasMore || next === null || next === undefined) return;
    this.#hasMore = true;
    this.#ask("page", "more", { next }, now);
  }

  /** @param {Pending["purpose"]} purpose @param {string} type @param {Record<string, any>} fields @param {number} now */
  #ask(purpose, type, fields, now) {
    /** @type {Pending} */
    const pending = { id: `r${++this.#number}`, type, purpose, fields, sentAt: null };
    this.#pending.set(pending.id, pending);
    if (this.state === "live" || (purpose !== "request" && this.state === "entering")) this.#transmit(pending, now);
    else if (this.state === "stopped" || this.state === "ended") this.#fail(pending.id, this.why ?? "stopped");
    return pending.id;
  }

  /** @param {Pending} pending @param {number} now */
  #transmit(pending, now) {
    pending.sentAt = now;
    this.#wish({ do: "send", frame: { ...pending.fields, type: pending.type, id: pending.id } });
  }

  /** @param {Frame} frame @param {number} now */
  #answered(frame, now) {
    const pending = this.#pending.get(String(frame.id));
    if (pending === undefined) return;
    this.#pending.delete(pending.id);
    switch (pending.purpose) {
      case "send":
        this.#stored(pending.fields.nonce, frame, now);
        break;
      case "page":
        this.#hasMore = false;
        break;
      case "hole":
      case "gap":
        this.#caughtUp(pending, frame, now);
        break;
      case "request":
        this.#learn(pending, frame);
        this.#wish({ do: "answer", id: pending.id, frame });
    }
  }

  /** Takes what an answer tells about the model. @param {Pending} pending @param {Frame} frame */
  #learn({ type, fields: { chat_id } }, frame) {
    if (type === "get_history") this.model.addHistory(chat_id, frame.messages);
    else if (type === "catch_up") this.model.addHistory(chat_id, messagesIn(frame.events));
    else if (frame.chat?.id !== undefined) {
      this.model.takeEntry(entryIn(frame));
      this.#tell("chat_changed", { chat_id: frame.chat.id, frame: null });
    } else if (type === "mark_read") {
      const known = this.model.chats.get(chat_id);
      if (known === undefined) return;
      this.model.apply({ type: "read_up_to", chat_id, seq: frame.read_up_to, unread_count: frame.unread_count, last_seq: known.seq });
      this.#unsaved.add(chat_id);
      this.#tell("read", { chat_id, frame: null });
    }
  }

  /** @param {Pending} pending @param {Frame} frame @param {number} now */
  #caughtUp({ id, purpose, fields }, frame, now) {
    const { chat_id } = fields;
    const hole = this.#holes.get(chat_id);
    if (hole?.request !== id) return;
    if (purpose === "gap") {
      // The entry tells the state after these events already.
      this.model.addHistory(chat_id, messagesIn(frame.events));
      for (const event of frame.events) this.#told(event);
    } else
      for (const event of frame.events) {
        const known = this.model.chats.get(chat_id);
        if (this.model.apply({ ...event, chat_id, after: known?.position }) === "applied") this.#applied({ ...event, chat_id });
      }
    if (frame.has_more || fields.before < hole.before) {
      const after = frame.has_more ? frame.position : fields.before - 1;
      hole.request = this.#ask(purpose, "catch_up", { chat_id, after, before: hole.before }, now);
      return;
    }
    this.#holes.delete(chat_id);
    for (const [index, each] of hole.frames.entries()) {
      // What the log does not tell to this person counts as handled.
      const known = this.model.chats.get(chat_id);
      const after = purpose === "hole" && index === 0 && known !== undefined && known.position < each.after ? known.position : each.after;
      this.#inOrder(isDurable(each) ? { ...each, after } : each, now);
    }
  }

  /** @param {Frame} frame @param {number} now */
  #refused(frame, now) {
    const pending = frame.id === undefined || frame.id === null ? undefined : this.#pending.get(String(frame.id));
    if (pending === undefined) return;
    switch (pending.purpose) {
      case "send":
        this.#pending.delete(pending.id);
        this.#sendRefused(pending.fields.nonce, frame, now);
        break;
      case "request":
        this.#pending.delete(pending.id);
        this.#wish({ do: "fail", id: pending.id, code: frame.code, message: frame.message, frame });
        break;
      case "hole":
      case "gap":
        if (this.#holes.get(pending.fields.chat_id)?.request !== pending.id) {
          this.#pending.delete(pending.id); // what it was to read is not missing any more, as in a chat that was left
          break;
        }
        this.#broken(now);
        break;
      default:
        this.#broken(now); // coming back asks again
    }
  }

  /** @param {string} id @param {string} code */
  #fail(id, code) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending?.purpose === "request") this.#wish({ do: "fail", id, code, message: code, frame: null });
  }

  // The outbox

  /** @param {number} now */
  #flush(now) {
    if (this.state !== "live") return;
    let sending = this.outbox.all().filter((entry) => entry.state === "sending").length;
    for (const { nonce, chat_id, text } of this.outbox.due(now)) {
      if (sending++ >= this.#options.mostSends) break;
      this.outbox.change(nonce, { state: "sending" });
      this.#ask("send", "send_message", { chat_id, text, nonce }, now);
      this.#tell("outbox", { chat_id, nonce });
    }
  }

  /** @param {string} nonce @param {Frame} frame @param {number} now */
  #stored(nonce, frame, now) {
    const entry = this.outbox.get(nonce);
    if (entry !== undefined) {
      const { chat_id } = entry;
      this.#save({ [nameOf(entry)]: null });
      // Held until the message itself comes, which is behind this answer, so that it is always shown somewhere.
      if ((this.model.chats.get(chat_id)?.seq ?? Infinity) >= frame.message.seq) this.outbox.delete(nonce);
      else this.outbox.change(nonce, { state: "stored", seq: frame.message.seq });
      this.#tell("sent", { chat_id, nonce, message: frame.message, duplicate: frame.duplicate });
    }
    this.#flush(now);
  }

  /** @param {string} nonce @param {Frame} frame @param {number} now */
  #sendRefused(nonce, frame, now) {
    const entry = this.outbox.get(nonce);
    if (entry === undefined) return;
    if (SENT_AGAIN.has(frame.code) || frame.retry_after !== undefined) {
      const pause = (frame.retry_after ?? 1) * 1000 * (1 + this.#options.random());
      this.outbox.change(nonce, { state: "waiting", not_before: now + pause });
      this.#tell("outbox", { chat_id: entry.chat_id, nonce });
    } else this.#sendFails(entry, frame.code);
    this.#flush(now);
  }

  /** The server refuses a message for good: it is shown as refused until the person retries or discards it. @param {Outgoing} entry @param {string} code */
  #sendFails(entry, code) {
    const { nonce, chat_id, text } = entry;
    if (entry.state === "stored") {
      this.outbox.delete(nonce);
      return;
    }
    this.outbox.change(nonce, { state: "refused", error: code });
    this.#save({ [nameOf(entry)]: null });
    this.#tell("refused", { chat_id, nonce, text, code });
  }

  /** Lets go of stored messages that an entry passed over: they will not be told any more. */
  #dropShown() {
    for (const { nonce, chat_id, state, seq } of this.outbox.all())
      if (state === "stored" && seq !== null && seq <= (this.model.chats.get(chat_id)?.seq ?? 0)) this.#drop(nonce);
  }

  /** The message of this nonce has come, or is given up. @param {string} nonce */
  #drop(nonce) {
    const entry = this.outbox.get(nonce);
    if (entry === undefined) return;
    this.outbox.delete(nonce);
    this.#save({ [nameOf(entry)]: null });
    this.#tell("outbox", { chat_id: entry.chat_id, nonce });
  }

  // Wishes

  /** @param {number} now */
  #ping(now) {
    this.#pingAt = now;
    this.#wish({ do: "send", frame: { type: "ping", id: `p${++this.#number}` } });
  }

  /** @param {Wish} wish */
  #wish(wish) {
    this.#wishes.push(wish);
  }

  /** @param {string} type @param {Record<string, any>} detail */
  #tell(type, detail) {
    this.#wishes.push({ do: "tell", change: /** @type {any} */ ({ type, ...detail }) });
  }

  /** @param {Record<string, string | null>} changes */
  #save(changes) {
    this.#wishes.push({ do: "save", changes });
  }

  #done() {
    const wishes = this.#wishes;
    this.#wishes = [];
    return wishes;
  }
}

/** The entry in an answer, without what belongs to the answer. @param {Frame} frame @returns {any} */
function entryIn({ type: _type, id: _id, chat_id: _chat, ...entry }) {
  return entry;
}

/** The states of chats that a frame tells, if it may tell them of chats that are known. @param {Frame} frame @returns {any[]} */
function entriesOf(frame) {
  switch (frame.type) {
    case "snapshot":
      return frame.chats;
    case "gap":
      return [frame.state];
    case "chat_added":
      return [frame.chat];
    default:
      return [];
  }
}

/** @param {Frame[]} events */
function messagesIn(events) {
  return events.filter((event) => event.type === "new_message").map((event) => event.message);
}
