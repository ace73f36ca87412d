// The API; an error carries the server's own words.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError("The server does not answer; it may have been stopped. Nothing stored is lost.", 0);
  }
  if (answer.status === 401) {
    location.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    throw new ApiError("The session has ended.", 401);
  }
  if (!answer.ok) {
    let message = `The server answers ${answer.status}.`;
    try {
      message = (await answer.json()).error || message;
    } catch { /* no words came */ }
    throw new ApiError(message, answer.status);
  }
  return answer;
}

export const get = async (path, options = {}) => (await asked(path, options)).json();
export const raw = (path, options = {}) => asked(path, options);
export const send = async (path, body, method = "POST") =>
  (await asked(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
export const drop = async (path) => (await asked(path, { method: "DELETE" })).json();

export const studyPath = (key) => key.split("/").map(encodeURIComponent).join("/");
export const ofStudy = (key, rest = "") => `/api/studies/${studyPath(key)}${rest}`;
export const pageOf = (key) => `/study/${studyPath(key)}`;

export async function watch(job, told) {
  // Follow a job until it has ended; the job as it then is.
  for (;;) {
    const now = await get(`/api/jobs/${job}`);
    told(now);
    if (["done", "failed", "stopped"].includes(now.state)) return now;
    await new Promise((go) => setTimeout(go, 700));
  }
}
