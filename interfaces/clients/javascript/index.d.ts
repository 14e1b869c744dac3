/**
 * A client of the messenger's socket of all chats, `WS /ws`. The states, the changes and the storage are those of
 * docs/clients.md; frames, entries, messages and codes are those of docs/protocol.md.
 */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A frame as it came. Its fields are those of docs/protocol.md. */
export type Frame = { type: string; [field: string]: any };

export type Role = "owner" | "admin" | "member";

export interface Person {
  id: string;
  first_name: string | null;
  last_name: string | null;
  middle_name: string | null;
  username: string | null;
}

export interface Message {
  id: string;
  chat_id: string;
  /** The number in the chat: 1, 2, 3, ... without holes. */
  seq: number;
  position: number;
  text: string;
  sender_id: string;
  sender: Person;
  sent_at: string;
  /** When somebody else first read it, or null. */
  read_at: string | null;
  created_at: string;
  updated_at: string;
  nonce?: string;
}

export interface Entry {
  chat: {
    id: string;
    kind: "group" | "direct";
    name: string;
    description: string | null;
    owner: Person;
    /** The other person of a direct chat. */
    other: Person | null;
    member_count: number;
    created_at: string;
    updated_at: string;
  };
  role: Role;
  last_message: Message | null;
  unread_count: number;
  /** The `seq` up to which the person has read. */
  read_up_to: number;
  /** The `seq` of the last message, 0 in an empty chat. */
  seq: number;
  position: number;
}

/** A chat as the client holds it. A change replaces it, so that states can be compared by identity. */
export interface ChatState extends Entry {
  /** The `seq` up to which anybody else has read. */
  others_read_up_to: number;
  /** The messages that were loaded, by `seq`. */
  messages: ReadonlyMap<number, Message>;
}

export interface Member {
  profile: Person;
  role: Role;
  joined_at: string;
  read_up_to: number;
}

export type State = "stopped" | "refreshing" | "connecting" | "authenticating" | "entering" | "live" | "waiting" | "ended";

/** What to do after a connection has ended: come back, refresh the tokens first, sign in again, or nothing: it is a fault. */
export type Verdict = "return" | "refresh" | "signed_out" | "fault";

/** What an application is told, in order. */
export type Change =
  | { type: "state"; state: State; why: string | null }
  | { type: "snapshot"; chat_ids: string[]; next: string | null }
  | { type: "chat_added"; chat_id: string }
  /** `frame` is null if the answer to a request told it. */
  | { type: "chat_changed"; chat_id: string; frame: Frame | null }
  | { type: "chat_removed"; chat_id: string; reason: "removed" | "left" | "chat_deleted" }
  | { type: "message"; chat_id: string; message: Message }
  | { type: "read"; chat_id: string; frame: Frame | null }
  | { type: "typing"; chat_id: string; frame: Frame }
  | { type: "presence"; chat_id: undefined; frame: Frame }
  | { type: "sent"; chat_id: string; nonce: string; message: Partial<Message>; duplicate: boolean }
  | { type: "refused"; chat_id: string; nonce: string; text: string; code: string }
  /** The state of a message in the outbox has changed. */
  | { type: "outbox"; chat_id: string; nonce: string }
  /** Events after `after` and before `before` were not told; `catchUp` reads them. */
  | { type: "gap"; chat_id: string; after: number; before: number }
  | { type: "reset"; scope: "all" | "chat"; chat_id: string | null; reason: string };

/** Holds texts by name. Of a save all changes are kept or none; null deletes. */
export interface Storage {
  load(): Record<string, string> | Promise<Record<string, string>>;
  save(changes: Record<string, string | null>): void | Promise<void>;
}

export class MemoryStorage implements Storage {
  load(): Record<string, string>;
  save(changes: Record<string, string | null>): void;
}

export class WebStorage implements Storage {
  constructor(area: globalThis.Storage, prefix?: string);
  load(): Record<string, string>;
  save(changes: Record<string, string | null>): void;
}

export class IndexedDbStorage implements Storage {
  constructor(name?: string, factory?: IDBFactory);
  load(): Promise<Record<string, string>>;
  save(changes: Record<string, string | null>): Promise<void>;
}

export interface AccessToken {
  token: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export interface TokensOptions {
  /** Where the HTTP interface is, with its prefix. */
  url: string;
  /** The name of this device, the same at sign-in and at each refresh. */
  fingerprint: string;
  /** A refresh token that was kept, outside a browser. */
  refreshToken?: string | null;
  fetch?: typeof globalThis.fetch;
  locks?: LockManager | null;
  channel?: BroadcastChannel | null;
}

export class ApiError extends Error {
  constructor(code: string, message: string, status: number, error?: object);
  code: string;
  /** 0 without an answer. */
  status: number;
  fields: { field: (string | number)[]; code: string; message: string }[];
  /** Seconds. */
  retryAfter: number | null;
  /** With the code SECOND_FACTOR_NEEDED: for `Tokens.finishSignIn`. */
  pendingToken: string | null;
}

export class Tokens {
  constructor(options: TokensOptions);
  get refreshToken(): string | null;
  on(listener: (what: "signed_in" | "signed_out") => void): () => void;
  /** Throws an `ApiError` with the code SECOND_FACTOR_NEEDED if the account has a second factor. */
  signIn(email: string, password: string): Promise<AccessToken>;
  finishSignIn(pendingToken: string, code: string): Promise<AccessToken>;
  /** Finishes a sign-in through a provider or with a passkey, at one of the paths of docs/protocol.md. */
  finish(path: string, body?: Json): Promise<AccessToken>;
  signOut(): Promise<void>;
  forget(): void;
  access(refused?: string | null): Promise<AccessToken>;
  refresh(used?: string | null): Promise<AccessToken>;
  call(
    method: string,
    path: string,
    body?: Json,
    options?: { key?: string; anonymous?: boolean; bare?: boolean },
  ): Promise<any>;
  close(): void;
}

export interface CoreOptions {
  /** The bound of the pause after the first failure: milliseconds. */
  shortestPause: number;
  longestPause: number;
  /** After how many milliseconds without what was expected a connection counts as dead. */
  patience: number;
  /** Milliseconds of silence before a ping, unless the server names fewer. */
  heartbeat: number;
  /** Whether messages that a gap hides are read and told, as a bot needs; otherwise `history` reads them when they are wanted. */
  catchUp: boolean;
  /** Whether the storage keeps chats and cursor, so that a restart resumes where the last run was. */
  remember: boolean;
  mostSends: number;
  /** Whose tokens they must be, so that nobody sends what another person wrote. */
  profileId: string | null;
  random: () => number;
}

export interface Outgoing {
  number: number;
  nonce: string;
  chat_id: string;
  text: string;
  /** `stored` messages are held until they come from the server. */
  state: "waiting" | "sending" | "stored" | "refused";
  error: string | null;
  seq: number | null;
  not_before: number;
}

export class Outbox {
  all(): Outgoing[];
  of(chatId: string): Outgoing[];
  get(nonce: string): Outgoing | undefined;
}

/** `hole`: frames before this one are missing. `ignored`: the page of its chat was not read. */
export type Applied = "applied" | "known" | "ignored" | "hole";

export class Model {
  chats: Map<string, ChatState>;
  profileId: string | null;
  epoch: string | null;
  next: string | null | undefined;
  get unread(): number;
  /** Newest activity first. */
  list(): ChatState[];
  apply(frame: Frame): Applied;
  addHistory(chatId: string, messages: Message[]): void;
  keepOnly(chatId: string, from: number, to: number): void;
}

export type Wish =
  | { do: "connect" }
  | { do: "send"; frame: Frame }
  | { do: "close" }
  | { do: "refresh" }
  | { do: "save"; changes: Record<string, string | null> }
  | { do: "answer"; id: string; frame: Frame }
  | { do: "fail"; id: string; code: string; message: string; frame: Frame | null }
  | { do: "tell"; change: Change };

/** The state machine without input or output. Each method returns what it wishes to be done; times are milliseconds. */
export class Core {
  constructor(options?: Partial<CoreOptions>);
  readonly model: Model;
  readonly outbox: Outbox;
  readonly state: State;
  readonly why: string | null;
  readonly limits: { text: number; frame: number };
  get wakeAt(): number | null;
  restore(texts: Record<string, string>): void;
  start(now: number): Wish[];
  stop(now: number): Wish[];
  check(now: number): Wish[];
  send(message: { chat_id: string; text: string; nonce: string }, now: number): Wish[];
  retry(nonce: string, now: number): Wish[];
  discard(nonce: string, now: number): Wish[];
  request(type: string, fields: Record<string, any>, now: number): { id: string; wishes: Wish[] };
  signal(type: string, fields: Record<string, any>): Wish[];
  refreshed(token: string, expiresIn: number, now: number): Wish[];
  notRefreshed(isRefused: boolean, now: number): Wish[];
  opened(now: number): Wish[];
  received(text: string, now: number): Wish[];
  closed(code: number, reason: string, now: number): Wish[];
  tick(now: number): Wish[];
}

export interface MessengerOptions extends Partial<CoreOptions> {
  /** Where the HTTP interface is, with its prefix. */
  url: string;
  tokens: Pick<Tokens, "access">;
  storage?: Storage;
  WebSocket?: typeof globalThis.WebSocket;
}

export class RequestError extends Error {
  constructor(code: string, message: string, frame: Frame | null);
  /** A code of docs/protocol.md, or `outcome_unknown` if the connection broke before the answer. */
  code: string;
  frame: Frame | null;
}

export class Messenger {
  constructor(options: MessengerOptions);
  get model(): Model;
  get outbox(): Outbox;
  get state(): State;
  /** Why it does not come back by itself. */
  get why(): string | null;
  get limits(): { text: number; frame: number };
  start(): Promise<void>;
  stop(): void;
  check(): void;
  on<T extends Change["type"]>(type: T, listener: (change: Extract<Change, { type: T }>) => void): () => void;
  on(type: "*", listener: (change: Change) => void): () => void;
  send(chatId: string, text: string, nonce?: string): string;
  retry(nonce: string): void;
  discard(nonce: string): void;
  request(type: string, fields?: Record<string, any>): Promise<Frame>;
  markRead(chatId: string, upTo: number | string): Promise<Frame>;
  markSingleRead(chatId: string, messageId: string): Promise<Frame>;
  typing(chatId: string, isTyping: boolean): void;
  history(
    chatId: string,
    page?: { before?: number; after?: number; around?: number; limit?: number },
  ): Promise<Frame>;
  readers(chatId: string, messageId: string): Promise<{ profile: Person; read_at: string }[]>;
  catchUp(chatId: string, range: { after: number; before?: number; limit?: number }): Promise<Frame>;
  createChat(
    about: { name: string; description?: string | null; members?: string[] },
    key?: string,
  ): Promise<Frame>;
  openDirect(profileId: string, key?: string): Promise<Frame>;
  changeChat(
    chatId: string,
    change: { name?: string; description?: string | null; members?: string[] },
  ): Promise<Frame>;
  addMembers(chatId: string, profileIds: string[], key?: string): Promise<Member[]>;
  changeRole(chatId: string, profileId: string, role: Role): Promise<Member[]>;
  removeMember(chatId: string, profileId: string): Promise<Frame>;
  deleteChat(chatId: string): Promise<Frame>;
  watchPresence(profileIds: string[]): Promise<Frame>;
}

/** Tells what to do after a close; `refusal` is the code of the `auth_error` before it. */
export function verdict(code: number, refusal?: string | null): Verdict;
