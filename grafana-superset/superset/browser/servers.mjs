// The servers of a test: the stack that is up, as it says itself, and a pipeline on it, which is ended with the test.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const STACK = `${REPOSITORY}deploy/native/stack`;
const WAIT_MS = 600_000;

// What `stack env` says, as variables.
export function stackEnvironment() {
  const found = {};
  for (const line of execFileSync(STACK, ["env"], { encoding: "utf8" }).split("\n")) {
    const [, name, value] = line.match(/^export (\w+)=(.*)$/) ?? [];
    if (name) found[name] = value;
  }
  if (!found.SUPERSET_URL) throw new Error("no Superset is up: deploy/native/stack up --with superset");
  return found;
}

export const passwordOf = (environment, user) => readFileSync(`${environment.SUPERSET_SECRETS}/${user}_password`, "utf8").trim();

const free = async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

// ingest and process with the names that the dashboards look at: database `sales`, and a topic and keyspace of the pipeline's defaults.
export class Pipeline {
  constructor(environment, folder = process.env.TILLFLOW_BIN ?? `${REPOSITORY}target/release`) {
    Object.assign(this, { environment: { ...process.env, ...environment }, folder, running: [] });
  }

  run(program, ...given) {
    return execFileSync(`${this.folder}/${program}`, given, { env: this.environment, encoding: "utf8", maxBuffer: 1 << 26 });
  }

  async start() {
    this.run("pipeline", "schema", "apply");
    this.port = await free();
    for (const [command, ...settings] of [["ingest", `receive.listen=127.0.0.1:${this.port}`], ["process"]]) {
      const manage = await free();
      const given = [...settings, `manage.listen=127.0.0.1:${manage}`].flatMap((setting) => ["--set", setting]);
      const log = { stdio: ["ignore", "ignore", "pipe"], env: this.environment };
      const child = spawn(`${this.folder}/pipeline`, [command, ...given], log);
      let said = "";
      child.stderr.on("data", (text) => (said = (said + text).slice(-4000)));
      this.running.push({ command, child, manage });
      await until(`${command} is ready`, async () => {
        if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}: ${said}`);
        return (await fetch(`http://127.0.0.1:${manage}/readyz`).catch(() => null))?.ok;
      });
    }
  }

  get url() {
    return `http://127.0.0.1:${this.port}/v1/orders`;
  }

  // Sends orders until `end` is called, which waits until each that was sent has an outcome.
  load(...given) {
    const child = spawn(`${this.folder}/loadgen`, ["run", "--url", this.url, ...given], { env: this.environment, stdio: "ignore" });
    this.running.push({ command: "loadgen", child });
    return {
      end: async () => {
        if (child.exitCode !== null) return;
        child.kill("SIGINT");
        await once(child, "exit");
      },
    };
  }

  async send(order) {
    const reply = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(order) });
    if (reply.status !== 202) throw new Error(`${reply.status}: ${await reply.text()}`);
  }

  // The ledger when all that the log holds is counted: orders and their total in minor units, over all partitions.
  async ledger() {
    let found;
    await until("the ledger balances", async () => {
      try {
        found = JSON.parse(this.run("pipeline", "ledger", "--json"));
        return true;
      } catch (error) {
        if (error.status !== 1) throw error;
        await new Promise((go) => setTimeout(go, 1000));
        return false;
      }
    });
    const sum = (key) => found.partitions.reduce((all, partition) => all + BigInt(partition[key]), 0n);
    return { orders: sum("orders"), total_minor: sum("total_minor"), duplicates: sum("duplicates"), dead: sum("dead") };
  }

  async stop() {
    for (const { command, child } of this.running.splice(0).reverse()) {
      if (child.exitCode !== null) continue;
      child.kill(command === "loadgen" ? "SIGINT" : "SIGTERM");
      await once(child, "exit");
    }
  }
}

// One query to ClickHouse, as rows of numbers and strings.
export async function clickhouse(environment, sql) {
  const headers = { "X-ClickHouse-User": environment.PIPELINE_CLICKHOUSE_USER ?? "default" };
  if (environment.PIPELINE_CLICKHOUSE_PASSWORD_FILE)
    headers["X-ClickHouse-Key"] = readFileSync(environment.PIPELINE_CLICKHOUSE_PASSWORD_FILE, "utf8").trim();
  const reply = await fetch(`${environment.PIPELINE_CLICKHOUSE_URL}/`, { method: "POST", headers, body: `${sql} FORMAT JSONCompactEachRow` });
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
  return text.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

export async function until(what, holds, wait_ms = WAIT_MS) {
  const deadline = Date.now() + wait_ms;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not after ${wait_ms / 1000} s: ${what}`);
    await new Promise((go) => setTimeout(go, 100));
  }
}
