// The page: record, upload, worklist. The report itself is in report.js.
import { Recorder } from "/page/recorder.js";
import { Report, make } from "/page/report.js";
import { call, upload } from "/page/server.js";
import { onLanguage, t, translate, when } from "/page/text.js";

const at = (id) => document.getElementById(id);
const REFRESH_MS = 10000;
let recorder = null;
let cursor = null;
let items = [];
let chosen = null;

translate();
const me = await call("GET", "/v1/me");
at("person").textContent = `${me.person} · ${me.tenant}`;
at("new").hidden = !me.permissions.includes("dictations.create");
const report = new Report(at("report"), me, () => refresh());

onLanguage(() => {
  showList();
  report.show();
  showRecorder();
});
at("signout").addEventListener("click", async () => {
  await call("DELETE", "/v1/session");
  location.reload();
});

// worklist

function query(from) {
  const show = at("show").value;
  const parameters = new URLSearchParams({ limit: "30" });
  if (show === "failed") parameters.set("status", "failed");
  else if (show) parameters.set("report_state", show);
  if (from) parameters.set("cursor", from);
  return `/v1/dictations?${parameters}`;
}

async function refresh() {
  try {
    const page = await call("GET", query());
    items = page.items;
    cursor = page.cursor;
    showList();
  } catch (error) {
    at("upload-state").textContent = error.message;
  }
}

function state(one) {
  return one.status === "ready" && one.report_state !== "preliminary" ? one.report_state : one.status;
}

function showList() {
  const focused = document.activeElement?.closest?.("#list button")?.dataset.id;
  at("list").replaceChildren(...items.map((one) => {
    const badge = make("span", { className: `badge ${state(one)}` }, t(`state.${state(one)}`));
    const urgent = one.priority === "routine" ? "" : ` · ${t(`priority.${one.priority}`)}`;
    const button = make("button", { type: "button", "data-id": one.id, onclick: () => choose(one.id) },
      make("span", {}, one.patient ?? one.file_name ?? t("untitled")), badge, make("small", {}, `${one.author} · ${when(one.created_ms)}${urgent}`));
    button.setAttribute("aria-current", one.id === chosen);
    return make("li", {}, button);
  }));
  if (!items.length) at("list").append(make("li", { className: "empty" }, t("list.empty")));
  at("more").hidden = cursor === null;
  if (focused) at("list").querySelector(`[data-id="${focused}"]`)?.focus();
}

async function choose(id) {
  chosen = id;
  showList();
  await report.open(id);
  await refresh();
  if (matchMedia("(max-width: 52rem)").matches) at("report").scrollIntoView();
}

at("show").addEventListener("change", refresh);
at("more").addEventListener("click", async () => {
  const page = await call("GET", query(cursor));
  items.push(...page.items);
  cursor = page.cursor;
  showList();
});
setInterval(() => document.visibilityState === "visible" && items.length <= 30 && refresh(), REFRESH_MS);

// uploads

async function send(file, name) {
  const fields = {
    language: at("option-language").value, priority: at("option-priority").value, patient: at("option-patient").value.trim(),
    template: at("option-template").value.trim(), consent: at("option-consent").checked ? "true" : "",
  };
  at("upload-state").textContent = t("upload.sending", name);
  try {
    const made = await upload(file, name, fields, (share) => {
      at("upload-state").textContent = `${t("upload.sending", name)} ${Math.round(share * 100)} %`;
    });
    at("upload-state").textContent = t("upload.sent", name);
    await refresh();
    await choose(made.id);
  } catch (error) {
    at("upload-state").textContent = t("upload.failed", name, error.message);
    if (recorder === null && file instanceof Blob && !(file instanceof File)) offerRescue(file, name);
  }
}

// A recording that could not be sent must not be lost: it can be saved and sent again.
function offerRescue(blob, name) {
  const link = make("a", { className: "button", href: URL.createObjectURL(blob), download: name }, t("save"));
  const again = make("button", { type: "button", onclick: () => send(blob, name) }, t("retry"));
  at("upload-state").append(" ", link, again);
}

async function sendAll(files) {
  for (const file of files) await send(file, file.name);
}

async function sendChosen() {
  const files = [...at("file").files];
  at("file").value = "";
  await sendAll(files);
}

at("file").addEventListener("change", sendChosen);
const drop = at("drop");
for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  sendAll([...event.dataTransfer.files]);
});

// microphone

function showRecorder() {
  at("record-label").textContent = t(recorder ? "record.stop" : "record.start");
  at("record").classList.toggle("recording", recorder !== null);
  at("pause").hidden = at("level").hidden = recorder === null;
  at("pause").textContent = t(recorder?.paused ? "record.resume" : "record.pause");
  const seconds = recorder ? Math.floor(recorder.elapsedMs / 1000) : 0;
  at("clock").textContent = recorder ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : "";
}

at("record").addEventListener("click", async () => {
  at("record").disabled = true;
  try {
    if (recorder) {
      const made = await recorder.stop();
      recorder = null;
      showRecorder();
      const kind = made.type.includes("mp4") ? "m4a" : made.type.includes("ogg") ? "ogg" : "webm";
      await send(made, `${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.${kind}`);
    } else {
      const fresh = new Recorder();
      await fresh.start((level) => (at("level").value = level));
      recorder = fresh;
    }
  } catch (error) {
    recorder = null;
    at("upload-state").textContent = t("record.refused", error.message);
  } finally {
    at("record").disabled = false;
    showRecorder();
  }
});
at("pause").addEventListener("click", () => {
  recorder.toggle();
  showRecorder();
});
setInterval(() => recorder && showRecorder(), 250);
addEventListener("beforeunload", (event) => recorder && event.preventDefault());

await refresh();
await sendChosen(); // what was chosen before this script was ready
