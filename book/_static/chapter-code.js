/* The switch at the top of a chapter opens and closes all folded code of the page. */

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("button.show-code");
  const folded = document.querySelectorAll(".bd-article details.hide, .bd-article details.source");
  if (!button || !folded.length) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    for (const one of folded) one.open = open;
    button.setAttribute("aria-pressed", String(open));
    button.textContent = open ? "Hide all code" : "Show all code";
  });
});
