/* Two tables: the answer with the ten classes, and the steps of an experiment by hand. */

const { element } = window.explorer;

export function softmax(logits) {
  const top = Math.max(...logits);
  const grown = Array.from(logits, (value) => Math.exp(value - top));
  const sum = grown.reduce((all, one) => all + one, 0);
  return grown.map((value) => value / sum);
}

export function number(value) {
  const text = Math.abs(value).toFixed(2);
  return value < 0 && Number(text) ? `−${text}` : text;
}

/* The margin between two classes, as the difference of the logits that are shown, of two decimals. */
export function marginOf(logits, [one, other]) { return rounded(logits[one]) - rounded(logits[other]); }

function rounded(value) { return Number(value.toFixed(2)); }

export function percent(share) { return `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`; }

/* The ten classes with probability and logit; two columns of radio buttons choose the pair that is compared. */
export class Answers {
  constructor(classes, chosen) {
    this.classes = classes;
    this.rows = classes.map((name, at) => {
      const radio = (kind) => element("input", { type: "radio", name: `live-${kind}`, value: name,
        "aria-label": `${kind} ${name}`, onchange: () => chosen(kind, name) });
      const row = { share: element("td", { class: "share" }), logit: element("td", { class: "number" }),
        for: radio("for"), against: radio("against") };
      row.line = element("tr", {}, element("th", { scope: "row" }, name), row.share, row.logit,
        element("td", {}, row.for), element("td", {}, row.against));
      return row;
    });
    const short = element("abbr", { title: "probability" }, "prob.");
    const head = ["class", short, "logit", "for", "against"].map((words) => element("th", { scope: "col" }, words));
    this.table = element("table", { class: "answers" }, element("caption", {}, "The answer"),
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...this.rows.map((row) => row.line)));
    this.sum = element("p", { class: "sum" });
    this.speed = element("p", { class: "sum hint" });
    this.box = element("div", { class: "answer" }, this.table, this.sum, this.speed);
  }

  /* Without `answer` the table is empty. `pair` are the two classes, by number; `speed` says how it was computed. */
  show(answer, pair, speed = "") {
    const shares = answer && softmax(answer.logits);
    const top = shares && shares.indexOf(Math.max(...shares));
    this.rows.forEach((row, at) => {
      row.share.textContent = answer ? percent(shares[at]) : "";
      row.share.style.setProperty("--share", answer ? shares[at] : 0);
      row.logit.textContent = answer ? number(answer.logits[at]) : "";
      row.line.classList.toggle("first", at === top);
      row.for.checked = pair?.[0] === at;
      row.against.checked = pair?.[1] === at;
    });
    this.sum.textContent = answer && pair ? this.margin(answer, pair) : "";
    this.speed.textContent = speed;
  }

  margin({ logits }, [one, other]) {
    const names = `${this.classes[one]} − ${this.classes[other]}`;
    const second = logits[other] < 0 ? `(${number(logits[other])})` : number(logits[other]);
    return `Margin ${names}: ${number(logits[one])} − ${second} = ${number(marginOf(logits, [one, other]))} logits.`;
  }
}

/* What was tried and what came of it, as a table that can be copied. */
export class Steps {
  constructor(note) {
    this.rows = [];
    this.body = element("tbody");
    this.head = element("tr");
    this.copied = element("span", { role: "status" });
    const button = (words, act) => element("button", { type: "button", onclick: act }, words);
    const wrapped = element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "What was tried" },
      element("table", {}, element("thead", {}, this.head), this.body));
    this.box = element("div", { class: "steps" }, element("h3", {}, "What you tried"), wrapped,
      element("p", { class: "buttons" }, button("add a row", note), button("copy the table", () => this.copy()),
        button("clear the table", () => this.clear()), this.copied));
    this.draw();
  }

  add(what, hidden, name, share, pair, margin) {
    this.rows.push([what, `${hidden}`, name, percent(share), pair, number(margin)]);
    this.draw();
  }

  clear() {
    this.rows = [];
    this.draw();
  }

  draw() {
    const names = ["what", "hidden pixels", "answer", "probability", "pair", "margin"];
    this.head.replaceChildren(...names.map((name) => element("th", { scope: "col" }, name)));
    this.names = names;
    const lines = this.rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
    const nothing = element("tr", {}, element("td", { colspan: 6 }, "Nothing yet: hide some cells, or add a row."));
    this.body.replaceChildren(...(lines.length ? lines : [nothing]));
    this.copied.textContent = "";
  }

  async copy() {
    const text = [this.names, ...this.rows].map((row) => row.join("\t")).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      this.copied.textContent = "Copied.";
    } catch {
      this.copied.textContent = "The browser does not allow it; select the table and copy it by hand.";
    }
  }
}
