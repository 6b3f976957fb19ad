// Many clients in one process, so that the whole kit is quick: a line has the number of the life that it concerns.

import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";

const [path] = process.argv.slice(2);
const lives = new Map();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { life, environment, line: told, kill } = JSON.parse(line);
  if (environment) {
    const worker = new Worker(path, { env: environment, stdin: true, stdout: true, stderr: true });
    lives.set(life, worker);
    createInterface({ input: worker.stdout }).on("line", (one) => say({ life, line: one }));
    worker.on("error", (error) => say({ life, ended: 1, error: String(error) }));
    worker.on("exit", (code) => lives.delete(life) && say({ life, ended: code }));
  } else if (kill) {
    const worker = lives.get(life);
    lives.delete(life);
    worker?.terminate().then(() => say({ life, killed: true }));
  } else lives.get(life)?.stdin.write(`${told}\n`);
}
process.exit(0);
