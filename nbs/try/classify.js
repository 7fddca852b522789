/* The packaged model of arxiv_nbclf in a browser: from a text to words, scores, probabilities and reasons.
 *
 * Pure functions; the page is the business of page.js. Each does what the Python function of that name does (arxiv_nbclf.classifiers.linear,
 * calibration and deployment.prediction), and tests/test_try.py holds the two side by side. Numbers are 64 bits wide but where Python's are
 * 32. `read` unpacks the first part of what tools/try_model.py has written, and `complete` adds the other; everything else takes the result
 * as `model`.
 */
"use strict";

const arxivNbclf = (() => {
  const ARRAYS = {U8: Uint8Array, F16: Uint16Array, F32: Float32Array}; // safetensors' names of types

  /** A number of 16 bits, of which few browsers have an array. */
  const half = (bits) => {
    const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    return (bits >> 15 ? -1 : 1) * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
  };

  const bytesOf = (base64) => {
    const letters = atob(base64), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  };

  /** The arrays of a safetensors file: eight bytes with the length of a header, the header as JSON, then the numbers. */
  const readArrays = (bytes) => {
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    delete header.__metadata__;
    const array = ({dtype, data_offsets: [from, to]}) => new ARRAYS[dtype](bytes.slice(start + from, start + to).buffer);
    return Object.fromEntries(Object.entries(header).map(([name, entry]) => [name, array(entry)]));
  };

  /** Ascending numbers of the gaps between them; 255 stands for 255 and more to come. */
  const fromGaps = (gaps, count) => {
    const numbers = new Int32Array(count);
    let sum = 0, place = 0;
    for (const gap of gaps) {
      sum += gap;
      if (gap < 255) numbers[place] = sum + place++;
    }
    return numbers;
  };

  /** Features with how rare they are and their embeddings, four bits a number. */
  const readFeatures = ({gaps, rarities, codes, exponents}, steps) => ({
    buckets: fromGaps(gaps, rarities.length), idf: Float32Array.from(rarities, (rarity) => 1 + Math.fround(rarity / steps)), codes, exponents,
  });

  /** A model to work with, of what model.js holds: it knows the most frequent features alone. */
  const read = (packed) => {
    const {output, bias, ...features} = readArrays(bytesOf(packed.weights)), {longest, pattern} = packed.withdrawn;
    return {
      ...packed, weights: null, stopWords: new Set(packed.stop_words), withdrawn: {longest, pattern: new RegExp(pattern, "i")},
      tex: new RegExp(packed.known.tex, "g"), output: Float32Array.from(output, half), bias,
      parts: [readFeatures(features, packed.rarity_steps)], listed: {...packed.listed, arrays: null},
    };
  };

  /** The whole model, with what model-more.js holds; null if that is the other part of another model. */
  const complete = (model, more) => {
    if (model.version !== more.version) return null;
    const {listed_slopes, listed_weights, listed_bias, listed_thresholds, ...features} = readArrays(bytesOf(more.weights));
    const parts = [...model.parts, readFeatures(features, model.rarity_steps)];
    const arrays = {slopes: listed_slopes, weights: listed_weights, bias: listed_bias, thresholds: listed_thresholds};
    return {...model, parts, listed: {...model.listed, arrays}};
  };

  const isWhole = (model) => model.listed.arrays !== null;

  /** Whether an abstract is a notice that the paper was withdrawn. */
  const isWithdrawn = ({withdrawn: {longest, pattern}}, summary) =>
    [...summary].length <= longest && pattern.test(summary.trim().split(/\s+/).join(" "));

  /** A joined text as the model reads it: the separator token is no word, and a notice is no abstract. */
  const prepare = (model, text) => {
    if (model.separator === model.mark) return text;
    const token = model.mark.trim(), place = text.indexOf(token);
    if (place >= 0 && isWithdrawn(model, text.slice(place + token.length))) return text.slice(0, place).replace(/ +$/, "") + model.separator;
    return text.replaceAll(model.mark, model.separator).replaceAll(token, model.separator);
  };

  /** Text as the tokeniser sees it: lower-case, accents off. */
  const fold = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]+/g, "").toLowerCase();

  /** Words in order, less stop words; then neighbouring ones as pairs. */
  const tokens = (model, text, pairs = true) => {
    const words = (fold(text).match(/[a-z0-9]{2,}/g) ?? []).filter((word) => !model.stopWords.has(word));
    return pairs ? words.concat(words.slice(1).map((word, i) => `${words[i]} ${word}`)) : words;
  };

  /** The 32-bit FNV-1a hash; a token has a byte a letter. */
  const fnv1a = (token) => {
    let value = 0x811c9dc5;
    for (let i = 0; i < token.length; i++) value = Math.imul(value ^ token.charCodeAt(i), 0x01000193);
    return value >>> 0;
  };

  /** The bucket that counts a token: the hash, its high bits folded onto the low ones. */
  const bucket = (token, bits) => {
    const value = fnv1a(token);
    return (value ^ (value >>> bits)) & ((1 << bits) - 1);
  };

  /** The words that a text begins with, without stop words, numbers and TeX; each once. */
  const firstWords = (model, text) => {
    const {first} = model.known, start = [...[...text].slice(0, 40 * first).join("").replace(model.tex, " ")].slice(0, 12 * first).join("");
    return [...new Set(tokens(model, start, false).filter((word) => !/^[0-9]+$/.test(word)))].slice(0, first);
  };

  /** Where a bucket is: its part and row, or null if it is no feature. */
  const feature = (model, where) => {
    for (const part of model.parts) {
      let low = 0, high = part.buckets.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (part.buckets[middle] < where) low = middle + 1;
        else high = middle;
      }
      if (part.buckets[low] === where) return {part, row: low};
    }
    return null;
  };

  /** Whether a text has enough words that were common in training; the first part has all of those. */
  const knowsEnough = (model, text) => {
    const words = firstWords(model, text), {least, share, limit} = model.known;
    const found = words.map((word) => feature(model, bucket(word, model.bits))).filter((place) => place !== null);
    const known = found.map(({part, row}) => part.idf[row]).filter((idf) => idf <= limit && idf < model.rarest);
    return known.length >= Math.max(least, share * words.length);
  };

  const counted = (items) => {
    const times = new Map();
    for (const item of items) times.set(item, (times.get(item) ?? 0) + 1);
    return times;
  };

  /** Sublinear tf-idf of unit length: bucket → value and place, in descending order; and how often each bucket and each token occurs. */
  const features = (model, text) => {
    const found = tokens(model, prepare(model, text)), hits = counted(found.map((token) => bucket(token, model.bits)));
    const known = [...hits].map(([where, times]) => ({where, times, place: feature(model, where)})).filter(({place}) => place !== null);
    known.sort((a, b) => b.where - a.where); // as SciPy's sparse product leaves them
    for (const one of known) one.value = (1 + Math.log(one.times)) * one.place.part.idf[one.place.row];
    const inverse = 1 / Math.max(Math.sqrt(known.reduce((sum, {value}) => sum + value * value, 0)), 1e-12);
    const values = new Map(known.map(({where, value, place}) => [where, {value: Math.fround(value * inverse), ...place}]));
    return {values, hits, times: counted(found)};
  };

  /** The embedding of a feature: steps of four bits times a power of two, in 32 bits. */
  const embedding = ({width}, {part: {codes, exponents}, row}) => {
    const scale = Math.fround(2 ** (exponents[row] / 4 - 50)), numbers = new Float32Array(width);
    for (let i = 0; i < width; i++) {
      const code = codes[(row * width + i) >> 1];
      numbers[i] = ((i % 2 ? code >> 4 : code & 15) - 8) * scale;
    }
    return numbers;
  };

  /** All scores: of being the primary category, then of being listed. */
  const scores = (model, values) => {
    const {width, output, bias} = model, hidden = new Float32Array(width), found = Array.from(bias);
    for (const place of values.values()) {
      const numbers = embedding(model, place);
      for (let i = 0; i < width; i++) hidden[i] += Math.fround(place.value * numbers[i]);
    }
    const sum = (column) => hidden.reduce((sum, number, i) => Math.fround(sum + number * output[i * found.length + column]), 0);
    return found.map((constant, column) => Math.fround(sum(column) + constant)); // rounded where a matrix product of 32 bits is
  };

  /** Numbers that may become a label or probabilities: NaN has no place among them. */
  const finite = (numbers) => {
    if (numbers.every(Number.isFinite)) return numbers;
    throw new RangeError("The model is damaged: its scores are not finite numbers, so there is no answer.");
  };

  const argmax = (numbers) => numbers.indexOf(Math.max(...numbers)); // the first of equals

  const softmax = (numbers) => {
    const most = Math.max(...finite(numbers)), powers = numbers.map((number) => Math.exp(number - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  };

  const logistic = (score) => 1 / (1 + Math.exp(-score));

  /** Correct how sure the most probable class is; the others share the rest. */
  const withTop = (probabilities, [ofOdds, ofLog, constant], hair) => {
    if (ofOdds === 1 && ofLog === 0 && constant === 0) return probabilities;
    const best = argmax(probabilities), before = Math.min(1 - 1e-6, Math.max(1e-6, probabilities[best]));
    const others = probabilities.filter((_, i) => i !== best), second = Math.max(...others);
    const rest = Math.max(others.reduce((sum, one) => sum + one, 0), 1e-300);
    const odds = ofOdds * Math.log(before / (1 - before)) + ofLog * Math.log(before) + constant;
    const after = Math.max(logistic(odds), second / (rest + second) + hair); // never below the next class, nor level with it
    return probabilities.map((one, i) => (i === best ? after : one * ((1 - after) / rest)));
  };

  /** Probabilities of the categories: a temperature, a bias for each, and a curve for the most probable one. */
  const calibrate = ({calibration: {temperature, bias, top}, hair}, found) =>
    finite(withTop(softmax(bias.map((constant, i) => found[i] / temperature + constant)), top, hair));

  /** Probabilities of the groups: sums over their categories. */
  const groupSums = ({groups, group_of}, probabilities) => {
    const sums = groups.map(() => 0);
    probabilities.forEach((probability, i) => { sums[group_of[i]] += probability; });
    return sums;
  };

  const range = (length) => Array.from({length}, (_, i) => i);

  /** Places of the most probable category of the most probable group, then of the most probable others. */
  const bestCategories = ({group_of, top}, probabilities, group) => {
    const ranked = range(probabilities.length).sort((a, b) => probabilities[b] - probabilities[a]); // the first of equals stays the first
    const first = ranked.find((i) => group_of[i] === group);
    return [first, ...ranked.filter((i) => i !== first)].slice(0, top);
  };

  /** The same, with one category in front: it shares equally with those that passed it. */
  const leading = ({hair}, probabilities, decided) => {
    if (argmax(probabilities) === decided) return probabilities;
    const others = probabilities.filter((_, i) => i !== decided).sort((a, b) => b - a);
    let sum = probabilities[decided], shared = 0;
    while (shared < others.length && sum / (shared + 1) < others[shared]) sum += others[shared++];
    const level = sum / (shared + 1);
    return probabilities.map((one, i) => (i === decided ? level + hair : Math.min(one, level)) / (1 + hair));
  };

  /** Probabilities of being listed under each category, as primary or not. */
  const listedChances = ({listed: {least, arrays: {slopes, weights, bias}}}, probabilities, own) => {
    const n = probabilities.length, clipped = own.map((score) => Math.min(20, Math.max(-20, score)));
    const shared = [...probabilities, ...clipped.map(logistic)];
    return probabilities.map((probability, i) => {
      let score = Math.log(Math.max(probability, least)) * slopes[2 * i] + clipped[i] * slopes[2 * i + 1] + bias[i];
      for (let j = 0; j < shared.length; j++) score += shared[j] * weights[j * n + i];
      return Math.max(logistic(score), probability);
    });
  };

  /** Categories besides the primary one that a paper may be listed under, the most probable first. */
  const crossLists = ({listed: {most, arrays: {thresholds}}}, chances, primary) =>
    range(chances.length).filter((i) => i !== primary && chances[i] >= thresholds[i]).sort((a, b) => chances[b] - chances[a]).slice(0, most);

  /** The column of the output that scores a category, less the mean of all categories: probabilities know no more of it. */
  const centred = ({labels, width, output, bias}, category) => {
    const n = labels.length, less = (numbers) => numbers[category] - numbers.reduce((sum, number) => sum + number, 0) / n;
    return {column: range(width).map((i) => less(output.subarray(2 * n * i, 2 * n * i + n))), constant: less(bias.subarray(0, n))};
  };

  /** What each word adds to a category's score, the strongest first; in sum with the constant the score above the mean of all. */
  const contributions = (model, {values, hits, times}, column) => [...times].flatMap(([unit, often]) => {
    const where = bucket(unit, model.bits), place = values.get(where);
    if (place === undefined) return [];
    const weight = embedding(model, place).reduce((sum, number, i) => sum + number * column[i], 0);
    return [{unit, times: often, contribution: place.value * weight * often / hits.get(where)}];
  }).sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));

  /** Where the words of a text stand: those of `tokens` without pairs, each with its beginning and end. */
  const spans = (model, text) => {
    const places = [];
    let folded = "", at = 0;
    for (const letter of text) { // one by one, for folding changes lengths
      const plain = fold(letter), place = {from: at, to: at += letter.length};
      for (let i = 0; i < plain.length; i++) places.push(place);
      folded += plain;
    }
    const found = [...folded.matchAll(/[a-z0-9]{2,}/g)];
    return found.map(({0: word, index}) => ({word, from: places[index].from, to: places[index + word.length - 1].to}))
      .filter(({word}) => !model.stopWords.has(word));
  };

  /** What each word adds where it stands, in all the sum of the contributions: its own, and half of each pair that it is in. */
  const spoken = (units, words) => {
    const each = new Map(units.map(({unit, times, contribution}) => [unit, contribution / times]));
    const halves = words.slice(1).map((word, i) => (each.get(`${words[i]} ${word}`) ?? 0) / 2);
    return words.map((word, i) => (each.get(word) ?? 0) + (halves[i - 1] ?? 0) + (halves[i] ?? 0));
  };

  /** The words of a title and an abstract with what they add; null where the model reads other words than stand there. */
  const highlights = (model, title, summary, units) => {
    const gone = isWithdrawn(model, summary), fields = [title, gone ? "" : summary].map((text) => spans(model, text));
    const words = fields.flat().map(({word}) => word), parts = spoken(units, words);
    if (words.join(" ") !== tokens(model, prepare(model, join(model, title, summary)), false).join(" ")) return null;
    return fields.map((field, i) => field.map((span, j) => ({...span, share: parts[i * fields[0].length + j]})));
  };

  /** A paper as the model sees it. */
  const join = (model, title, summary) => title + model.mark + summary;

  /** Everything about one text; what only the whole model knows is null without its other part. */
  const classify = (model, text) => {
    const seen = features(model, text), found = finite(scores(model, seen.values)), n = model.labels.length;
    const plain = calibrate(model, found), group = argmax(groupSums(model, plain)), [primary] = bestCategories(model, plain, group);
    const probabilities = leading(model, plain, primary), groups = groupSums(model, probabilities);
    const best = bestCategories(model, probabilities, group);
    const listed = isWhole(model) ? finite(listedChances(model, plain, found.slice(n))) : null;
    const chances = listed && listed.map((chance, i) => Math.max(chance, probabilities[i]));
    const {column, constant} = centred(model, primary);
    return {
      group, groups, best, probabilities, scores: found, constant, chances, crossLists: chances && crossLists(model, chances, primary),
      units: contributions(model, seen, column), known: seen.values.size, enough: knowsEnough(model, prepare(model, text)),
    };
  };

  return {read, complete, isWhole, isWithdrawn, prepare, fold, tokens, firstWords, fnv1a, bucket, features, scores, softmax, calibrate,
    groupSums, bestCategories, listedChances, crossLists, contributions, spans, spoken, highlights, join, classify};
})();
