/* A link to a place in a folded block opens the block, in browsers that do not do so themselves. */

(() => {
  const reveal = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const block = place && place.closest("details.folded:not([open])");
    if (!block) return;
    block.open = true;
    place.scrollIntoView();
  };
  addEventListener("DOMContentLoaded", reveal);
  addEventListener("hashchange", reveal);
})();
