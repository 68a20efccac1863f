// llama.cpp (npm node-llama-cpp) as a benchmark peer: node llama_cpp_peer.mjs PACKAGES MODEL THREADS
//
// PACKAGES is the folder that npm installed into. Reads one JSON object per line from standard input,
// {"prompt": tokens, "generate": tokens, "streams": n}, and answers each with {"prefill_s": s, "decode_s": s}, or
// {"error": sentence}: the time until every stream has its first token, and the time of the tokens after it. The
// first line it writes is {"version": text} once the model is loaded.
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

const {getLlama, getModuleVersion} =
    await import(pathToFileURL(path.join(packages, "node_modules/node-llama-cpp/dist/index.js")));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath});
// The last tokens of a vocabulary are often control tokens; any id below them does.
const vocabulary = Math.floor([...model.iterateAllTokens()].length * 15 / 16);
say({version: `llama.cpp ${llama.llamaCppRelease?.release ?? ""} by node-llama-cpp ${await getModuleVersion()}`});

for await (const line of readline.createInterface({input: process.stdin})) {
    try {
        say(await measure(model, vocabulary, JSON.parse(line)));
    } catch (error) {
        say({error: String(error.message ?? error).split("\n")[0]});
    }
}
await context?.dispose();
await model.dispose();
process.exit(0);
