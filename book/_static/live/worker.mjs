/* Holds the network, beside the page so that it stays responsive: ONNX Runtime and two graphs over the same weights.
   Each message {id, task, ...} gets one answer, {id, result} or {id, error}. */
import * as ort from "../vendor/ort.wasm.bundle.min.mjs";

const LAYERS = ["layer1", "layer2", "layer3", "layer4"];
const sessions = {};
let normalise;

const TASKS = {
  /* Start the runtime and the graph that answers. */
  async start({ runtime, weights, graphs, mean, std }) {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = runtime;
    normalise = { mean: new ort.Tensor("float32", mean, [3]), std: new ort.Tensor("float32", std, [3]) };
    const create = (graph) => ort.InferenceSession.create(graph, {
      executionProviders: ["wasm"],
      externalData: [{ path: "model.safetensors", data: weights }],
    });
    sessions.answer = await create(graphs.answer);
    sessions.maps = () => create(graphs.maps); // at the first question for maps
  },

  /* The ten logits, and what each of the 4 x 4 cells of layer4 adds to each: cells[class * 16 + cell]. */
  async answer({ pixels }) {
    const { logits, cells } = await sessions.answer.run({ pixels: picture(pixels), ...normalise });
    return { logits: logits.data, cells: cells.data };
  },

  /* For each direction (10 weights of the classes) the signed maps: maps.layer1[direction][cell]. */
  async maps({ pixels, directions }) {
    if (typeof sessions.maps === "function") sessions.maps = await sessions.maps();
    const direction = new ort.Tensor("float32", Float32Array.from(directions.flat()), [directions.length, 10]);
    const found = await sessions.maps.run({ pixels: picture(pixels), ...normalise, direction });
    return Object.fromEntries(LAYERS.map((layer) => {
      const values = found[layer].data;
      const size = values.length / directions.length;
      return [layer, directions.map((_, at) => values.slice(at * size, (at + 1) * size))];
    }));
  },
};

function picture(pixels) { return new ort.Tensor("float32", pixels, [1, 3, 32, 32]); }

let last = Promise.resolve(); // sessions take one question at a time
self.onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      self.postMessage({ id: data.id, result: await TASKS[data.task](data) });
    } catch (error) {
      self.postMessage({ id: data.id, error: String(error?.message ?? error) });
    }
  });
};
