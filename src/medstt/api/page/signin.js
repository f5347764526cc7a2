// Exchanges an API key for a session's cookie. The key is not kept in the page.
import { onLanguage, t, translate } from "/page/text.js";

const form = document.getElementById("signin");
const error = document.getElementById("error");
translate();
onLanguage(() => {});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.hidden = true;
  try {
    const answer = await fetch("/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: form.key.value }),
    });
    if (answer.ok) return location.reload();
    error.textContent = (await answer.json()).detail;
  } catch {
    error.textContent = t("offline");
  }
  error.hidden = false;
  form.key.select();
});
