/* The error explorer's state: what is shown, in which order, and how the address tells it. Touches no page. */
(() => {
  "use strict";

  const SORTS = {
    "surest first": (a, b) => confidence(b) - confidence(a),
    "least sure first": (a, b) => confidence(a) - confidence(b),
    "people disagree most": (a, b) => agreement(a) - agreement(b),
    "largest margin": (a, b) => b.margin - a.margin,
    "number": (a, b) => a.index - b.index,
  };
  const DEFAULTS = {
    true: "", predicted: "", kind: "errors", from: 0, to: 100, least: 0, people: 100, sort: "surest first",
    case: "", layer: 4, opacity: 75,
  };
  const NUMBERS = {
    from: [0, 100], to: [0, 100], least: [0, 100], people: [0, 100], layer: [1, 4], opacity: [0, 100],
  };

  /* percent that the network gave its answer */
  function confidence(row) { return row.percent[row.predicted]; }

  /* percent of the people asked who chose the label; 100 where nobody was asked */
  function agreement(row) {
    if (!row.votes) return 100;
    return (100 * row.votes[row.true]) / row.votes.reduce((sum, votes) => sum + votes, 0);
  }

  const FILTERS = ["true", "predicted", "kind", "from", "to", "least", "people", "sort"]; // these change which cases are shown

  /* Whether people were asked about the images. */
  function hasVotes(data) { return data.cases.some((row) => row.votes); }

  /* Whether an address tells a state at all; anchors of the page do not. */
  function tellsState(hash) { return hash.length < 2 || hash.includes("="); }

  /* The state that an address tells, defaults where it tells nothing or nonsense. */
  function readState(hash, data) {
    const state = { ...DEFAULTS };
    const votes = hasVotes(data);
    for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (name in NUMBERS) {
        const [low, high] = NUMBERS[name];
        const number = Number(value);
        if ((name === "people" || name === "least") && !votes) continue;
        if (value !== "" && Number.isFinite(number)) state[name] = Math.min(high, Math.max(low, Math.round(number)));
      } else if (name === "true" || name === "predicted") {
        if (data.classes.includes(value)) state[name] = value;
      } else if (name === "kind") {
        if (["all", "errors", "right", ...(votes ? data.kinds : [])].includes(value)) state.kind = value;
      } else if (name === "sort") {
        if (sorts(data).includes(value)) state.sort = value;
      } else if (name === "case") {
        if (data.cases.some((row) => String(row.index) === value)) state.case = value;
      }
    }
    return state;
  }

  /* The address of a state: what is not the default, in a fixed order. */
  function writeState(state) {
    const told = new URLSearchParams();
    for (const [name, value] of Object.entries(DEFAULTS)) {
      if (state[name] !== value) told.set(name, state[name]);
    }
    const words = told.toString();
    return words ? `#${words}` : "";
  }

  /* The orders that the data allow. */
  function sorts(data) { return Object.keys(SORTS).filter((name) => hasVotes(data) || !name.startsWith("people")); }

  function matches(row, state, data) {
    const right = row.predicted === row.true;
    if (state.kind === "errors" && right) return false;
    if (state.kind === "right" && !right) return false;
    if (data.kinds.includes(state.kind) && (right || data.kinds[row.kind] !== state.kind)) return false;
    if (state.true && data.classes[row.true] !== state.true) return false;
    if (state.predicted && data.classes[row.predicted] !== state.predicted) return false;
    const [sure, side] = [confidence(row), agreement(row)];
    return sure >= state.from && sure <= state.to && side >= state.least && side <= state.people;
  }

  /* The positions of the cases that a state shows, in its order. */
  function select(state, data) {
    const order = SORTS[state.sort];
    return data.cases
      .map((row, at) => at)
      .filter((at) => matches(data.cases[at], state, data))
      .sort((a, b) => order(data.cases[a], data.cases[b]) || a - b);
  }

  function percent(value) { return `${value.toFixed(value < 10 ? 1 : 0)}\u00a0%`; }

  Object.assign((window.explorer ??= {}), {
    DEFAULTS, FILTERS, agreement, confidence, hasVotes, percent, readState, select, sorts, tellsState, writeState,
  });
})();
