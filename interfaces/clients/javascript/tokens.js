/**
 * The tokens of a session over HTTP: signing in, refreshing and signing out.
 *
 * The access token lives in memory only. In a browser the refresh token is a cookie that scripts cannot read; elsewhere it is
 * kept here. There is one refresh at a time, in all tabs of a browser together where it has Web Locks, and a tab that waited
 * takes the token that another one got, which it hears of by `BroadcastChannel`.
 *
 * @module
 */

/** @typedef {import("./index.d.ts").TokensOptions} TokensOptions */
/** @typedef {import("./index.d.ts").AccessToken} AccessToken */
/** @typedef {import("./index.d.ts").Json} Json */

/** Milliseconds after which a request counts as unanswered. */
const PATIENCE = 20_000;

/** A token of another tab is taken if it lasts at least so long: milliseconds. */
const LASTS = 30_000;

const now = () => performance.timeOrigin + performance.now();

/** The server refused a request. `code` is one of docs/protocol.md; `status` 0 stands for no answer. */
export class ApiError extends Error {
  /** @param {string} code @param {string} message @param {number} status @param {any} [error] */
  constructor(code, message, status, error = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    /** Each invalid field of a 422. @type {{field: (string | number)[], code: string, message: string}[]} */
    this.fields = error.fields ?? [];
    /** Seconds to wait before a repeat, or null. @type {number | null} */
    this.retryAfter = error.retryAfter ?? null;
    /** With the code SECOND_FACTOR_NEEDED: goes to `Tokens.finishSignIn` with a code. @type {string | null} */
    this.pendingToken = error.pendingToken ?? null;
  }
}

export class Tokens {
  /** @type {AccessToken | null} */
  #current = null;
  /** @type {Promise<AccessToken> | null} */
  #refreshing = null;
  /** @type {string | null} the refresh token, outside browsers */
  #refresh = null;
  /** @type {Set<(what: "signed_in" | "signed_out") => void>} */
  #listeners = new Set();
  #url;
  #fingerprint;
  #fetch;
  #locks;
  /** @type {BroadcastChannel | null} */
  #channel;

  /** @param {TokensOptions} options */
  constructor({ url, fingerprint, refreshToken = null, fetch = globalThis.fetch.bind(globalThis), locks = globalThis.navigator?.locks ?? null, channel }) {
    this.#url = url.replace(/\/$/, "");
    this.#fingerprint = fingerprint;
    this.#refresh = refreshToken;
    this.#fetch = fetch;
    this.#locks = locks;
    const isBrowser = typeof document !== "undefined" && typeof BroadcastChannel !== "undefined";
    this.#channel = channel !== undefined ? channel : isBrowser ? new BroadcastChannel(`messenger tokens of ${this.#url}`) : null;
    if (this.#channel !== null) this.#channel.onmessage = ({ data }) => this.#heard(data);
  }

  /** The refresh token to keep where it survives a restart. Null in a browser, where it is a cookie. */
  get refreshToken() {
    return this.#refresh;
  }

  /** @param {(what: "signed_in" | "signed_out") => void} listener called when another tab signs in or out @returns {() => void} */
  on(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param {string} email @param {string} password @throws {ApiError} SECOND_FACTOR_NEEDED with `pendingToken` */
  async signIn(email, password) {
    return this.#signedIn(await this.#ask("/accounts/sign-in/", { email, password, fingerprint: this.#fingerprint }));
  }

  /**
   * Finishes a sign-in to an account with a second factor.
   *
   * @param {string} pendingToken of the error that `signIn` has thrown
   * @param {string} code of the application, or a recovery code
   * @throws {ApiError} CODE_WRONG, or status 401 if it took longer than five minutes
   */
  async finishSignIn(pendingToken, code) {
    return this.#signedIn(await this.#ask("/accounts/sign-in/second/", { pendingToken, code }));
  }

  /**
   * Finishes a sign-in of another kind than a password: through a provider, or with a passkey.
   *
   * @param {string} path @param {Json} [body]
   * @throws {ApiError}
   */
  async finish(path, body) {
    return this.#signedIn(await this.#request("POST", path, body, null, undefined));
  }

  async signOut() {
    await this.call("POST", "/accounts/sign-out/", undefined, { bare: true });
    this.#current = null;
    this.#refresh = null;
    this.#say({ what: "signed_out" });
  }

  /** Forgets the access token, because the session has ended. */
  forget() {
    this.#current = null;
  }

  /** The access token, refreshed if there is none. @param {string | null} refused a token that is no longer good */
  async access(refused = null) {
    const current = this.#current;
    if (current !== null && current.token !== refused && current.expiresAt > now() + LASTS) return current;
    return await this.refresh(refused ?? current?.token ?? null);
  }

  /**
   * Gets a new access token, or one that another tab has got meanwhile.
   *
   * @param {string | null} used the token that is to be replaced
   * @returns {Promise<AccessToken>}
   * @throws {ApiError} with status 401 if the session has ended
   */
  refresh(used = this.#current?.token ?? null) {
    this.#refreshing ??= this.#alone(async () => {
      const current = this.#current;
      if (current !== null && current.token !== used && current.expiresAt > now() + LASTS) return current;
      this.#take(await this.#ask("/accounts/token/refresh/", { fingerprint: this.#fingerprint }));
      this.#say({ what: "refreshed", token: this.#current });
      return /** @type {AccessToken} */ (/** @type {unknown} */ (this.#current));
    }).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /**
   * Makes a request of the HTTP interface as the person who is signed in, once more after a refresh if the token has expired.
   *
   * @param {string} method
   * @param {string} path
   * @param {Json} [body]
   * @param {{key?: string, anonymous?: boolean, bare?: boolean}} [options] `key` is an idempotency key; `bare` sends what token there is
   * @returns {Promise<any>} `data` of the answer
   * @throws {ApiError}
   */
  async call(method, path, body, { key, anonymous = false, bare = false } = {}) {
    let token = anonymous ? null : bare ? (this.#current?.token ?? null) : (await this.access()).token;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#request(method, path, body, token, key);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401 || token === null || bare || attempt > 1) throw error;
        token = (await this.refresh(token)).token;
      }
    }
  }

  /** @param {string} path @param {Json} body @returns {Promise<{accessToken: string, expiresIn: number}>} */
  #ask(path, body) {
    return this.#request("POST", path, body, null, undefined);
  }

  /** @param {string} method @param {string} path @param {Json | undefined} body @param {string | null} token @param {string | undefined} key */
  async #request(method, path, body, token, key) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (key !== undefined) headers["Idempotency-Key"] = key;
    if (this.#refresh !== null) headers.Cookie = `refresh_token=${this.#refresh}`;
    let response, answer;
    try {
      response = await this.#fetch(this.#url + path, {
        method,
        headers,
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      this.#keepCookie(response);
      answer = await response.json();
    } catch (error) {
      throw new ApiError("UNREACHABLE", error instanceof Error ? error.message : String(error), response?.status ?? 0);
    }
    if (response.ok) return answer.data;
    const retryAfter = response.headers.get("Retry-After");
    const { code = "SYSTEM_ERROR", message = response.statusText, ...more } = answer.error ?? {};
    throw new ApiError(code, message, response.status, { ...more, retryAfter: retryAfter === null ? null : Number(retryAfter) });
  }

  /** Outside a browser, where cookies can be read. @param {Response} response */
  #keepCookie(response) {
    if (typeof document !== "undefined") return;
    for (const cookie of response.headers.getSetCookie?.() ?? []) {
      const found = /^refresh_token=([^;]*)/.exec(cookie);
      if (found?.[1] !== undefined) this.#refresh = found[1] === '""' || found[1] === "" ? null : found[1];
    }
  }

  /** @param {{accessToken: string, expiresIn: number}} token */
  #signedIn(token) {
    this.#take(token);
    this.#say({ what: "signed_in", token: this.#current });
    return /** @type {AccessToken} */ (this.#current);
  }

  /** @param {{accessToken: string, expiresIn: number}} token */
  #take({ accessToken, expiresIn }) {
    this.#current = { token: accessToken, expiresAt: now() + expiresIn * 1000 };
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async #alone(work) {
    if (this.#locks === null) return await work();
    return await this.#locks.request(`messenger refresh of ${this.#url}`, work);
  }

  /** @param {{what: "signed_in" | "signed_out" | "refreshed", token?: AccessToken | null}} news */
  #say(news) {
    this.#channel?.postMessage(news);
  }

  /** @param {{what: "signed_in" | "signed_out" | "refreshed", token?: AccessToken | null}} news */
  #heard({ what, token }) {
    this.#current = token ?? null;
    if (what !== "refreshed") for (const listener of this.#listeners) listener(what);
  }

  /** Lets go of the channel to other tabs. */
  close() {
    this.#channel?.close();
  }
}
