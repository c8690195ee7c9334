/* Starts the page "Try it". A plain script, for browsers refuse modules on pages that are opened from a folder: there the
   prepared example stays, with a sentence that says how to serve the site. */
(() => {
  "use strict";

  const parts = new URL("live/", document.currentScript.src);
  document.addEventListener("DOMContentLoaded", () => {
    const section = document.querySelector("section.live");
    if (section && location.protocol !== "file:") {
      import(new URL("page.mjs", parts)).then(({ Page }) => new Page(section, parts).start());
    }
  });
})();
