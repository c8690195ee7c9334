/* The error explorer's elements: plain ones, and a slider with what it is set to. */
(() => {
  "use strict";

  /* A new element; attributes that begin with "on" are listeners, false ones are left out. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /* A labelled choice between [value, words] pairs; `changed` gets the value. */
  function choice(name, words, values, changed) {
    const options = values.map(([value, shown]) => element("option", { value }, shown));
    return element("label", {}, words,
      element("select", { name, onchange: (event) => changed(event.target.value) }, ...options));
  }

  /* A labelled slider, and beside the label an output with the name in data-for; `changed` gets the number. */
  function range(name, words, [min, max], changed) {
    const slider = element("input", { name, type: "range", min, max, step: 1,
      oninput: (event) => changed(Number(event.target.value)) });
    return element("div", { class: "range" }, element("label", {}, words, slider),
      element("output", { "data-for": name, "aria-live": "off" }));
  }

  Object.assign((window.explorer ??= {}), { choice, element, range });
})();
