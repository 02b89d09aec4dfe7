/** The server's doors, as functions. */

const TOKEN = "e2v.token";

/** An answer of the server that is no result, or no answer at all. */
export class Problem extends Error {
  /**
   * @param {number} status HTTP status, 0 where the server was not reached.
   * @param {string} title the kind of problem.
   * @param {string} detail a sentence for the user.
   * @param {number|null} retryAfter seconds after which another try makes sense.
   */
  constructor(status, title, detail, retryAfter = null) {
    super(detail || title);
    Object.assign(this, { status, title, detail, retryAfter });
  }

  /** True if the same request may be answered later: the recording itself is not refused. */
  get passing() {
    return [0, 401, 408, 410, 429, 500, 502, 503, 504, 507].includes(this.status);
  }
}

/** The token that the user typed, in this tab alone. */
export const token = () => sessionStorage.getItem(TOKEN) ?? "";
export const setToken = (text) => sessionStorage.setItem(TOKEN, text.trim());

/**
 * Ask the server; XMLHttpRequest, because fetch does not tell how much of an upload was sent.
 * @param {string} method
 * @param {string} path path below the origin.
 * @param {{query?: object, body?: any, type?: "text"|"blob", sent?: (share: number) => void, signal?: AbortSignal}} options
 * @returns {Promise<{status: number, body: any, location: string|null}>}
 * @throws {Problem}
 */
function ask(method, path, { query = {}, body = null, type = "text", sent = null, signal = null } = {}) {
  const url = new URL(path, location.origin);
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(key, value);
  }
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = type;
    if (token()) request.setRequestHeader("Authorization", `Bearer ${token()}`);
    if (sent) request.upload.addEventListener("progress", (event) => sent(event.loaded / event.total));
    request.addEventListener("load", async () => {
      if (request.status < 300) {
        resolve({ status: request.status, body: request.response, location: request.getResponseHeader("Location") });
      } else {
        const text = type === "blob" ? await request.response.text() : request.response;
        reject(problemOf(request, text));
      }
    });
    request.addEventListener("error", () => reject(new Problem(0, "unreachable", "")));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

function problemOf(request, text) {
  const wait = Number.parseFloat(request.getResponseHeader("Retry-After") ?? "");
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    // A proxy's page: its status says enough.
  }
  const detail = typeof said.detail === "string" ? said.detail : "";
  return new Problem(request.status, said.title ?? request.statusText, detail, Number.isFinite(wait) ? wait : null);
}

const form = (file, name) => {
  const data = new FormData();
  data.append("file", file, name);
  return data;
};

/** The model, its labels, and what the server was started with. */
export async function models() {
  return JSON.parse((await ask("GET", "/v1/models")).body);
}

/** The document of a recording. */
export async function recognize(file, name, query, { sent, signal } = {}) {
  const answer = await ask("POST", "/v1/audio/emotions", { query, body: form(file, name), sent, signal });
  return JSON.parse(answer.body);
}

/** The report of a recording in another format, as a blob. */
export async function report(file, name, query) {
  return (await ask("POST", "/v1/audio/emotions", { query, body: form(file, name), type: "blob" })).body;
}

/** The embeddings nearest to one of them, and a map of all. */
export async function compare(embeddings, reference, top) {
  const body = new Blob([JSON.stringify({ embeddings, reference, top })], { type: "application/json" });
  return JSON.parse((await ask("POST", "/v1/embeddings/compare", { body })).body);
}

/** What in the store sounds like a recording. */
export async function searchStore(file, name, top) {
  return JSON.parse((await ask("POST", "/v1/store/search", { query: { top }, body: form(file, name) })).body);
}

/** The points of the store's map. */
export async function storeMap() {
  return JSON.parse((await ask("GET", "/v1/store/map")).body);
}

/** Keep the true emotion of a recording. */
export async function correct(file, name, label) {
  const data = form(file, name);
  data.append("label", label);
  await ask("POST", "/v1/feedback", { body: data });
}

const POLL_MS = [200, 400, 700, 1000];

/**
 * The document of a long recording, by a job.
 * @param {(done: number, of: number) => void} progress seconds of the recording.
 */
export async function recognizeLong(file, name, query, { sent, signal, progress }) {
  const made = await ask("POST", "/v1/jobs", { query, body: form(file, name), sent, signal });
  const path = made.location ?? `/v1/jobs/${JSON.parse(made.body).id}`;
  try {
    for (let turn = 0; ; turn++) {
      const job = JSON.parse((await ask("GET", path, { signal })).body);
      if (job.state === "done") return job.result;
      if (job.state === "failed" || job.state === "cancelled") throw jobProblem(job);
      progress(job.progress.done, job.progress.total ?? 0);
      await pause(POLL_MS[Math.min(turn, POLL_MS.length - 1)], signal);
    }
  } finally {
    ask("DELETE", path).catch(() => {}); // it forgets the job by itself later
  }
}

const jobProblem = ({ error }) => new Problem(error?.status ?? 410, error?.title ?? "", error?.detail ?? "");

/** Wait, unless the work is given up. */
export function pause(milliseconds, signal = null) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("", "AbortError"));
    });
  });
}

/** A WebSocket of live audio. */
export function openStream() {
  const url = new URL("/v1/audio/emotions/stream", location.origin);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = token() ? new WebSocket(url, ["e2v", `bearer.${token()}`]) : new WebSocket(url);
  socket.binaryType = "arraybuffer";
  return socket;
}
