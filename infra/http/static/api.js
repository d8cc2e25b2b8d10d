// Talks to the API: envelopes, access tokens, consistency tokens and tries.

const ROOT = "/api/v1";
const ATTEMPTS_MAX = 4;
const WAIT_MAX_S = 5;
const RETRY_S = 1;
const UNAVAILABLE = 503;
const UNAUTHENTICATED = 401;
const TOKEN = "streamhub.token";

/** What the API said no with; status 0 means that it was not reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Fires "account" when the access token is set, forgotten or refused. */
export const changes = new EventTarget();

// Some privacy settings forbid the storage; then a value lives as long as the page.
const memory = new Map();

export function remember(name, value) {
  memory.set(name, value);
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // The copy in memory is enough.
  }
}

export function remembered(name) {
  try {
    return sessionStorage.getItem(name) ?? memory.get(name) ?? "";
  } catch {
    return memory.get(name) ?? "";
  }
}

export const hasToken = () => remembered(TOKEN) !== "";

export function setToken(token) {
  remember(TOKEN, token.trim().replace(/^bearer\s+/i, ""));
  changes.dispatchEvent(new Event("account"));
}

/** Random text for ids; unlike crypto.randomUUID it works on plain HTTP too. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the data of a query; a token that has died is dropped, and the query asked without. */
export async function read(path) {
  try {
    return await send("GET", path, {});
  } catch (error) {
    if (error.status !== UNAUTHENTICATED || !hasToken()) {
      throw error;
    }
    setToken("");
    return send("GET", path, {});
  }
}

let commands = Promise.resolve();

/** Send a command; later reads show its effect. Commands go one after the other. */
export function command(method, path, body) {
  const headers = { "Idempotency-Key": randomId() };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  const sent = commands.then(() => send(method, path, headers, JSON.stringify(body)));
  commands = sent.catch(() => {});
  return sent;
}

let seen = "";

async function send(method, path, headers, body) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await attemptOnce(method, path, headers, body);
    const mayRetry = response === null || response.status === UNAVAILABLE;
    if (!mayRetry || attempt === ATTEMPTS_MAX) {
      return dataOf(response);
    }
    await pause(Number(response?.headers.get("Retry-After")) || RETRY_S);
  }
}

/** Return the response, or null when there was none. */
async function attemptOnce(method, path, headers, body) {
  const all = { Accept: "application/json", ...headers };
  if (hasToken()) {
    all.Authorization = `Bearer ${remembered(TOKEN)}`;
  }
  if (seen) {
    all["Consistency-Token"] = seen;
  }
  const options = { method, headers: all, body, credentials: "omit", cache: "no-store" };
  try {
    const response = await fetch(ROOT + path, { ...options, keepalive: method !== "GET" });
    if (method !== "GET") {
      seen = response.headers.get("Consistency-Token") ?? seen;
    }
    return response;
  } catch {
    return null;
  }
}

async function dataOf(response) {
  if (response === null) {
    throw new ApiError(0, "UNREACHABLE", "The server cannot be reached");
  }
  const envelope = await response.json().catch(() => null);
  if (!response.ok || !envelope?.success) {
    const { code = "UNKNOWN", message = "The server did not answer as expected" } =
      envelope?.error ?? {};
    throw new ApiError(response.status, code, message);
  }
  return envelope.data;
}

const pause = (seconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(seconds, WAIT_MAX_S) * 1000);
  });
