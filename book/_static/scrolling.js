/* What scrolls sideways on a narrow screen can be reached by keyboard, and a table says that it scrolls. */

document.addEventListener("DOMContentLoaded", () => {
  const tables = ".pst-scrollable-table-container, .sortable-table, .confusion-table, details.history > div";
  const check = (box) => {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    const given = box.dataset.scrolls !== undefined;
    if (scrolls === given) return;
    if (!scrolls) {
      delete box.dataset.scrolls;
      if (box.dataset.stop) box.removeAttribute("tabindex");
      return;
    }
    box.dataset.scrolls = box.matches("pre") ? "code" : box.matches(".math-block") ? "formula" : "table";
    if (box.tabIndex < 0) { // the theme looks again only after a while
      box.tabIndex = 0;
      box.dataset.stop = "added";
    }
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => check(entry.target)));
  for (const box of document.querySelectorAll(`.bd-article :is(pre, .math-block, ${tables})`)) watch.observe(box);
});
