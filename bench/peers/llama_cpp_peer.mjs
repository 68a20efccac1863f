// llama.cpp (npm node-llama-cpp) as a benchmark peer: node llama_cpp_peer.mjs PACKAGES MODEL THREADS
//
// PACKAGES is the folder that npm installed into. Reads one JSON object per line from standard input,
// {"prompt": tokens, "generate": tokens, "streams": n}, and answers each with {"prefill_s": s, "decode_s": s}, or
// {"error": sentence}: the time until every stream has its first token, and the time of the tokens after it. The
// first line it writes is {"version": text} once the model is loaded.
//
// {"exact": file, "kv": "F16"} asks for something else: how far llama.cpp's probabilities, with keys and values of that
// type, lie from those whose logits the file holds (as tests/golden/kld_golden.h describes it); the answer has the
// members of `sums` below.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import {pathToFileURL} from "node:url";

const [packages, modelPath, threads] = process.argv.slice(2);
const say = (object) => process.stdout.write(JSON.stringify(object) + "\n");

// Ids spread over the vocabulary, others for every stream and run.
function tokens(count, series, vocabulary) {
    const ids = [];
    let state = BigInt(series + 1) * 0x9e3779b97f4a7c15n;
    for (let i = 0; i < count; i++) {
        state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
        ids.push(Number((state >> 33n) % BigInt(vocabulary)));
    }
    return ids;
}

let context, contextKey, runs = 0;

async function contextFor(model, {prompt, generate, streams}) {
    const key = `${prompt}/${generate}/${streams}`;
    if (contextKey !== key) {
        if (context) await context.dispose();
        context = await model.createContext({
            contextSize: prompt + generate + 16, sequences: streams, batchSize: 512, threads: Number(threads)
        });
        context.streams = Array.from({length: streams}, () => context.getSequence());
        contextKey = key;
    }
    return context.streams;
}

const seconds = (start) => Number(process.hrtime.bigint() - start) / 1e9;

async function measure(model, vocabulary, run) {
    const streams = await contextFor(model, run);
    for (const stream of streams) await stream.clearHistory();
    runs += 1;
    const options = {temperature: 0, yieldEogToken: true};
    const prompts = streams.map((_, i) => tokens(run.prompt, runs * 1000 + i, vocabulary));
    let start = process.hrtime.bigint();
    const generators = streams.map((stream, i) => stream.evaluate(prompts[i], options));
    await Promise.all(generators.map((generator) => generator.next()));
    const prefill_s = seconds(start);
    start = process.hrtime.bigint();
    const ends = await Promise.all(generators.map(async (generator) => {
        for (let i = 0; i < run.generate; i++)
            if ((await generator.next()).done) return true;
        return false;
    }));
    const decode_s = seconds(start);
    for (const generator of generators) await generator.return();
    if (ends.some((ended) => ended)) throw new Error("a stream ended before its last token");
    return {prefill_s, decode_s};
}

function logSumExp(logits) {
    let largest = -Infinity, sum = 0;
    for (const logit of logits) largest = Math.max(largest, logit);
    for (const logit of logits) sum += Math.exp(logit - largest);
    return largest + Math.log(sum);
}

const mostProbable = (logits) => logits.reduce((best, logit, id) => logit > logits[best] ? id : best, 0);

function addPosition(sums, exact, logits, next) {
    const exactTotal = logSumExp(exact), total = logSumExp(logits);
    let divergence = 0;
    for (let id = 0; id < exact.length; id++) {
        const p = exact[id] - exactTotal, q = logits[id] - total;
        divergence += Math.exp(p) * (p - q);
    }
    sums.divergence += divergence;
    sums.largest = Math.max(sums.largest, divergence);
    sums.exact_nll += exactTotal - exact[next];
    sums.nll += total - logits[next];
    sums.top1_equal += mostProbable(exact) === mostProbable(logits) ? 1 : 0;
    sums.positions += 1;
}

async function diverge(model, {exact, kv}) {
    const file = fs.openSync(exact);
    const read = (bytes, position) => {
        const buffer = new ArrayBuffer(bytes);
        if (fs.readSync(file, new Uint8Array(buffer), 0, bytes, position) !== bytes) throw new Error(`${exact} is cut off`);
        return buffer;
    };
    const [vocabulary, count, length] = new Int32Array(read(12, 0));
    const ids = [...new Int32Array(read(4 * count, 12))];
    const exactLogits = (index) => new Float32Array(read(4 * vocabulary, 12 + 4 * count + 4 * vocabulary * index));
    const reader = await model.createContext({
        contextSize: length + 16, sequences: 1, batchSize: 512, threads: Number(threads),
        experimentalKvCacheKeyType: kv, experimentalKvCacheValueType: kv
    });
    const sums = {divergence: 0, largest: 0, nll: 0, exact_nll: 0, top1_equal: 0, positions: 0};
    const unchanged = {temperature: 1, topK: 0, topP: 1, minP: 0};  // the logits as they are
    const sequence = reader.getSequence();
    for (let first = 0; first < count; first += length) {
        const part = ids.slice(first, first + length);
        await sequence.clearHistory();
        await sequence.controlledEvaluate(
            part.map((id) => [id, {generateNext: {logits: true, options: unchanged}}]),
            {onTokenResult(index, result) {
                const logits = new Float32Array(vocabulary).fill(-Infinity);
                for (const [id, logit] of result.next.logits) logits[id] = logit;
                delete result.next.logits;  // a map of the whole vocabulary for each token
                if (index + 1 < part.length) addPosition(sums, exactLogits(first + index), logits, part[index + 1]);
            }});
    }
    await reader.dispose();
    fs.closeSync(file);
    return sums;
}

const {getLlama, getModuleVersion} =
    await import(pathToFileURL(path.join(packages, "node_modules/node-llama-cpp/dist/index.js")));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath});
// The last tokens of a vocabulary are often control tokens; any id below them does.
const vocabulary = Math.floor([...model.iterateAllTokens()].length * 15 / 16);
say({version: `llama.cpp ${llama.llamaCppRelease?.release ?? ""} by node-llama-cpp ${await getModuleVersion()}`});

for await (const line of readline.createInterface({input: process.stdin})) {
    try {
        const run = JSON.parse(line);
        say(run.exact ? await diverge(model, run) : await measure(model, vocabulary, run));
    } catch (error) {
        say({error: String(error.message ?? error).split("\n")[0]});
    }
}
await context?.dispose();
await model.dispose();
process.exit(0);
