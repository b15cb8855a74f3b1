// The dashboards in a browser, while the real orders of the Complete Journey are replayed through Kafka, Cassandra and ClickHouse.
//
// It needs a stack that was brought up with Superset and whose database `sales` is new, a built pipeline, and Chromium: `run` beside this
// file brings all of it. Times are printed and not asserted: the refresh is told by the rounds that it takes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { bigNumber, choose, drawn, minor, openDashboard, openSuperset, panels, sumOf } from "./page.mjs";
import { Pipeline, REPOSITORY, clickhouse, passwordOf, stackEnvironment, until } from "./servers.mjs";

// They flow until the page has shown what it is to show.
const ORDERS = 1_400_000;
const RATE = Number(process.env.TILLFLOW_RATE ?? 200);
const PICTURES = process.env.TILLFLOW_PICTURES ?? `${REPOSITORY}target/superset`;
const SUMMED = [
  "Total Sales",
  "Source by Amount",
  "State by Amount with Source breakdown",
  "Top Source, State by Amount",
  "Source, State by Amount",
  "Sales by category",
];

const environment = stackEnvironment();
const pipeline = new Pipeline(environment);
let superset, board, data;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  const script = `${REPOSITORY}loadgen/completejourney/completejourney.py`;
  data = JSON.parse(execFileSync("python3", [script, "fetch", "--orders", String(ORDERS)], { encoding: "utf8" })).path;
  await pipeline.start();
  superset = await openSuperset(environment.SUPERSET_URL, "viewer", passwordOf(environment, "viewer"));
});

after(async () => {
  await superset?.close();
  await pipeline.stop();
});

test("while orders flow each panel is drawn without an error, and the big number moves by itself", async () => {
  const given = ["--data", data, "--orders", String(ORDERS), "--rate", String(RATE), "--duration", `${ORDERS / RATE}s`, "--batch", "10"];
  const load = pipeline.load(...given);
  await until("some orders are counted", async () => {
    const [[orders]] = await clickhouse(environment, "SELECT sum(orders) FROM sales.sales");
    return Number(orders) > 1000;
  });
  board = await openDashboard(superset, "sales");
  await drawn(board);
  await withoutError(board);
  const first = await bigNumber(board, "Total Sales");
  // The page is left alone.
  await until("the big number has moved", async () => (await bigNumber(board, "Total Sales")).minor > first.minor);
  await load.end();
});

test("when the load has ended the big number is the ledger's total, to the cent", async () => {
  const ledger = await pipeline.ledger();
  const [[total, orders]] = await clickhouse(environment, "SELECT toString(sum(total)), sum(orders) FROM sales.sales");
  const expected = BigInt(total.replace(/(\.\d\d)\d*$/, "$1").replace(".", ""));
  await until("the page shows it", async () => (await bigNumber(board, "Total Sales")).minor === expected);
  const { shown } = await bigNumber(board, "Total Sales");
  assert.equal(expected, ledger.total_minor, `the page says ${shown}`);
  assert.equal((await bigNumber(board, "Orders")).minor, ledger.orders);
  assert.equal(BigInt(orders), ledger.orders);
  console.log(`# Total Sales ${shown}, the ledger ${ledger.total_minor} cents of ${ledger.orders} orders`);
});

test("no panel disagrees with another", async () => {
  const { minor: expected } = await bigNumber(board, "Total Sales");
  await drawn(board, Date.now());
  for (const name of SUMMED) assert.equal(sumOf(board, name), expected, name);
});

test("each new order moves the big number in the next round, with the page left alone", async () => {
  // In the time of the orders that are replayed, or the panels by minute would span the years up to now.
  const [[newest]] = await clickhouse(environment, "SELECT formatDateTime(max(minute), '%FT%TZ') FROM sales.sales");
  for (let i = 0; i < 3; i += 1) {
    const before = await bigNumber(board, "Total Sales");
    const sent = Date.now();
    const order = { order_id: `seen-${sent}`, customer_id: 3, source: "Online", quantity: 1, total: 1.01 + i, state: "CA", created_at: newest };
    await pipeline.send(order);
    const wanted = before.minor + minor(order.total);
    await until("ClickHouse has it", async () => {
      const [[total]] = await clickhouse(environment, "SELECT toInt64(sum(total) * 100) FROM sales.sales");
      return BigInt(total) === wanted;
    });
    const counted = Date.now();
    let answer = board.answers.get("Total Sales");
    await until("the number has moved", async () => (await bigNumber(board, "Total Sales")).minor === wanted);
    const moved = Date.now();
    // The first round that was answered two seconds after the order was counted, as long as an answer may be shared, shows it.
    answer = board.answers.get("Total Sales");
    assert.ok(answer.at <= counted + 2_000 + 2 * 10_000 + 30_000, `the round came ${answer.at - counted} ms after the order was counted`);
    const s = (from, to) => ((to - from) / 1000).toFixed(1);
    console.log(`# sent, then counted after ${s(sent, counted)} s, on the page after ${s(sent, moved)} s`);
  }
});

test("a picture of it", async () => {
  await board.page.setViewportSize({ width: 1440, height: 1560 });
  await drawn(board, Date.now());
  await board.page.screenshot({ path: `${PICTURES}/sales.png` });
});

test("a filter by state changes every panel, and they agree again", async () => {
  const unfiltered = new Map(board.names.map((name) => [name, JSON.stringify(board.answers.get(name).queries[0].data)]));
  const total = (await bigNumber(board, "Total Sales")).minor;
  const [[state]] = await clickhouse(environment, "SELECT state FROM sales.sales GROUP BY state ORDER BY sum(total) DESC LIMIT 1");
  await choose(board, "State", state);
  for (const name of board.names.filter((one) => one !== "Freshness"))
    assert.notEqual(JSON.stringify(board.answers.get(name).queries[0].data), unfiltered.get(name), name);
  await withoutError(board);
  const [[cents]] = await clickhouse(environment, `SELECT toInt64(sum(total) * 100) FROM sales.sales WHERE state = '${state}'`);
  assert.equal((await bigNumber(board, "Total Sales")).minor, BigInt(cents));
  assert.notEqual(BigInt(cents), total);
  for (const name of SUMMED) assert.equal(sumOf(board, name), BigInt(cents), name);
  await board.page.screenshot({ path: `${PICTURES}/sales-by-state.png` });
});

test("the second dashboard shows the ledger, in which nothing is wrong", async () => {
  const second = await openDashboard(superset, "pipeline");
  await drawn(second);
  await withoutError(second);
  for (const name of ["Records without an outcome", "Blocks stored more than once"]) assert.equal((await bigNumber(second, name)).minor, 0n, name);
  const ledger = await pipeline.ledger();
  for (const [name, key] of [["Orders stored", "orders"], ["Duplicates", "duplicates"], ["Dead letters", "dead"]])
    assert.equal((await bigNumber(second, name)).minor, ledger[key], name);
  for (const row of second.answers.get("Ledger by partition").queries[0].data) assert.equal(row.missing, 0);
  await second.page.screenshot({ path: `${PICTURES}/pipeline.png` });
});

test("the pages had no fault, and told no other machine anything", () => {
  assert.deepEqual(superset.faults, []);
});

// Each panel shows something, and neither the page nor an answer says that something went wrong.
async function withoutError(one) {
  const shown = new Map((await panels(one)).map((panel) => [panel.name, panel]));
  assert.deepEqual([...shown.keys()].sort(), [...one.names].sort());
  for (const name of one.names) {
    const { status, message, queries } = one.answers.get(name);
    assert.equal(status, 200, `${name}: ${message}`);
    for (const query of queries) assert.equal(query.error, null, name);
    assert.ok(queries[0].rowcount > 0, `${name} has no rows`);
    assert.equal(shown.get(name).error, null, name);
    assert.ok(shown.get(name).drawn, `${name} is not drawn`);
  }
}
