/* The network: loads the runtime, the graphs and the weights, and asks the worker that holds them. */

export class Fault extends Error {} // its message is a sentence for the reader

const WEIGHTS = "model.safetensors";
const RUNTIME = "../vendor/ort-wasm-simd-threaded.wasm.gz";

/* Load everything; `statistics` are {mean, std} of the data, `progress` gets (bytes so far, bytes in all or 0). */
export async function load(base, statistics, progress) {
  if (typeof WebAssembly !== "object" || typeof Worker !== "function") {
    throw new Fault("This browser does not run WebAssembly, which the network needs; the prepared example stays.");
  }
  if (!allowed()) {
    throw new Fault("WebAssembly, which the network needs, is not allowed on this site: its Content-Security-Policy lacks "
      + "'wasm-unsafe-eval'; the prepared example stays.");
  }
  const counter = new Counter(progress);
  const names = [RUNTIME, WEIGHTS, "answer.onnx", "maps.onnx", "layout.json"];
  const fetched = Promise.all(names.map((name) => counter.fetch(base, name)));
  fetched.catch(() => counter.stop());
  const [packed, weights, answer, maps, layout] = await fetched;
  const inside = dataSection(weights, JSON.parse(new TextDecoder().decode(layout)));
  const network = new Network(new Worker(new URL("worker.mjs", base), { type: "module" }));
  await network.ask("start", { runtime: await unpacked(packed), weights: inside, graphs: { answer, maps }, ...statistics });
  return network;
}

/* Whether the site's policy lets a page compile WebAssembly: tried with the smallest module there is. */
function allowed() {
  try {
    return Boolean(new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)));
  } catch {
    return false;
  }
}

/* What was prepared when the chapter was executed: the same questions, answered for one picture only. */
export class Prepared {
  constructor(example) { this.example = example; }

  async answer() {
    return { logits: Float32Array.from(this.example.logits), cells: Float32Array.from(this.example.cells.flat()) };
  }

  async maps(pixels, directions) {
    const at = directions.map((weights) => this.example.classes.indexOf(weights.indexOf(1)));
    if (at.includes(-1)) throw new Fault("Load the network to see the maps of other classes in layer1 to layer3.");
    return Object.fromEntries(Object.entries(this.example.maps).map(([layer, values]) => [layer, at.map((row) => values[row])]));
  }
}

class Network {
  constructor(worker) {
    this.worker = worker;
    this.waiting = new Map();
    this.number = 0;
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) resolve(data.result);
      else reject(new Fault(`The network could not be run here (${data.error.slice(0, 160)}); the prepared example stays.`));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      for (const { reject } of this.waiting.values()) {
        reject(new Fault("The network could not be started here; reload the page, or try another browser."));
      }
    };
  }

  ask(task, message) {
    this.number += 1;
    return new Promise((resolve, reject) => {
      this.waiting.set(this.number, { resolve, reject });
      this.worker.postMessage({ id: this.number, task, ...message });
    });
  }

  /* `pixels`: Float32Array (3 * 32 * 32), 0 to 255, one colour after the other. */
  answer(pixels) { return this.ask("answer", { pixels }); }

  maps(pixels, directions) { return this.ask("maps", { pixels, directions }); }
}

/* Fetches files and tells how far all of them are. */
class Counter {
  constructor(progress) {
    this.progress = progress;
    this.done = 0;
    this.total = 0;
    this.control = new AbortController();
  }

  /* One file failed: the others are not worth their way. */
  stop() {
    this.progress = () => {};
    this.control.abort();
  }

  async fetch(base, name) {
    const file = name.split("/").pop();
    const parts = [];
    try {
      const response = await fetch(new URL(name, base), { signal: this.control.signal });
      if (!response.ok) throw new Fault(`${file} is not on this site (${response.status}); build the site anew.`);
      this.total += Number(response.headers.get("Content-Length")) || 0;
      for (const reader = response.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        this.done += value.length;
        this.progress(this.done, this.total >= this.done ? this.total : 0);
      }
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault(`${file} did not arrive whole; see whether you are still connected, and load again.`);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }
}

/* The runtime, unless the server unpacked it already. */
async function unpacked(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/* The bytes behind the header of the weights; the header must be the one that the graphs were made for. */
export function dataSection(bytes, layout) {
  const other = new Fault(`${WEIGHTS} holds another network than this page is made for; build the site of that run anew.`);
  const broken = new Fault(`${WEIGHTS} is damaged or not whole; load again, or build the site anew.`);
  if (bytes.length < 8) throw broken;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw broken;
  }
  for (const [name, { dtype, shape, data_offsets: place }] of Object.entries(layout)) {
    const found = header[name];
    if (!found || found.dtype !== dtype || `${found.shape}` !== `${shape}` || `${found.data_offsets}` !== `${place}`) throw other;
  }
  const end = Math.max(...Object.values(layout).map((entry) => entry.data_offsets[1]));
  if (bytes.length !== 8 + length + end) throw broken;
  return bytes.subarray(8 + length);
}
