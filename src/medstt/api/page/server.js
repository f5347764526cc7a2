// Calls of the REST API by cookie. Knows nothing of how anything is shown.
import { t } from "/page/text.js";

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function refusal(answer) {
  if (answer.status === 401) location.reload();
  try {
    return new Refused(answer.status, (await answer.json()).detail);
  } catch {
    return new Refused(answer.status, `${answer.status}`);
  }
}

export async function call(method, path, { body, version } = {}) {
  const headers = { "X-Medstt-Page": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, t("offline"));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.status === 204 ? null : answer.json();
}

// Uploads a recording; repeated with the same key it creates nothing twice.
export function upload(file, name, fields, progress) {
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const attempt = (left) =>
    new Promise((resolve, reject) => {
      const form = new FormData();
      for (const [field, value] of Object.entries(fields)) if (value) form.append(field, value);
      form.append("file", file, name);
      const request = new XMLHttpRequest();
      request.open("POST", "/v1/dictations");
      request.setRequestHeader("X-Medstt-Page", "1");
      request.setRequestHeader("Idempotency-Key", key);
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onload = () => {
        if (request.status < 300) return resolve(JSON.parse(request.responseText));
        let detail = `${request.status}`;
        try {
          detail = JSON.parse(request.responseText).detail;
        } catch { /* not JSON: the status says it */ }
        reject(new Refused(request.status, detail));
      };
      request.onerror = () => (left > 0 ? resolve(attempt(left - 1)) : reject(new Refused(0, t("offline"))));
      request.send(form);
    });
  return attempt(2);
}

export function follow(id, changed) {
  const source = new EventSource(`/v1/dictations/${id}/events`);
  source.addEventListener("status", (event) => {
    const state = JSON.parse(event.data);
    if (state.status === "ready" || state.status === "failed") source.close();
    changed(state);
  });
  source.addEventListener("end", () => source.close());
  return source;
}
