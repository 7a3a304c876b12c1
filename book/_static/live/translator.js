// A translator with attention in plain JavaScript: the model of section 4.2, and two searches.
//
// It extends engine.js, which has the matrices and the tokenizers. The parts, in this order: the
// model, greedy search, beam search with the tree of its hypotheses (section 5.2).
(() => {
  "use strict";

  const { BOS, EOS, PAD, add, concat, dot, gruCell, linear, softmax, register } = LiveModels;
  const NEVER_GENERATED = [PAD, BOS];
  const MAX_LENGTH = 60;  // pieces of a translation

  // ---------------------------------------------------------------- the model

  // An encoder of GRUs in both directions, and a decoder with additive attention between two GRUs:
  // utils.models.attention_decoder.AttentionDecoder. One matrix has the vectors of all pieces.
  class Translator {
    constructor({ width }, tensors) {
      const cell = (name, end) => (part) => tensors[`${name}.${part}_l0${end}`];
      Object.assign(this, { width, tensors, embedding: tensors["encoder.embedding.weight"] });
      this.forward = cell("encoder.rnn", "");
      this.backward = cell("encoder.rnn", "_reverse");
      this.query = cell("decoder.query_rnn", "");
      this.output = cell("decoder.output_rnn", "");
    }

    part(name, x) { return linear(this.tensors[`${name}.weight`], this.tensors[`${name}.bias`], x); }

    vector(id) { return this.embedding.row(id).map((number) => number * Math.sqrt(this.width)); }

    // The states of a source: for each piece, those of both directions side by side.
    encode(ids) {
      const read = (weights, order) => {
        let hidden = new Float32Array(this.width / 2);
        return order.map((id) => (hidden = gruCell(weights, this.vector(id), hidden)));
      };
      const forward = read(this.forward, ids);
      const backward = read(this.backward, [...ids].reverse()).reverse();
      return ids.map((_, s) => concat(forward[s], backward[s]));
    }

    // The decoder's state before the first piece. The vector of the source is where each direction ends.
    start(ids) {
      const states = this.encode(ids), half = this.width / 2;
      const vector = concat(states[ids.length - 1].slice(0, half), states[0].slice(half));
      const first = (name) => this.part(`decoder.${name}.projection`, vector).map(Math.tanh);
      return {
        memory: { states, keys: states.map((state) => this.part("decoder.attention_score.key_projection", state)) },
        query: first("initial_query_state"), output: first("initial_output_state"),
      };
    }

    // Reads one piece: the logits of the next one, the new state, and the weights of attention.
    step(id, { memory, query, output }) {
      query = gruCell(this.query, this.vector(id), query);
      const weights = this.attend(query, memory.keys);
      const context = new Float32Array(this.width);
      memory.states.forEach((state, s) => state.forEach((number, i) => { context[i] += weights[s] * number; }));
      output = gruCell(this.output, concat(query, context), output);
      const vector = this.part("decoder.output_projection", concat(output, context));
      const logits = add(this.embedding.times(vector), this.tensors["decoder.output.bias"]);
      return { logits, weights, state: { memory, query, output } };
    }

    // softmax over the source of ωᵀ tanh(W q + U h + b); the keys are U h + b
    attend(query, keys) {
      const projected = this.part("decoder.attention_score.query_projection", query);
      const omega = this.tensors["decoder.attention_score.score_projection.weight"].data;
      return softmax(keys.map((key) => dot(omega, add(projected, key).map(Math.tanh))));
    }
  }

  register("translator", Translator);

  // The logarithms of the probabilities, without the pieces that never come.
  function logProbabilities(logits) {
    const allowed = Float64Array.from(logits, (logit, id) => (NEVER_GENERATED.includes(id) ? -Infinity : logit));
    const highest = allowed.reduce((a, b) => Math.max(a, b));
    let total = 0;
    for (const logit of allowed) total += Math.exp(logit - highest);
    return allowed.map((logit) => logit - highest - Math.log(total));
  }

  // ---------------------------------------------------------------- greedy search

  // Takes the most probable piece each time. `step()` takes one, and returns whether more may come.
  class GreedySearch {
    constructor(model, source) {
      Object.assign(this, { model, ids: [], weights: [], logProb: 0, isOver: false });
      this.next = model.step(BOS, model.start(source));
    }

    step() {
      const logProbs = logProbabilities(this.next.logits);
      const id = logProbs.indexOf(logProbs.reduce((a, b) => Math.max(a, b)));
      this.logProb += logProbs[id];
      this.weights.push(this.next.weights);  // of the piece that is chosen now, the end included
      if (id !== EOS) this.ids.push(id);
      this.isOver = id === EOS || this.ids.length === MAX_LENGTH;
      if (!this.isOver) this.next = this.model.step(id, this.next.state);
      return !this.isOver;
    }
  }

  // ---------------------------------------------------------------- beam search

  // ((5 + n) / 6) ** α, by which a log-probability of n pieces is divided
  const normalizer = (length, penalty) => ((5 + length) / 6) ** penalty;

  // Keeps the best `size` hypotheses after each piece, as the library's beam_search does with patience
  // 1: the search is over when `size` of them have ended. The tree of all hypotheses that were ever
  // kept hangs on `root`: a node is a piece after its parent. `steps` has what each step kept and
  // ended, best first: {node, end, logProb}, where `end` is the hypothesis that ends after `node`.
  class BeamSearch {
    constructor(model, source, { size = 5, penalty = 1 } = {}) {
      Object.assign(this, { model, size, penalty, length: 0, numFinished: 0, finished: [], steps: [], isOver: false });
      this.root = { id: BOS, parent: null, children: [], logProb: 0, end: null };
      this.beam = [{ node: this.root, ...model.step(BOS, model.start(source)) }];
    }

    step() {
      this.length += 1;
      const kept = [], step = [];
      this.bestContinuations().forEach(({ logProb, partial, id }, rank) => {
        const parent = partial.node;
        if (id === EOS) {
          if (rank < this.size) step.push({ node: parent, end: this.finish(parent, logProb), logProb });
        } else if (kept.length < this.size) {
          const node = { id, parent, children: [], logProb, end: null };
          parent.children.push(node);
          kept.push({ node, state: partial.state });
          step.push({ node, end: null, logProb });
        }
      });
      this.steps.push(step);
      if (this.length === MAX_LENGTH) {
        kept.forEach(({ node }) => this.finish(node, node.logProb));
        this.isOver = true;
      } else {
        this.isOver = kept.length === 0 || this.numFinished >= this.size;
      }
      this.beam = this.isOver ? [] : kept.map(({ node, state }) => ({ node, ...this.model.step(node.id, state) }));
      return !this.isOver;
    }

    // Twice the beam: at most `size` of them end. Equal ones stay in order.
    bestContinuations() {
      const best = [], count = 2 * this.size;
      for (const partial of this.beam) {
        logProbabilities(partial.logits).forEach((logProb, id) => {
          const total = partial.node.logProb + logProb;
          if (total === -Infinity || (best.length === count && total <= best[count - 1].logProb)) return;
          const at = best.findIndex((other) => other.logProb < total);
          best.splice(at < 0 ? best.length : at, 0, { logProb: total, partial, id });
          best.length = Math.min(best.length, count);
        });
      }
      return best;
    }

    finish(node, logProb) {
      const score = logProb / normalizer(this.length, this.penalty);
      const hypothesis = { node, ids: idsOf(node), logProb, score, length: this.length };
      node.end = hypothesis;
      this.numFinished += 1;
      this.finished.push(hypothesis);
      this.finished.sort((a, b) => b.score - a.score);
      this.finished.length = Math.min(this.finished.length, this.size);
      return hypothesis;
    }
  }

  // The pieces from the root of the tree to a node.
  function idsOf(node) {
    const ids = [];
    for (; node.parent; node = node.parent) ids.unshift(node.id);
    return ids;
  }

  // The tree with a line for each run of pieces without a branch: {ids, logProb, end, isOpen, children}.
  // `open` are the nodes of the beam; a run that neither ended nor is open was given up.
  function runsOf(node, open) {
    const ids = [node.id];
    while (node.children.length === 1 && !node.end) ids.push((node = node.children[0]).id);
    return {
      ids, logProb: node.logProb, end: node.end, isOpen: open.includes(node),
      children: node.children.map((child) => runsOf(child, open)),
    };
  }

  Object.assign(LiveModels, { GreedySearch, BeamSearch, idsOf, runsOf, logProbabilities, gruCell, MAX_LENGTH });
})();
