// The token page: where to go afterwards, and what was wrong.
const asked = new URLSearchParams(location.search);
const next = asked.get("next");
if (next) document.getElementById("next").value = next;
const words = asked.has("wrong") ? "That is not the token." : asked.has("wait") ? "Too many wrong tokens; wait a minute." : "";
const wrong = document.getElementById("wrong");
wrong.textContent = words;
wrong.hidden = !words;
