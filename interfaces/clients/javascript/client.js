/**
 * The client for browsers and node: carries out what `Core` wishes, by a WebSocket, timers, a storage and the tokens.
 *
 * @module
 */

import { Core } from "./core.js";
import { MemoryStorage } from "./storage.js";
import { ApiError } from "./tokens.js";

/** @typedef {import("./index.d.ts").MessengerOptions} MessengerOptions */
/** @typedef {import("./index.d.ts").Wish} Wish */
/** @typedef {import("./index.d.ts").Change} Change */
/** @typedef {import("./index.d.ts").Frame} Frame */

const now = () => performance.timeOrigin + performance.now();

/** Timers of browsers count in 32 bits. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A request was refused, or its outcome is unknown because the connection broke. */
export class RequestError extends Error {
  /** @param {string} code @param {string} message @param {Frame | null} frame */
  constructor(code, message, frame) {
    super(message);
    this.name = "RequestError";
    this.code = code;
    this.frame = frame;
  }
}

export class Messenger {
  #core;
  #url;
  #tokens;
  #storage;
  #WebSocket;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Wish[]} */
  #wishes = [];
  #isBusy = false;
  #isLoaded = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Map<string, {resolve: (frame: Frame) => void, reject: (error: Error) => void}>} */
  #asked = new Map();
  /** @type {Map<string, Set<(change: any) => void>>} */
  #listeners = new Map();
  /** @type {string | null} */
  #used = null;

  /** @param {MessengerOptions} options */
  constructor({ url, tokens, storage = new MemoryStorage(), WebSocket = globalThis.WebSocket, ...options }) {
    this.#url = url.replace(/^http/, "ws").replace(/\/$/, "");
    this.#tokens = tokens;
    this.#storage = storage;
    this.#WebSocket = WebSocket;
    this.#core = new Core(options);
  }

  get model() {
    return this.#core.model;
  }

  get outbox() {
    return this.#core.outbox;
  }

  get state() {
    return this.#core.state;
  }

  get why() {
    return this.#core.why;
  }

  get limits() {
    return this.#core.limits;
  }

  /** Loads what the storage holds, and connects. */
  async start() {
    if (!this.#isLoaded) {
      const texts = await this.#storage.load();
      this.#isLoaded = true;
      this.#core.restore(texts);
      this.#watch();
    }
    this.#carryOut(this.#core.start(now()));
  }

  stop() {
    this.#carryOut(this.#core.stop(now()));
  }

  /** Asks at once whether the connection lives, or comes back at once. */
  check() {
    this.#carryOut(this.#core.check(now()));
  }

  /**
   * Listens to one type of change, or to all with `*`.
   *
   * @param {string} type
   * @param {(change: any) => void} listener
   * @returns {() => void} what ends it
   */
  on(type, listener) {
    const all = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, all.add(listener));
    return () => all.delete(listener);
  }

  /**
   * Keeps a message in the outbox, and sends it as soon as there is a connection. The changes `sent` or `refused` tell what
   * became of it.
   *
   * @param {string} chatId
   * @param {string} text
   * @param {string} nonce
   * @returns {string} the nonce
   */
  send(chatId, text, nonce = crypto.randomUUID()) {
    this.#carryOut(this.#core.send({ chat_id: chatId, text, nonce }, now()));
    return nonce;
  }

  /** @param {string} nonce */
  retry(nonce) {
    this.#carryOut(this.#core.retry(nonce, now()));
  }

  /** @param {string} nonce */
  discard(nonce) {
    this.#carryOut(this.#core.discard(nonce, now()));
  }

  /**
   * Makes any request of `WS /ws`, now or when there is a connection.
   *
   * @param {string} type
   * @param {Record<string, any>} fields
   * @returns {Promise<Frame>} the answer
   * @throws {RequestError}
   */
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      const { id, wishes } = this.#core.request(type, fields, now());
      this.#asked.set(id, { resolve, reject });
      this.#carryOut(wishes);
    });
  }

  /** @param {string} chatId @param {number | string} upTo a `seq` or the id of a message */
  markRead(chatId, upTo) {
    return this.request("mark_read", { chat_id: chatId, up_to: upTo });
  }

  /** @param {string} chatId @param {string} messageId */
  markSingleRead(chatId, messageId) {
    return this.request("mark_single_read", { chat_id: chatId, message_id: messageId });
  }

  /** @param {string} chatId @param {boolean} isTyping */
  typing(chatId, isTyping) {
    this.#carryOut(this.#core.signal("typing", { chat_id: chatId, is_typing: isTyping }));
  }

  /** @param {string} chatId @param {{before?: number, after?: number, around?: number, limit?: number}} page */
  history(chatId, page = {}) {
    return this.request("get_history", { chat_id: chatId, ...page });
  }

  /** @param {string} chatId @param {string} messageId */
  async readers(chatId, messageId) {
    return (await this.request("get_readers", { chat_id: chatId, message_id: messageId })).readers;
  }

  /** @param {string} chatId @param {{after: number, before?: number, limit?: number}} range of positions */
  catchUp(chatId, range) {
    return this.request("catch_up", { chat_id: chatId, ...range });
  }

  /** @param {{name: string, description?: string | null, members?: string[]}} about @param {string} key */
  createChat({ name, description = null, members = [] }, key = crypto.randomUUID()) {
    return this.request("create_chat", { name, description, members, key });
  }

  /** @param {string} profileId @param {string} key */
  openDirect(profileId, key = crypto.randomUUID()) {
    return this.request("open_direct", { profile_id: profileId, key });
  }

  /** @param {string} chatId @param {{name?: string, description?: string | null, members?: string[]}} change */
  changeChat(chatId, change) {
    return this.request("change_chat", { chat_id: chatId, ...change });
  }

  /** @param {string} chatId @param {string[]} profileIds @param {string} key */
  async addMembers(chatId, profileIds, key = crypto.randomUUID()) {
    return (await this.request("add_members", { chat_id: chatId, profile_ids: profileIds, key })).members;
  }

  /** @param {string} chatId @param {string} profileId @param {"owner" | "admin" | "member"} role */
  async changeRole(chatId, profileId, role) {
    return (await this.request("change_role", { chat_id: chatId, profile_id: profileId, role })).members;
  }

  /** @param {string} chatId @param {string} profileId the own one leaves */
  removeMember(chatId, profileId) {
    return this.request("remove_member", { chat_id: chatId, profile_id: profileId });
  }

  /** @param {string} chatId */
  deleteChat(chatId) {
    return this.request("delete_chat", { chat_id: chatId });
  }

  /** @param {string[]} profileIds */
  watchPresence(profileIds) {
    return this.request("watch_presence", { profile_ids: profileIds });
  }

  // Carrying out

  /** @param {Wish[]} wishes */
  #carryOut(wishes) {
    this.#wishes.push(...wishes);
    if (!this.#isBusy) this.#work();
  }

  /** One wish after the other: what follows a save waits until it is safe. */
  #work() {
    this.#isBusy = true;
    for (let wish = this.#wishes.shift(); wish !== undefined; wish = this.#wishes.shift()) {
      const saving = this.#do(wish);
      if (saving !== undefined) {
        void saving.catch(report).then(() => this.#work());
        return;
      }
    }
    this.#isBusy = false;
    this.#setTimer();
  }

  #setTimer() {
    clearTimeout(this.#timer);
    const { wakeAt } = this.#core;
    if (wakeAt === null) return;
    this.#timer = setTimeout(() => this.#carryOut(this.#core.tick(now())), Math.min(Math.max(wakeAt - now(), 0) + 1, LONGEST_TIMER));
  }

  /** @param {Wish} wish @returns {Promise<void> | undefined} */
  #do(wish) {
    switch (wish.do) {
      case "connect":
        this.#connect();
        break;
      case "send":
        this.#socket?.send(JSON.stringify(wish.frame));
        break;
      case "close":
        this.#hangUp();
        break;
      case "refresh":
        void this.#refresh();
        break;
      case "save":
        try {
          return this.#storage.save(wish.changes) ?? undefined;
        } catch (error) {
          report(error); // a full storage costs a restart its memory, not the person the message
        }
        break;
      case "answer":
        this.#asked.get(wish.id)?.resolve(wish.frame);
        this.#asked.delete(wish.id);
        break;
      case "fail":
        this.#asked.get(wish.id)?.reject(new RequestError(wish.code, wish.message, wish.frame));
        this.#asked.delete(wish.id);
        break;
      case "tell":
        this.#tell(wish.change);
    }
    return undefined;
  }

  /** @param {Change} change */
  #tell(change) {
    for (const type of [change.type, "*"])
      for (const listener of this.#listeners.get(type) ?? []) {
        try {
          listener(change);
        } catch (error) {
          report(error);
        }
      }
  }

  #connect() {
    this.#hangUp();
    const socket = (this.#socket = new this.#WebSocket(`${this.#url}/ws`));
    const ifCurrent = (/** @type {() => Wish[]} */ happens) => {
      if (this.#socket === socket) this.#carryOut(happens());
    };
    socket.onopen = () => ifCurrent(() => this.#core.opened(now()));
    socket.onmessage = ({ data }) => ifCurrent(() => this.#core.received(data, now()));
    socket.onclose = ({ code, reason }) =>
      ifCurrent(() => {
        this.#socket = null;
        return this.#core.closed(code, reason, now());
      });
  }

  /** A socket that was left is not listened to any more: it may take long to notice that its other side is gone. */
  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  async #refresh() {
    try {
      const { token, expiresAt } = await this.#tokens.access(this.#used);
      this.#used = token;
      this.#carryOut(this.#core.refreshed(token, (expiresAt - now()) / 1000, now()));
    } catch (error) {
      const isRefused = error instanceof ApiError && error.status === 401;
      if (!(error instanceof ApiError)) report(error);
      this.#carryOut(this.#core.notRefreshed(isRefused, now()));
    }
  }

  /** The network is back, or the person looks at the page again. */
  #watch() {
    if (typeof document === "undefined") return;
    addEventListener("online", () => this.check());
    addEventListener("pageshow", ({ persisted }) => persisted && this.check());
    document.addEventListener("visibilitychange", () => !document.hidden && this.check());
  }
}

/** @param {unknown} error */
function report(error) {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
