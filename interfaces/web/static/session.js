/**
 * What the page knows: who is signed in, the messenger of that person, and what is shown. Components call its methods and are
 * rendered again after changes.
 *
 * @module
 */

import { ApiError, Messenger, Tokens, WebStorage } from "../../clients/javascript/index.js";
import { keepShell, lookForNewer } from "./shell.js";
import { say } from "./texts.js";
import { explain, explainWay, usePasskey } from "./ways.js";

export { explain };

/** Holds the id of the profile that is signed in, or nothing while that is not known. */
const SIGNED_IN = "messenger-signed-in";
const FINGERPRINT = "messenger-fingerprint";
const CHOICES = "messenger-choices";

/** How long a person counts as typing after the last word of it: milliseconds. */
const TYPING_LASTS = 6000;

/** Milliseconds between two read marks of a chat. */
const MARKS_EVERY = 300;

/** The shortest and the longest pause before the server is asked again at the beginning: milliseconds. */
const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/** The most messages of one request. */
const PAGE = 100;

/** The most people whose presence is watched: those of the direct chats with the newest activity. */
const MOST_WATCHED = 200;

export const base = document.body.dataset.base ?? "";

/** @param {any} person as HTTP answers have it */
export const wirePerson = ({ id, firstName, lastName, middleName, username }) => ({ id, first_name: firstName, last_name: lastName, middle_name: middleName, username });

/** @param {{first_name: string | null, last_name: string | null, username: string | null} | null | undefined} person */
export const nameOf = (person) => [person?.first_name, person?.last_name].filter(Boolean).join(" ") || person?.username || "—";

/** A browser and a system in two words. @param {string | null} text */
export function agent(text) {
  const browser = /(Edg|OPR|Firefox|Chrome|Safari)\//.exec(text ?? "")?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(text ?? "")?.[1];
  return [{ Edg: "Edge", OPR: "Opera" }[browser ?? ""] ?? browser, system].filter(Boolean).join(", ") || (text ?? "—").slice(0, 40);
}

class Session {
  /** @type {"starting" | "signed_out" | "signed_in" | "unreachable" | "another"} */
  phase = "starting";
  /** @type {Messenger | null} */
  messenger = null;
  /** The own profile, as HTTP has it, as soon as it is known. @type {any} */
  profile = null;
  email = "";
  /** @type {string | null} */
  openChat = null;
  /** Members by chat, as far as they were loaded. @type {Map<string, any[]>} */
  members = new Map();
  /** @type {Map<string, Map<string, number>>} chat, person, when it ends */
  typists = new Map();
  /** Who of those that are watched is there, and when the others last were. @type {Map<string, {online: boolean, last_seen_at: string | null}>} */
  presence = new Map();
  /** @type {{type: string, [field: string]: any} | null} */
  dialog = null;
  /** Why somebody who came back from a provider is not signed in: the code of an error. @type {{problem: string, pendingToken?: string | null} | null} */
  entrance = null;
  /** The last message of somebody else, in words, with the number of such messages. @type {{number: number, text: string} | null} */
  heard = null;
  /** Whether the server has a newer version than this page. */
  isOld = false;
  /** When the connection was lost, while it is. @type {number | null} */
  lostAt = null;
  choices = { sound: false, notifications: false, ...JSON.parse(localStorage.getItem(CHOICES) ?? "{}") };

  /** Counts changes. */
  version = 0;

  #listeners = new Set();
  #isDue = false;
  /** Whose presence is watched, as one text. */
  #watched = "";
  /** The open chat as it was shown last. @type {import("../../clients/javascript/index.d.ts").ChatState | undefined} */
  #shown;
  #loading = new Set();
  #marks = new Map();
  #pause = SHORTEST_PAUSE;
  #again = 0;

  constructor() {
    let fingerprint = localStorage.getItem(FINGERPRINT);
    if (fingerprint === null) {
      fingerprint = `web ${crypto.randomUUID?.().slice(0, 18) ?? Math.random().toString(36).slice(2)}`;
      localStorage.setItem(FINGERPRINT, fingerprint);
    }
    this.fingerprint = fingerprint;
    this.tokens = new Tokens({ url: location.origin + base, fingerprint });
    this.tokens.on(() => location.reload()); // another tab has signed in or out
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed() {
    this.version++;
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  // Signing in and out

  async begin() {
    await this.#comeBack();
    if (localStorage.getItem(SIGNED_IN) === null) this.#become("signed_out");
    else await this.#enter();
    clearTimeout(this.#again);
    if (this.phase !== "unreachable") return;
    this.#again = setTimeout(() => void this.begin(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  /** @param {string} email @param {string} password */
  async signIn(email, password) {
    await this.#signIn(() => this.tokens.signIn(email, password));
  }

  /** @param {() => Promise<unknown>} call */
  async #signIn(call) {
    // Other tabs hear of it during this call, and look whether somebody is signed in. Whose id it is to be is asked next.
    localStorage.setItem(SIGNED_IN, "");
    try {
      await call();
    } catch (error) {
      localStorage.removeItem(SIGNED_IN);
      throw error;
    }
    await this.#enter();
  }

  /** @param {string} pendingToken of an `ApiError` with the code SECOND_FACTOR_NEEDED @param {string} code */
  async finishSignIn(pendingToken, code) {
    await this.#signIn(() => this.tokens.finishSignIn(pendingToken, code));
  }

  /** @param {string} id of a provider. The browser leaves the page, and comes back to it. */
  async leaveFor(id) {
    const { url } = await this.tokens.call("POST", "/accounts/sign-in/provider/", { provider: id, fingerprint: this.fingerprint }, { anonymous: true });
    location.assign(url);
  }

  async signInWithPasskey() {
    const { options, token } = await this.tokens.call("POST", "/accounts/sign-in/passkey/begin/", undefined, { anonymous: true });
    const credential = await usePasskey(options);
    await this.#signIn(() => this.tokens.finish("/accounts/sign-in/passkey/", { token, credential, fingerprint: this.fingerprint }));
  }

  /** Finishes a visit to a provider, if this page was loaded by coming back from one. */
  async #comeBack() {
    const [, name, value] = /^#(provider|provider-error)=([\w-]+)$/.exec(location.hash) ?? [];
    if (name === undefined) return;
    history.replaceState(null, "", location.pathname);
    if (name === "provider-error") {
      this.entrance = { problem: value };
      return;
    }
    try {
      if (value === "sign-in") {
        await this.tokens.finish("/accounts/sign-in/provider/finish/");
        localStorage.setItem(SIGNED_IN, "");
      } else {
        await this.tokens.call("POST", "/accounts/identities/finish/");
        this.dialog = { type: "ways" };
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (value === "link") this.dialog = { type: "ways", problem: explainWay(error) };
      else this.entrance = { problem: error.code, pendingToken: error.pendingToken };
    }
  }

  async signOut() {
    this.messenger?.stop();
    const known = localStorage.getItem(SIGNED_IN);
    localStorage.removeItem(SIGNED_IN); // before other tabs hear of it
    try {
      await this.tokens.signOut();
    } catch (error) {
      localStorage.setItem(SIGNED_IN, known ?? "");
      void this.messenger?.start();
      throw error;
    }
    this.#leave();
  }

  /** Ends the account for ever. @param {string} password @param {string} [code] of the second factor, if there is one @param {string | null} [proof] by a passkey, instead */
  async closeAccount(password, code, proof = null) {
    const { messenger } = this;
    messenger?.stop();
    try {
      await this.tokens.call("DELETE", "/accounts/me/", { password: password ?? "", code: code ?? null, proof });
    } catch (error) {
      void messenger?.start();
      throw error;
    }
    const { profileId } = messenger?.model ?? {};
    for (const name of Object.keys(localStorage)) if (profileId && name.includes(profileId)) localStorage.removeItem(name);
    await this.tokens.signOut().catch(() => {}); // tells the other tabs; there is no session left to end
    this.#leave();
  }

  async #enter() {
    const known = localStorage.getItem(SIGNED_IN);
    if (known) {
      // Who was here last is most likely who is here now: nothing else needs to be asked before the chats are shown.
      await this.#connect(known);
      this.#entered();
      return;
    }
    try {
      const { profileId } = await this.#learn();
      await this.#connect(profileId);
      localStorage.setItem(SIGNED_IN, profileId);
      this.#entered();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.#leave();
      else this.#become("unreachable");
    }
  }

  #entered() {
    this.#become("signed_in");
    void keepShell(() => {
      this.isOld = true;
      this.changed();
    });
    if (this.profile !== null) this.#welcome();
    const wanted = location.hash.slice(1);
    if (wanted) this.open(wanted);
  }

  /** Asks who is signed in. */
  async #learn() {
    const [me, profile] = await Promise.all([this.tokens.call("GET", "/accounts/me/"), this.tokens.call("GET", "/accounts/profile/")]);
    this.email = me.email;
    this.profile = profile;
    this.changed();
    return me;
  }

  /** Somebody without a name cannot be found by others. */
  #welcome() {
    if (nameOf(wirePerson(this.profile)) === "—" && this.dialog === null) this.show({ type: "profile", isNew: true });
  }

  #leave() {
    this.messenger?.stop();
    this.messenger = null;
    this.openChat = null;
    this.dialog = null;
    this.members.clear();
    this.profile = null;
    localStorage.removeItem(SIGNED_IN);
    history.replaceState(null, "", location.pathname);
    this.#become("signed_out");
  }

  /** @param {Session["phase"]} phase */
  #become(phase) {
    this.phase = phase;
    this.changed();
  }

  /** @param {string} profileId */
  async #connect(profileId) {
    const messenger = new Messenger({
      url: location.origin + base,
      tokens: this.tokens,
      storage: new WebStorage(localStorage, `messenger.${profileId}.`),
      profileId,
    });
    this.messenger = messenger;
    messenger.model.profileId = profileId;
    messenger.on("state", ({ state, why }) => {
      if (this.messenger !== messenger) return;
      if (state === "live") {
        if (this.lostAt !== null) void lookForNewer(); // the server may have been replaced
        this.lostAt = null;
        void this.#watch();
        if (this.profile === null) this.#learn().then(() => this.#welcome(), () => {}); // asked again when the connection is back
      } else {
        this.lostAt ??= Date.now();
        this.presence.clear();
        this.#watched = "";
      }
      if (state === "ended" && why === "signed_out") this.#leave();
      if (state === "ended" && why === "another_account") {
        localStorage.setItem(SIGNED_IN, ""); // who it is is asked first the next time
        this.#become("another");
      }
    });
    messenger.on("presence", ({ frame }) => this.presence.set(frame.user_id, frame));
    messenger.on("*", ({ type, frame }) => type === "presence_ended" && this.presence.delete(frame.user_id));
    messenger.on("typing", ({ chat_id, frame }) => this.#heardTyping(chat_id, frame));
    messenger.on("message", ({ chat_id, message }) => this.#heardMessage(chat_id, message));
    messenger.on("chat_removed", ({ chat_id }) => {
      if (this.openChat === chat_id && messenger.outbox.of(chat_id).length === 0) this.open(null);
      if (this.dialog?.chat_id === chat_id) this.show(null);
    });
    messenger.on("chat_changed", ({ chat_id, frame }) => {
      const isOwnEnd = frame?.type === "member_removed" && frame.user_id === profileId;
      if (frame !== null && frame.type !== "chat_changed" && !isOwnEnd && this.members.has(chat_id)) void this.loadMembers(chat_id);
    });
    messenger.on("reset", ({ scope }) => scope === "all" && this.members.clear());
    for (const type of ["snapshot", "chat_added", "chat_removed"]) messenger.on(type, () => void this.#watch());
    messenger.on("*", () => this.changed());
    await messenger.start();
  }

  // What is shown

  /** The open chat. One that is being read anew is still shown as it was, so that a person goes on reading where they are. */
  get chat() {
    const { openChat, messenger } = this;
    if (openChat === null || messenger === null) return undefined;
    const { chats, next } = messenger.model;
    const chat = chats.get(openChat) ?? (next !== null && this.#shown?.chat.id === openChat ? this.#shown : undefined);
    this.#shown = chat;
    return chat;
  }

  /** @param {string | null} chatId */
  open(chatId) {
    this.openChat = chatId;
    history.replaceState(null, "", chatId === null ? location.pathname : `#${chatId}`);
    const kind = chatId === null ? undefined : this.messenger?.model.chats.get(chatId)?.chat.kind;
    if (chatId !== null && kind !== "direct" && !this.members.has(chatId)) void this.loadMembers(chatId);
    void this.#watch();
    this.changed();
  }

  /** Watches whether the people of direct chats are there. */
  async #watch() {
    const { chat, messenger } = this;
    if (messenger?.state !== "live") return;
    const others = [chat, ...messenger.model.list()].map((each) => each?.chat.other?.id).filter((id) => id !== undefined);
    const wanted = [...new Set(others)].slice(0, MOST_WATCHED);
    const watched = [...wanted].sort().join();
    if (watched === this.#watched) return;
    this.#watched = watched;
    try {
      const { watching } = await messenger.watchPresence(wanted);
      this.presence = new Map(watching.map((/** @type {any} */ each) => [each.user_id, each]));
    } catch {
      this.presence.clear(); // it is not known who is there
    }
    this.changed();
  }

  /** @param {Session["dialog"]} dialog */
  show(dialog) {
    this.dialog = dialog;
    this.changed();
  }

  /** Opens the chat above or below in the list. @param {1 | -1} step */
  step(step) {
    const list = this.messenger?.model.list() ?? [];
    const at = list.findIndex(({ chat }) => chat.id === this.openChat);
    const next = list[Math.min(Math.max(at + step, 0), list.length - 1)];
    if (next !== undefined) this.open(next.chat.id);
  }

  /** @param {string} name @param {boolean} value */
  choose(name, value) {
    this.choices = { ...this.choices, [name]: value };
    localStorage.setItem(CHOICES, JSON.stringify(this.choices));
    this.changed();
  }

  // Messages

  /**
   * Loads the messages of a chat from `lo` to `hi`, as far as they are missing.
   *
   * @param {string} chatId @param {number} lo @param {number} hi
   */
  async load(chatId, lo, hi) {
    const { messenger } = this;
    const chat = messenger?.model.chats.get(chatId);
    if (messenger === null || chat === undefined || this.#loading.has(chatId)) return;
    const last = Math.min(hi, chat.seq);
    let from = Math.max(lo, 1);
    while (from <= last && chat.messages.has(from)) from++;
    let to = last;
    while (to > from && chat.messages.has(to)) to--;
    if (from > last) return;
    this.#loading.add(chatId);
    try {
      // Pages towards the newest end are asked for by `after`, all others by `before`, so that each brings what is needed.
      const limit = Math.min(to - from + 1, PAGE);
      await messenger.history(chatId, to === chat.seq || to - from < PAGE ? { before: to + 1, limit } : { after: from - 1, limit });
    } catch {
      return; // the connection broke: what is missing is asked for again when it is back
    } finally {
      this.#loading.delete(chatId);
      this.changed();
    }
    if (messenger.model.chats.get(chatId)?.messages.size !== chat.messages.size) await this.load(chatId, lo, hi);
  }

  /** Marks as read up to `seq`, what was on the screen. @param {string} chatId @param {number} seq */
  read(chatId, seq) {
    const chat = this.messenger?.model.chats.get(chatId);
    if (chat === undefined || chat.unread_count === 0 || seq <= chat.read_up_to) return;
    const mark = this.#marks.get(chatId);
    if (mark !== undefined) {
      mark.seq = Math.max(mark.seq, seq);
      return;
    }
    this.#marks.set(chatId, { seq });
    setTimeout(() => {
      const { seq: upTo } = this.#marks.get(chatId);
      this.#marks.delete(chatId);
      this.messenger?.markRead(chatId, upTo).catch(() => {}); // a mark that was lost is set by the next one
    }, MARKS_EVERY);
  }

  /** @param {string} chatId @param {any} frame */
  #heardTyping(chatId, { user_id, is_typing }) {
    const typists = this.typists.get(chatId) ?? new Map();
    if (is_typing) {
      typists.set(user_id, Date.now() + TYPING_LASTS);
      setTimeout(() => {
        if ((typists.get(user_id) ?? 0) <= Date.now()) {
          typists.delete(user_id);
          this.changed();
        }
      }, TYPING_LASTS + 50);
    } else typists.delete(user_id);
    this.typists.set(chatId, typists);
  }

  /** @param {string} chatId @param {any} message */
  #heardMessage(chatId, message) {
    this.typists.get(chatId)?.delete(message.sender_id);
    const isOwn = message.sender_id === this.messenger?.model.profileId;
    if (!isOwn) {
      const from = nameOf(message.sender);
      const name = this.messenger?.model.chats.get(chatId)?.chat.name ?? from;
      this.heard = { number: (this.heard?.number ?? 0) + 1, text: this.openChat === chatId ? `${from}: ${message.text}` : say.newIn(name) };
    }
    if (isOwn || this.messenger?.state !== "live" || (this.openChat === chatId && document.visibilityState === "visible")) return;
    if (this.choices.sound) chime();
    if (this.choices.notifications && "Notification" in window && Notification.permission === "granted") {
      const chat = this.messenger.model.chats.get(chatId);
      try {
        const shown = new Notification(chat?.chat.name ?? say.messenger, { body: `${nameOf(message.sender)}: ${message.text}`.slice(0, 200), tag: chatId });
        shown.onclick = () => {
          focus();
          this.open(chatId);
          shown.close();
        };
      } catch {
        // Browsers of phones have the permission, but show notifications of service workers only.
      }
    }
  }

  // People

  /** @param {string} chatId */
  async loadMembers(chatId) {
    try {
      const members = await this.tokens.call("GET", `/chats/${encodeURIComponent(chatId)}/members/`);
      this.members.set(chatId, members.map((/** @type {any} */ each) => ({ profile: wirePerson(each.profile), role: each.role })));
      this.changed();
    } catch {
      // A chat that is not ours any more, or no connection: names are shown without roles.
    }
  }

  /** @param {string} query */
  async find(query) {
    const found = await this.tokens.call("GET", `/profiles/?query=${encodeURIComponent(query)}`);
    return found.map(wirePerson).filter((/** @type {any} */ person) => person.id !== this.messenger?.model.profileId);
  }

  /** @param {string} profileId */
  async talkTo(profileId) {
    const { chat_id } = await /** @type {Messenger} */ (this.messenger).openDirect(profileId);
    this.open(chat_id);
  }
}

/** Two soft tones, made here: there is no file to load. */
function chime() {
  const audio = new AudioContext();
  for (const [at, pitch] of [[0, 660], [0.12, 880]]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.06, audio.currentTime + at);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + at + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.3);
  }
  setTimeout(() => void audio.close(), 1000);
}

export const session = new Session();
