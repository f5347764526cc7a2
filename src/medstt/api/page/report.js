// One dictation: progress, document with doubts marked, audio from any word, edit, sign, copy, download.
import { Refused, call, follow } from "/page/server.js";
import { t, when } from "/page/text.js";

const FORMATS = ["docx", "txt", "json", "srt", "vtt", "fhir-documentreference", "fhir-diagnosticreport"];
const DOUBT = 0.5;

export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export class Report {
  constructor(root, me, changed) {
    this.root = root;
    this.me = me;
    this.changed = changed;
    this.unsaved = () => this.editor && this.editor.value !== this.text?.text;
    addEventListener("beforeunload", (event) => this.unsaved() && event.preventDefault());
  }

  may(permission) {
    return this.me.permissions.includes(permission);
  }

  async open(id) {
    if (this.unsaved() && !confirm(t("unsaved"))) return;
    this.source?.close();
    this.editor = null;
    this.id = id;
    await this.load();
  }

  async load() {
    const id = this.id;
    try {
      const dictation = await call("GET", `/v1/dictations/${id}`);
      const text = dictation.status === "ready" ? await call("GET", `/v1/dictations/${id}/document`) : null;
      if (id !== this.id) return;
      this.dictation = dictation;
      this.text = text;
      this.show();
    } catch (error) {
      this.root.replaceChildren(make("p", { className: "error", role: "alert" }, error.message));
    }
  }

  show(message = "") {
    const one = this.dictation;
    if (!one) return;
    const title = make("h2", {}, one.patient ?? one.file_name ?? t("untitled"));
    const about = make("p", {}, `${one.author} · ${when(one.created_ms)}`);
    this.status = make("p", { role: "status" }, message);
    this.root.replaceChildren(title, about);
    if (one.status === "ready") this.showReady();
    else if (one.status === "failed") this.showFailed();
    else this.showProgress();
    this.root.append(this.status);
  }

  showProgress() {
    const one = this.dictation;
    const bar = make("progress", { max: 1 });
    const label = make("p", { role: "status" }, t(`state.${one.status}`));
    this.root.append(label, bar);
    const id = this.id;
    this.source = follow(id, (state) => {
      if (id !== this.id) return;
      label.textContent = `${t(`state.${state.status}`)}${state.reason ? ` · ${state.reason}` : ""}`;
      if (state.duration_ms) bar.value = state.progress_ms / state.duration_ms;
      if (state.status === "ready" || state.status === "failed") {
        this.load();
        this.changed();
      }
    });
  }

  showFailed() {
    this.root.append(make("p", { className: "error", role: "alert" }, t("failure", this.dictation.failure?.message ?? "")));
    if (this.may("dictations.create"))
      this.root.append(make("button", { type: "button", onclick: () => this.act("retry") }, t("retry")));
  }

  showReady() {
    const one = this.dictation;
    this.audio = make("audio", { controls: true, preload: "metadata", src: `/v1/dictations/${one.id}/audio` });
    this.audio.addEventListener("timeupdate", () => this.mark());
    this.root.append(this.tools(), this.audio);
    if (one.report_state !== "preliminary")
      this.root.append(make("p", {}, make("span", { className: `badge ${one.report_state}` }, t(`state.${one.report_state}`)), " ",
        t("signed.by", one.signed_by, when(one.signed_ms))));
    const flags = this.text.flags.filter((flag) => flag.severity !== "info");
    if (flags.length && one.report_state === "preliminary") this.root.append(this.flags(flags));
    for (const warning of this.text.warnings) this.root.append(make("p", { className: "error" }, warning));
    this.body = make("div", { className: "text", id: "text", role: "group", "aria-label": t("words.help") });
    if (this.text.text) this.fill(flags);
    else this.body.append(t("nothing.said"));
    this.root.append(this.body, make("p", {}, make("small", {}, t("words.help"))));
  }

  tools() {
    const one = this.dictation;
    const open = one.report_state === "preliminary";
    const button = (key, action, primary = false) => make("button", { type: "button", id: key, className: primary ? "primary" : "", onclick: action }, t(key));
    const row = make("div", { className: "row tools" });
    if (open && this.may("dictations.correct")) row.append(button("edit", () => this.edit()));
    if (open && this.may("dictations.sign")) row.append(button("sign", () => this.act("sign"), true));
    if (!open && this.may("dictations.reopen")) row.append(button("reopen", () => this.reopen()));
    row.append(button("copy", () => this.copy()));
    if (this.may("dictations.export")) {
      const choice = make("select", { id: "download", "aria-label": t("download") }, make("option", { value: "" }, t("download")),
        ...FORMATS.map((format) => make("option", { value: format }, format)));
      choice.addEventListener("change", () => {
        if (!choice.value) return;
        make("a", { href: `/v1/dictations/${one.id}/export?format=${choice.value}`, download: "" }).click();
        choice.value = "";
      });
      row.append(choice);
    }
    return row;
  }

  flags(flags) {
    const items = flags.map((flag) =>
      make("li", {}, make("button", { type: "button", className: flag.severity, onclick: () => this.jump(flag) },
        `${this.text.text.slice(flag.start, flag.end) || "…"}: ${flag.message}`)));
    return make("div", {}, make("h3", {}, t("flags.title")), make("ul", { className: "flags" }, ...items));
  }

  // Words come from spans that lead to what was heard; text that a person changed has no sound of its own.
  fill(flags) {
    const { text, spans, words } = this.text;
    let position = 0;
    this.places = [];
    const flagged = (start, end) => flags.filter((flag) => flag.start < end && flag.end > start);
    const piece = (start, end, span) => {
      if (start >= end) return;
      const found = flagged(start, end);
      const heard = span ? span.words.map((index) => words[index]).filter(Boolean) : [];
      if (!found.length && !heard.length) return this.body.append(text.slice(start, end));
      const element = make("span", {}, text.slice(start, end));
      if (found.length) {
        element.classList.add("flag", ...(found.some((flag) => flag.severity === "critical") ? ["critical"] : []));
        element.title = found.map((flag) => flag.message).join(" ");
      }
      if (heard.length) {
        const low = Math.min(...heard.map((word) => word.confidence));
        element.classList.add("word");
        if (low < DOUBT) {
          element.classList.add("doubt");
          element.title = [element.title, t("word.doubt", Math.round(low * 100))].filter(Boolean).join(" ");
        }
        element.tabIndex = this.places.length ? -1 : 0;
        const place = { element, start, end, startMs: heard[0].start_ms, endMs: heard.at(-1).end_ms };
        this.places.push(place);
        element.addEventListener("click", () => this.play(place));
        element.addEventListener("keydown", (event) => this.key(event, place));
      }
      this.body.append(element);
    };
    for (const span of [...spans].sort((a, b) => a.start - b.start)) {
      if (span.start < position) continue;
      piece(position, span.start, null);
      piece(span.start, span.end, span);
      position = span.end;
    }
    piece(position, text.length, null);
  }

  key(event, place) {
    const index = this.places.indexOf(place);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = event.key === "Home" ? this.places[0] : event.key === "End" ? this.places.at(-1) : step ? this.places[index + step] : null;
    if (event.key === "Enter" || event.key === " ") this.play(place);
    else if (target) this.focus(target);
    else return;
    event.preventDefault();
  }

  focus(place) {
    for (const one of this.places) one.element.tabIndex = -1;
    place.element.tabIndex = 0;
    place.element.focus();
  }

  jump(flag) {
    const place = this.places?.find((one) => one.end > flag.start);
    if (place) {
      this.focus(place);
      this.play(place);
    }
  }

  play(place) {
    this.audio.currentTime = place.startMs / 1000;
    this.audio.play().catch((error) => (this.status.textContent = error.message));
  }

  mark() {
    const now = this.audio.currentTime * 1000;
    for (const place of this.places ?? []) place.element.classList.toggle("now", now >= place.startMs && now < place.endMs && !this.audio.paused);
  }

  edit() {
    this.editor = make("textarea", { className: "edit", id: "editor", value: this.text.text, "aria-label": t("edit") });
    const save = make("button", { type: "button", id: "save", className: "primary", onclick: () => this.save() }, t("save"));
    const cancel = make("button", { type: "button", onclick: () => this.cancel() }, t("cancel"));
    this.editor.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
      if (event.key === "Escape") this.cancel();
    });
    this.root.querySelector(".tools").replaceChildren(save, cancel);
    this.body.replaceWith(this.editor);
    this.editor.focus();
  }

  cancel() {
    if (this.unsaved() && !confirm(t("unsaved"))) return;
    this.editor = null;
    this.show();
  }

  async save() {
    const text = this.editor.value;
    try {
      await call("POST", `/v1/dictations/${this.id}/corrections`, { body: { text }, version: this.text.version });
      this.editor = null;
      await this.load();
      this.status.textContent = t("saved");
    } catch (error) {
      this.status.textContent = error.message;
      if (error instanceof Refused && error.status === 412) {
        this.text = await call("GET", `/v1/dictations/${this.id}/document`);
        this.status.textContent = t("changed");
      }
      this.root.append(this.status);
    }
  }

  async act(what, body) {
    try {
      await call("POST", `/v1/dictations/${this.id}/${what}`, { body, version: this.dictation.version });
      await this.load();
      this.changed();
    } catch (error) {
      await this.load();
      this.status.textContent = error.message;
    }
  }

  reopen() {
    const dialog = document.getElementById("ask");
    document.getElementById("ask-label").textContent = t("reopen.why");
    const reason = document.getElementById("reason");
    reason.value = "";
    dialog.onclose = () => dialog.returnValue === "ok" && this.act("reopen", { reason: reason.value });
    dialog.returnValue = "";
    dialog.showModal();
  }

  async copy() {
    await navigator.clipboard.writeText(this.text.text);
    this.status.textContent = t("copied");
  }
}
