/* Tables with the class sortable-table are sorted by a click on a column's name, or by Enter or Space on it.
   A second click turns the order round. Without this script they stay as they were written. */

document.addEventListener("DOMContentLoaded", () => {
  const compare = (a, b) => {
    const numbers = [Number(a), Number(b)];
    return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
  };

  for (const table of document.querySelectorAll(".sortable-table table")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];

    const sortBy = (column) => {
      const rising = heads[column].getAttribute("aria-sort") !== "ascending";
      const key = (row) => row.cells[column].dataset.key;
      const rows = [...body.rows].sort((a, b) => compare(key(a), key(b)) * (rising ? 1 : -1));
      body.append(...rows);
      for (const head of heads) head.removeAttribute("aria-sort");
      heads[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
    };

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => sortBy(column));
      head.replaceChildren(button);
    });
  }
});
