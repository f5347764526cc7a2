// The words of the page in English and German. Knows nothing of what they are used for.
const TEXT = {
  en: {
    "signin.lead": "Sign in with your API key.", "signin.key": "API key", "signin.go": "Sign in",
    skip: "Skip to the report", signout: "Sign out", "new.title": "New dictation",
    "record.start": "Record", "record.stop": "Stop and send", "record.pause": "Pause", "record.resume": "Continue",
    "record.refused": "The microphone is not available: {0}",
    "drop.lead": "Drop recordings here, or choose files", options: "Options",
    "option.language": "Language", "language.auto": "Detect", "option.priority": "Priority",
    "priority.routine": "Routine", "priority.urgent": "Urgent", "priority.stat": "Emergency",
    "option.patient": "Patient reference", "option.template": "Template", "option.consent": "May be used for learning",
    "upload.sending": "Sending {0} ...", "upload.sent": "{0} is stored.", "upload.failed": "{0}: {1}",
    "list.title": "Dictations", "list.show": "Show", "list.more": "More", "list.empty": "Nothing here yet.",
    "show.all": "All", "show.open": "Not signed", "show.signed": "Signed", "show.failed": "Failed",
    "report.none": "Choose a dictation, or record a new one.", untitled: "Dictation",
    "state.received": "Waiting", "state.processing": "Transcribing", "state.ready": "To review",
    "state.failed": "Failed", "state.final": "Signed", "state.amended": "Amended",
    edit: "Edit", save: "Save", cancel: "Cancel", ok: "OK", copy: "Copy", copied: "Copied", sign: "Sign",
    reopen: "Reopen", "reopen.why": "Why is the report opened again?", retry: "Try again", download: "Download as",
    "flags.title": "Please check", "words.help": "Click a word to hear it. Arrow keys move, Enter plays.",
    "word.doubt": "Heard with {0} % confidence", "signed.by": "Signed by {0}, {1}", "nothing.said": "No speech was found.",
    changed: "Somebody changed it meanwhile. Your text is kept below: compare and save again.",
    unsaved: "Discard your changes?", saved: "Saved.", failure: "It failed: {0}", offline: "The server does not answer.",
  },
  de: {
    "signin.lead": "Melden Sie sich mit Ihrem API-Schlüssel an.", "signin.key": "API-Schlüssel", "signin.go": "Anmelden",
    skip: "Zum Bericht springen", signout: "Abmelden", "new.title": "Neues Diktat",
    "record.start": "Aufnehmen", "record.stop": "Beenden und senden", "record.pause": "Pause", "record.resume": "Weiter",
    "record.refused": "Das Mikrofon ist nicht verfügbar: {0}",
    "drop.lead": "Aufnahmen hierher ziehen oder Dateien wählen", options: "Angaben",
    "option.language": "Sprache", "language.auto": "Erkennen", "option.priority": "Dringlichkeit",
    "priority.routine": "Normal", "priority.urgent": "Dringend", "priority.stat": "Notfall",
    "option.patient": "Patientenkennung", "option.template": "Vorlage", "option.consent": "Darf zum Lernen verwendet werden",
    "upload.sending": "{0} wird gesendet ...", "upload.sent": "{0} ist gespeichert.", "upload.failed": "{0}: {1}",
    "list.title": "Diktate", "list.show": "Zeige", "list.more": "Mehr", "list.empty": "Noch nichts vorhanden.",
    "show.all": "Alle", "show.open": "Nicht freigegeben", "show.signed": "Freigegeben", "show.failed": "Fehlgeschlagen",
    "report.none": "Wählen Sie ein Diktat oder nehmen Sie ein neues auf.", untitled: "Diktat",
    "state.received": "Wartet", "state.processing": "Wird geschrieben", "state.ready": "Zu prüfen",
    "state.failed": "Fehlgeschlagen", "state.final": "Freigegeben", "state.amended": "Geändert",
    edit: "Bearbeiten", save: "Speichern", cancel: "Abbrechen", ok: "OK", copy: "Kopieren", copied: "Kopiert",
    sign: "Freigeben", reopen: "Wieder öffnen", "reopen.why": "Warum wird der Bericht wieder geöffnet?",
    retry: "Erneut versuchen", download: "Herunterladen als", "flags.title": "Bitte prüfen",
    "words.help": "Ein Klick auf ein Wort spielt es ab. Pfeiltasten bewegen, Eingabe spielt ab.",
    "word.doubt": "Mit {0} % Sicherheit gehört", "signed.by": "Freigegeben von {0}, {1}",
    "nothing.said": "Es wurde keine Sprache gefunden.",
    changed: "Inzwischen hat jemand etwas geändert. Ihr Text steht noch unten: vergleichen und erneut speichern.",
    unsaved: "Änderungen verwerfen?", saved: "Gespeichert.", failure: "Fehlgeschlagen: {0}",
    offline: "Der Server antwortet nicht.",
  },
};
let current = localStorage.getItem("language") ?? (navigator.language.startsWith("de") ? "de" : "en");
if (!(current in TEXT)) current = "en";

export const language = () => current;
export const t = (key, ...values) => values.reduce((text, value, i) => text.replaceAll(`{${i}}`, value), TEXT[current][key] ?? key);
export const when = (ms) => new Date(ms).toLocaleString(current, { dateStyle: "medium", timeStyle: "short" });

export function translate(root = document) {
  document.documentElement.lang = current;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const button of root.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", button.dataset.language === current);
}

export function onLanguage(changed) {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      current = button.dataset.language;
      localStorage.setItem("language", current);
      translate();
      changed();
    });
  }
}
