// A dashboard in Chromium as a person sees it: logged in by the form, and each answer with data that the page gets is kept.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Far longer than it takes: a machine that does much else draws slowly, and nothing here is judged by time.
const SLOW_MS = 600_000;

// Opens Superset and logs in. Ends with `close`.
export async function openSuperset(address, user, password, { width = 1440, height = 1500 } = {}) {
  if (!existsSync(CHROMIUM)) throw new Error(`there is no ${CHROMIUM}: apt-get install chromium, or set CHROMIUM`);
  // Without a sandbox, since it may run as root in a container; it opens no page but ours.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
  const context = await browser.newContext({ viewport: { width, height }, timezoneId: "UTC", locale: "en-US" });
  const page = await context.newPage();
  page.setDefaultTimeout(SLOW_MS);
  const faults = [];
  // Superset's page wants to keep the colours of new labels for whoever looks, is refused where that is no editor, and does not
  // catch the refusal: that one is not ours.
  let refused = 0;
  page.on("response", (response) => {
    const ofColours = /\/api\/v1\/dashboard\/\d+\/colors/.test(response.url());
    if (ofColours && response.status() === 403) refused += 1;
  });
  page.on("pageerror", (error) => {
    if (String(error) === "Response" && refused > 0) refused -= 1;
    else faults.push(`page: ${error}`);
  });
  // No other machine is told anything: Superset's pages have a pixel of another's, which the server's policy keeps from being loaded.
  page.on("response", (response) => {
    const url = new URL(response.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== new URL(address).origin) faults.push(`asked ${url.origin}`);
  });
  await page.goto(`${address}/login/`);
  await page.waitForLoadState("networkidle");
  await page.fill("input[name=username], #username", user);
  await page.fill("input[name=password], #password", password);
  await page.click("button[type=submit], input[type=submit]");
  await page.waitForURL((url) => !url.pathname.startsWith("/login"));
  // A late answer of the login page would overwrite the cookie of the session.
  await page.waitForLoadState("networkidle");
  return { browser, page, faults, address, close: () => browser.close() };
}

// The dashboard, and what each of its charts was last answered: `answers.get(name)` is { status, at, form, queries }.
export async function openDashboard(superset, slug, search = "") {
  const { page, address } = superset;
  const answers = new Map();
  const names = new Map();
  page.on("response", async (response) => {
    if (!response.url().includes("/api/v1/chart/data")) return;
    let name;
    try {
      const asked = response.request().postDataJSON();
      const id = asked.form_data?.slice_id;
      // Filters ask for their values by the same address, and have no chart.
      if (!id) return;
      name = names.get(id) ?? `chart ${id}`;
      const told = response.ok() ? await response.json() : { message: await response.text() };
      answers.set(name, { status: response.status(), at: Date.now(), asked, queries: told.result ?? [], message: told.message });
    } catch (error) {
      // A page that is left takes its answers with it.
      if (!page.isClosed()) answers.set(name ?? "?", { status: 0, at: Date.now(), queries: [], message: String(error) });
    }
  });
  const reply = await page.request.get(`${address}/api/v1/dashboard/${slug}/charts`);
  if (!reply.ok()) throw new Error(`the charts of ${slug}: ${reply.status()} ${await reply.text()}`);
  for (const chart of (await reply.json()).result) names.set(chart.id, chart.slice_name);
  await page.goto(`${address}/superset/dashboard/${slug}/${search}`);
  await page.waitForSelector(".dashboard-grid, [data-test=grid-container]");
  return { ...superset, slug, answers, names: [...names.values()] };
}

// Waits until each chart was answered after `since`, and is drawn. A spinner says nothing: on a slow machine the next round begins before
// the last has ended.
export async function drawn(board, since = 0) {
  const deadline = Date.now() + SLOW_MS;
  const late = () => board.names.filter((name) => !(board.answers.get(name)?.at > since));
  while (late().length) {
    if (Date.now() > deadline) throw new Error(`no answer for ${late().join("; ")}`);
    await board.page.waitForTimeout(100);
  }
  while (!(await panels(board)).every((panel) => panel.drawn || panel.error)) {
    if (Date.now() > deadline) throw new Error(`not drawn: ${JSON.stringify(await panels(board))}`);
    await board.page.waitForTimeout(100);
  }
  // Charts are animated.
  await board.page.waitForTimeout(1500);
}

// What stands in each chart's place: whether something is drawn, the big number if it is one, and what the page says of an error.
export async function panels(board) {
  return await board.page.$$eval("[data-test=dashboard-component-chart-holder], .dashboard-component-chart-holder", (holders) =>
    holders.map((holder) => ({
      name: holder.querySelector("[data-test=editable-title], .header-title")?.textContent?.trim(),
      number: holder.querySelector(".header-line")?.textContent?.trim() ?? null,
      drawn: Boolean(holder.querySelector("canvas, .header-line, table tbody tr")),
      error: holder.querySelector(".ant-alert-error, [data-test=error-message], .error-message")?.textContent ?? null,
    })),
  );
}

// The big number of a panel as it stands on the page, in minor units: its digits.
export async function bigNumber(board, name) {
  const shown = (await panels(board)).find((panel) => panel.name === name)?.number;
  if (!shown) throw new Error(`${name} shows no number`);
  return { shown, minor: BigInt(shown.replace(/[^\d-]/g, "")) };
}

// Chooses a value of one of the dashboard's filters, as a person does, and waits until every chart was answered anew.
export async function choose(board, filter, value) {
  const { page } = board;
  // By the name that the page shows, or by the id that Superset gives to those who cannot see it.
  const id = `NATIVE_FILTER-${filter.toLowerCase().replaceAll(" ", "_")}`;
  const named = (name) => page.getByRole("combobox", { name, exact: true });
  const box = named(filter).or(named(id)).first();
  await box.click();
  await box.pressSequentially(value);
  await page.locator(".ant-select-dropdown:visible .ant-select-item-option", { hasText: value }).first().click();
  await page.keyboard.press("Escape");
  const since = Date.now();
  await page.getByRole("button", { name: /apply filters/i }).click();
  await drawn(board, since);
}

// What a chart's last answer adds up to, in minor units: every number in it but those of other columns.
export function sumOf(board, name, others = ["orders"]) {
  const left = [...others, "time", "sales__contribution"];
  let sum = 0n;
  for (const row of board.answers.get(name).queries[0].data)
    for (const [key, value] of Object.entries(row)) if (typeof value === "number" && !left.includes(key)) sum += minor(value);
  return sum;
}

// A double that stands for a number of cents stands for one only.
export const minor = (value) => BigInt(Math.round(value * 100));
