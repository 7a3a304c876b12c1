// Language models in plain JavaScript: what the book's library computes, inside the page.
//
// One classic script, no dependency, no build step. It works from the file system, below any path
// and under a strict content policy: weights come as scripts of this site (`load`), and nothing is
// fetched from anywhere else. The files of a model are made by `python -m tools.live`.
//
// The parts, in this order: loading, numbers, tokenizers, models, choosing a token.
// Every model keeps the contract of the library: `step(id, state)` reads one token and returns the
// logits of the next one and the new state; a state is never changed, so that texts can branch.
(() => {
  "use strict";

  const folder = typeof document === "undefined" ? "" : document.currentScript.src.replace(/[^/]*$/, "");
  const PAD = 0, BOS = 1, EOS = 2, UNK = 3;
  const SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>", "<unk>"];

  // What went wrong, by a name that the page turns into a sentence: "stopped", "missing", "damaged".
  class LiveError extends Error {
    constructor(reason, name) { super(`${name}: ${reason}`); this.reason = reason; }
  }

  // ---------------------------------------------------------------- loading

  const descriptions = {};  // name → {version, parts: [bytes of each file], facts}, from models.js
  const received = {};      // name → the parts that have come
  const models = {};        // name → the model
  const architectures = {}; // kind → class

  const describe = (all) => Object.assign(descriptions, all);
  const register = (kind, architecture) => { architectures[kind] = architecture; };
  const sizeOf = (names) => sum(names.map((name) => sum(descriptions[name].parts)));

  // A file of a model calls this when it arrives.
  function receive(name, version, number, part) {
    if (descriptions[name]?.version !== version) return;  // an older file out of a cache
    (received[name] ??= [])[number] = part;
  }

  function addScript(name, number) {
    const script = document.createElement("script");
    const arrival = new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new LiveError("missing", name));
    });
    script.src = `${folder}models/${name}-${number}.js?v=${descriptions[name].version}`;
    document.head.append(script);
    return arrival.finally(() => script.remove());
  }

  // Loads models, file by file. Returns {done, stop}: a promise of the models, and a function that
  // ends the loading after which `done` fails with the reason "stopped". What has come is kept.
  function load(names, onProgress = () => {}) {
    let stop;
    const stopped = new Promise((_, reject) => { stop = () => reject(new LiveError("stopped", names)); });
    let isStopped = false, bytes = 0;
    stopped.catch(() => { isStopped = true; });

    async function loadAll() {
      for (const name of names) {
        const { parts } = descriptions[name];
        for (let number = 0; number < parts.length && !isStopped; number++) {
          const isHere = () => models[name] || received[name]?.[number] !== undefined;
          if (!isHere()) await addScript(name, number);
          if (!isHere()) throw new LiveError("damaged", name);
          onProgress((bytes += parts[number]) / sizeOf(names));
        }
      }
      await pause();  // the progress is seen before the weights are unpacked
      return isStopped ? [] : names.map(build);
    }
    return { done: Promise.race([stopped, loadAll()]), stop };
  }

  // Makes a model of its received parts: a header, then the bytes of all tensors in base64.
  function build(name) {
    if (models[name]) return models[name];
    const [header, ...texts] = received[name];
    const bytes = joinBytes(texts.map(decodeBase64));
    if (bytes.length !== sum(header.tensors.map((tensor) => tensor.bytes))) {
      throw new LiveError("damaged", name);
    }
    const tensors = {};
    let start = 0;
    for (const tensor of header.tensors) {
      tensors[tensor.name] = READERS[tensor.type](bytes.slice(start, (start += tensor.bytes)), tensor.shape);
    }
    const tokenizer = header.tokenizer && new TOKENIZERS[header.tokenizer.kind](header.tokenizer);
    const model = new architectures[header.kind](header.options, tensors, tokenizer);
    Object.assign(model, { name, tokenizer, facts: descriptions[name]?.facts });
    delete received[name];
    return (models[name] = model);
  }

  // Forgets models, so that the browser can free their memory.
  function release(names) {
    for (const name of names) { delete models[name]; delete received[name]; }
  }

  function decodeBase64(text) {
    const characters = atob(text), bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }

  function joinBytes(arrays) {
    const joined = new Uint8Array(sum(arrays.map((array) => array.length)));
    let start = 0;
    for (const array of arrays) { joined.set(array, start); start += array.length; }
    return joined;
  }

  // How each type of tensor is read from its own bytes.
  const READERS = {
    float32: (bytes) => new Float32Array(bytes.buffer),

    // A matrix of 8-bit integers, then one scale for each row: weight = scale · integer.
    int8(bytes, [rows, columns]) {
      const integers = new Int8Array(bytes.buffer, 0, rows * columns);
      const scales = new Float32Array(bytes.slice(rows * columns).buffer);
      const data = new Float32Array(rows * columns);
      for (let row = 0, i = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++, i++) data[i] = scales[row] * integers[i];
      }
      return new Matrix(rows, columns, data);
    },

    // Whole numbers of seven bits a byte, the lowest first; the eighth bit says that more follow.
    varint(bytes, [length]) {
      const numbers = new Int32Array(length);
      for (let i = 0, at = 0; i < length; i++) {
        for (let shift = 0; ; shift += 7) {
          numbers[i] |= (bytes[at] & 127) << shift;
          if (bytes[at++] < 128) break;
        }
      }
      return numbers;
    },
  };

  // Lets the page draw and react, between two tokens.
  const pause = () => new Promise((resume) => { setTimeout(resume, 0); });

  // ---------------------------------------------------------------- numbers

  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

  class Matrix {
    constructor(rows, columns, data) { Object.assign(this, { rows, columns, data }); }

    row(number) { return this.data.slice(number * this.columns, (number + 1) * this.columns); }

    // W x, one number for each row
    times(x) {
      const { rows, columns, data } = this, result = new Float32Array(rows);
      for (let row = 0, i = 0; row < rows; row++) {
        let total = 0;
        for (let column = 0; column < columns; column++, i++) total += data[i] * x[column];
        result[row] = total;
      }
      return result;
    }
  }

  const add = (a, b) => a.map((number, i) => number + b[i]);

  const concat = (a, b) => {
    const joined = new Float32Array(a.length + b.length);
    joined.set(a);
    joined.set(b, a.length);
    return joined;
  };

  const linear = (weight, bias, x) => (bias ? add(weight.times(x), bias) : weight.times(x));

  const sigmoid = (number) => 1 / (1 + Math.exp(-number));

  // x / √(mean of x² + ε), times a weight for each number if there is one
  function rmsNorm(x, weight, epsilon = 1e-6) {
    let squares = 0;
    for (const number of x) squares += number * number;
    const factor = 1 / Math.sqrt(squares / x.length + epsilon);
    return x.map((number, i) => number * factor * (weight ? weight[i] : 1));
  }

  // e^z / Σ e^z in double precision; −∞ gives 0
  function softmax(logits) {
    const highest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
    const total = sum(powers);
    return powers.map((power) => power / total);
  }

  const dot = (a, b) => {
    let total = 0;
    for (let i = 0; i < a.length; i++) total += a[i] * b[i];
    return total;
  };

  // ---------------------------------------------------------------- tokenizers

  const isSpecial = (id) => id === PAD || id === BOS || id === EOS;
  const VISIBLE = { " ": "▁", "\n": "↵", "\t": "⇥", "\r": "␍" };
  const visible = (text) => text.replace(/[ \n\t\r]/g, (space) => VISIBLE[space]);
  const isPrintable = (text) => !/[\u0000-\u001f\u007f-\u009f]/.test(text);

  class CharTokenizer {
    constructor({ tokens }) {
      this.tokens = [...SPECIAL_TOKENS, ...tokens];
      this.ids = new Map(this.tokens.map((token, id) => [token, id]));
      this.size = this.tokens.length;
    }

    encode(text) { return Array.from(text, (character) => this.ids.get(character) ?? UNK); }

    decode(ids) { return ids.filter((id) => !isSpecial(id)).map((id) => this.tokens[id]).join(""); }

    piece(id) { return visible(this.tokens[id]); }

    unknown(text) { return [...new Set(text)].filter((character) => !this.ids.has(character)); }
  }

  // Words with the marks and apostrophes inside them, and every other visible character by itself.
  const MARKS = "[\\p{M}\u200c\u200d]+", WORD = `[\\p{L}\\p{N}_]+(?:${MARKS}[\\p{L}\\p{N}_]*)*`;
  const WORDS = new RegExp(
    `${WORD}(?:['’]${WORD})*|[^\\p{L}\\p{N}_\\p{White_Space}\u001c-\u001f](?:${MARKS})?`, "gu");

  class WordTokenizer extends CharTokenizer {
    words(text) { return text.match(WORDS) ?? []; }

    encode(text) { return this.words(text).map((word) => this.ids.get(word) ?? UNK); }

    // Joined by spaces, with none inside brackets and before closing marks.
    decode(ids) {
      const text = ids.filter((id) => !isSpecial(id)).map((id) => this.tokens[id]).join(" ");
      return text.replace(/\s+([.,;:!?)\]}”’'])/g, "$1").replace(/([([{“‘])\s+/g, "$1");
    }

    unknown(text) { return [...new Set(this.words(text))].filter((word) => !this.ids.has(word)); }
  }

  // Words with the space before them, numbers, runs of marks, white space: a merge never crosses these.
  const PRETOKENS = new RegExp(
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+"
    + "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+", "gu");

  // Byte-pair encoding of bytes. `byte_ids` has the id of each of the 256 bytes; `merges` has
  // three numbers for each merge: the ids of its left and right part, and of the result.
  class BPETokenizer {
    constructor({ size, byte_ids: byteIds, merges }) {
      Object.assign(this, { size, byteIds, ranks: new Map(), results: [] });
      this.bytes = Array.from({ length: size }, () => []);  // of each token
      byteIds.forEach((id, byte) => { this.bytes[id] = [byte]; });
      for (let i = 0; i < merges.length; i += 3) {
        const [left, right, result] = merges.slice(i, i + 3);
        this.ranks.set(left * size + right, this.results.length);
        this.results.push(result);
        this.bytes[result] = [...this.bytes[left], ...this.bytes[right]];
      }
    }

    encode(text) {
      const encoder = new TextEncoder();
      const words = text ? ` ${text}`.match(PRETOKENS) : [];
      return words.flatMap((word) => this.merge(Array.from(encoder.encode(word), (byte) => this.byteIds[byte])));
    }

    // Joins the pair that was learned first, everywhere, until no pair is left that was learned.
    merge(ids) {
      for (;;) {
        let best = Infinity;
        for (let i = 0; i + 1 < ids.length; i++) best = Math.min(best, this.rank(ids, i));
        if (best === Infinity) return ids;
        const joined = [];
        for (let i = 0; i < ids.length; i++) {
          joined.push(this.rank(ids, i) === best ? (i++, this.results[best]) : ids[i]);
        }
        ids = joined;
      }
    }

    rank(ids, i) { return this.ranks.get(ids[i] * this.size + ids[i + 1]) ?? Infinity; }

    decode(ids) {
      const bytes = ids.filter((id) => !isSpecial(id)).flatMap((id) => this.bytes[id]);
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes)).replace(/^ /, "");
    }

    // A token as it is shown: its text, or its bytes if they are no whole printable characters.
    piece(id) {
      if (id < SPECIAL_TOKENS.length) return SPECIAL_TOKENS[id];
      const bytes = this.bytes[id];
      const text = visible(new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes)));
      if (isPrintable(text) && !text.includes("\ufffd")) return text;
      return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
    }

    unknown() { return []; }
  }

  const TOKENIZERS = { characters: CharTokenizer, words: WordTokenizer, bpe: BPETokenizer };

  // ---------------------------------------------------------------- models

  // A tokenizer that comes alone.
  class TokenizerOnly {}

  // Counts with modified Kneser–Ney smoothing (section 2.1). The n-grams form a tree: those of m
  // tokens are numbered so that the followers of a context are neighbours, by increasing last token.
  class NGram {
    constructor({ order, vocab_size: vocabSize, discounts }, tensors) {
      Object.assign(this, { order, vocabSize, discounts, levels: [] });
      for (let length = 1; length <= order; length++) {
        const children = tensors[`children.${length - 1}`];  // of each context, how many followers
        const starts = new Int32Array(children.length + 1);
        const tokens = tensors[`deltas.${length}`];
        for (let context = 0; context < children.length; context++) {
          starts[context + 1] = starts[context] + children[context];
          for (let i = starts[context] + 1; i < starts[context + 1]; i++) tokens[i] += tokens[i - 1];
        }
        this.levels.push({
          starts, tokens, raw: tensors[`raw.${length}`], continuation: tensors[`continuation.${length}`],
        });
      }
    }

    start() { return new Array(this.order - 1).fill(BOS); }

    step(id, state) {
      const context = [...state, id].slice(1);
      return { logits: this.distribution(context, this.order).map(Math.log), state: context };
    }

    // p(w | the last order − 1 of `context`), interpolated from the shortest context to the longest
    distribution(context, order) {
      const probabilities = new Float64Array(this.vocabSize).fill(1 / this.vocabSize);
      for (let length = 0; length < order; length++) {
        const node = this.find(context.slice(context.length - length));
        if (node < 0) break;
        const isLongest = length + 1 === order, { starts, tokens, raw, continuation } = this.levels[length];
        const counts = isLongest ? raw : continuation;
        const discounts = this.discounts[isLongest ? "raw" : "continuation"][length];
        let total = 0, subtracted = 0;
        for (let i = starts[node]; i < starts[node + 1]; i++) {
          total += counts[i];
          subtracted += discounts[Math.min(counts[i], 3)];
        }
        if (total === 0) continue;
        for (let id = 0; id < this.vocabSize; id++) probabilities[id] *= subtracted / total;
        for (let i = starts[node]; i < starts[node + 1]; i++) {
          probabilities[tokens[i]] += (counts[i] - discounts[Math.min(counts[i], 3)]) / total;
        }
      }
      return probabilities;
    }

    // The number of an n-gram among those of its length, −1 if it does not occur.
    find(ids) {
      let node = 0;
      for (let length = 0; length < ids.length && node >= 0; length++) {
        const { starts, tokens } = this.levels[length];
        let low = starts[node], high = starts[node + 1];
        while (low < high) {
          const middle = (low + high) >> 1;
          if (tokens[middle] < ids[length]) low = middle + 1; else high = middle;
        }
        node = low < starts[node + 1] && tokens[low] === ids[length] ? low : -1;
      }
      return node;
    }

    // How often an n-gram was counted.
    count(ids) {
      const node = this.find(ids);
      return node < 0 ? 0 : this.levels[ids.length - 1].raw[node];
    }
  }

  // utils.models.gpt.GPT with its default options (section 6.2): rotary positions, RMSNorm,
  // normalized queries and keys, squared ReLU, no biases, a sliding window.
  class GPT {
    constructor({ num_layers: numLayers, num_heads: numHeads, context_length: window }, tensors) {
      const layer = (i) => (part) => tensors[`layers.${i}.${part}.weight`];
      Object.assign(this, { numHeads, window, embedding: tensors["embedding.weight"] });
      this.finalNorm = tensors["norm.weight"];
      this.layers = Array.from({ length: numLayers }, (_, i) => layer(i));
    }

    start() { return { position: 0, caches: this.layers.map(() => ({ keys: [], values: [] })) }; }

    // `trace`, if given, receives the attention weights of each layer: trace[layer][head][position];
    // a head for which `isOut(layer, head)` is true adds nothing
    step(id, state, { trace, isOut = () => false } = {}) {
      let x = this.embedding.row(id);
      const rotate = rotation(state.position, x.length / this.numHeads);
      const caches = this.layers.map((weights, i) => {
        const normed = rmsNorm(x, weights("attention_norm"));
        const qkv = weights("attention.qkv_projection").times(normed);
        const { mean, cache, shares } = this.attend(qkv, state.caches[i], rotate, (head) => isOut(i, head));
        x = add(x, weights("attention.output_projection").times(mean));
        const hidden = weights("up_projection").times(rmsNorm(x, weights("feedforward_norm")));
        x = add(x, weights("down_projection").times(hidden.map((h) => (h > 0 ? h * h : 0))));
        trace?.push(shares);
        return cache;
      });
      const logits = this.embedding.times(rmsNorm(x, this.finalNorm));  // the output matrix is the embedding
      return { logits, state: { position: state.position + 1, caches } };
    }

    // Each head: its shares of the tokens in the window, and the mean of their values.
    attend(qkv, cache, rotate, isOut) {
      const width = qkv.length / 3, size = width / this.numHeads;
      const part = (which, head) => qkv.subarray(which * width + head * size, which * width + (head + 1) * size);
      const heads = Array.from({ length: this.numHeads }, (_, head) => head);
      const keep = (past, now) => [...past, now].slice(-this.window);
      const keys = keep(cache.keys, heads.map((head) => rotate(rmsNorm(part(1, head)))));
      const values = keep(cache.values, heads.map((head) => part(2, head)));
      const mean = new Float32Array(width);
      const shares = heads.map((head) => {
        const query = rotate(rmsNorm(part(0, head)));  // times 2: see QUERY_SCALE of the library
        const weights = softmax(keys.map((key) => 2 * dot(query, key[head]) / Math.sqrt(size)));
        if (!isOut(head)) weights.forEach((weight, i) => {
          for (let j = 0; j < size; j++) mean[head * size + j] += weight * values[i][head][j];
        });
        return weights;
      });
      return { mean, cache: { keys, values }, shares };
    }
  }

  // Rotary positions: turns numbers i and i + size/2 of a vector, as a pair, by angle i.
  function rotation(position, size) {
    const half = size / 2, cos = new Float32Array(half), sin = new Float32Array(half);
    for (let i = 0; i < half; i++) {
      const frequency = Math.fround(10000 ** -Math.fround(2 * i / size));  // single precision, as torch
      const angle = Math.fround(position * frequency);
      [cos[i], sin[i]] = [Math.cos(angle), Math.sin(angle)];
    }
    return (x) => x.map((number, i) => (i < half
      ? number * cos[i] - x[i + half] * sin[i]
      : number * cos[i - half] + x[i - half] * sin[i - half]));
  }

  // utils.models.language_models.RNNLM with LSTM cells (section 4.1.2), tied or not.
  class LSTM {
    constructor({ num_layers: numLayers, width, tied }, tensors) {
      const layer = (i) => (part) => tensors[`rnn.${part}_l${i}`];
      Object.assign(this, { width, embedding: tensors["embedding.weight"] });
      this.scale = tied ? Math.sqrt(this.embedding.columns) : 1;
      this.projection = tensors["output_projection.weight"];  // only where sizes differ
      this.output = tied ? this.embedding : tensors["output.weight"];
      this.bias = tensors["output.bias"];
      this.layers = Array.from({ length: numLayers }, (_, i) => layer(i));
    }

    start() {
      const zeros = new Float32Array(this.width);
      return this.layers.map(() => ({ hidden: zeros, cell: zeros }));
    }

    step(id, states) {
      let x = this.embedding.row(id).map((number) => number * this.scale);
      const state = this.layers.map((weights, i) => {
        const after = lstmCell(weights, x, states[i]);
        x = after.hidden;
        return after;
      });
      if (this.projection) x = this.projection.times(x);
      return { logits: add(this.output.times(x), this.bias), state };
    }
  }

  // One step of an LSTM layer; torch has the gates in the order input, forget, candidate, output.
  function lstmCell(weights, x, { hidden, cell }) {
    const size = hidden.length;
    const sums = add(add(weights("weight_ih").times(x), weights("bias_ih")),
      add(weights("weight_hh").times(hidden), weights("bias_hh")));
    const newCell = cell.map((number, i) => sigmoid(sums[size + i]) * number
      + sigmoid(sums[i]) * Math.tanh(sums[2 * size + i]));
    return { cell: newCell, hidden: newCell.map((number, i) => sigmoid(sums[3 * size + i]) * Math.tanh(number)) };
  }

  // One step of a GRU; torch has the gates in the order reset, update, candidate.
  function gruCell(weights, x, hidden) {
    const size = hidden.length;
    const ofInput = linear(weights("weight_ih"), weights("bias_ih"), x);
    const ofState = linear(weights("weight_hh"), weights("bias_hh"), hidden);
    return hidden.map((number, i) => {
      const reset = sigmoid(ofInput[i] + ofState[i]);
      const update = sigmoid(ofInput[size + i] + ofState[size + i]);
      const candidate = Math.tanh(ofInput[2 * size + i] + reset * ofState[2 * size + i]);
      return (1 - update) * candidate + update * number;
    });
  }

  register("tokenizer", TokenizerOnly);
  register("ngram", NGram);
  register("gpt", GPT);
  register("lstm", LSTM);

  // Reads tokens one after the other: the result of the last step.
  function read(model, ids, state = model.start()) {
    let result = { logits: null, state };
    for (const id of ids) result = model.step(id, result.state);
    return result;
  }

  // ---------------------------------------------------------------- choosing a token

  // Indices of logits from the most probable to the least; equal ones stay in order.
  const ranking = (logits) => Array.from(logits, (_, i) => i).sort((a, b) => logits[b] - logits[a]);

  // The logits without those tokens that never continue a text.
  const without = (logits, ids) => Float64Array.from(logits, (logit, id) => (ids.includes(id) ? -Infinity : logit));

  // The distribution that is drawn from (section 6.2): temperature, then top-k, top-p and min-p.
  // Temperature 0 leaves the best token alone; topK 0, topP 1 and minP 0 leave all.
  function shape(logits, { temperature = 1, topK = 0, topP = 1, minP = 0 } = {}) {
    const ranks = ranking(logits), keep = (ids) => {
      const kept = new Set(ids);
      logits = logits.map((logit, id) => (kept.has(id) ? logit : -Infinity));
    };
    logits = Float64Array.from(logits);
    if (temperature === 0) keep(ranks.slice(0, 1)); else logits = logits.map((logit) => logit / temperature);
    if (topK > 0) keep(ranks.slice(0, topK));
    if (topP < 1) {
      const probabilities = softmax(logits);
      let before = 0;
      keep(ranks.filter((id) => {
        const isKept = before < topP;
        before += probabilities[id];
        return isKept;
      }));
    }
    if (minP > 0) {
      const least = logits[ranks[0]] + Math.log(minP);
      keep(ranks.filter((id) => logits[id] >= least));
    }
    return softmax(logits);
  }

  // Draws a token: the one in whose part of [0, 1) a random number falls.
  function draw(probabilities, random) {
    let rest = random(), last = 0;
    for (let id = 0; id < probabilities.length; id++) {
      if (probabilities[id] > 0) { last = id; rest -= probabilities[id]; }
      if (rest < 0) return id;
    }
    return last;  // after rounding
  }

  // Random numbers in [0, 1) from a seed: the generator known as mulberry32.
  function makeRandom(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6D2B79F5) >>> 0;
      let bits = Math.imul(state ^ (state >>> 15), state | 1);
      bits = (bits + Math.imul(bits ^ (bits >>> 7), bits | 61)) ^ bits;
      return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  globalThis.LiveModels = {
    BOS, EOS, PAD, UNK, LiveError,
    describe, descriptions, receive, register, sizeOf, load, build, release, pause,
    Matrix, READERS, add, concat, dot, gruCell, linear, lstmCell, rmsNorm, sigmoid, softmax,
    read, ranking, without, shape, draw, makeRandom,
  };
})();
