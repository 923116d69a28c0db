// Sends events with Segment's client, as an application would: send.js PACKAGE HOST USER, the write key in WRITE_KEY.
// Prints what the client says about it, as JSON.
const [, , name, host, userId] = process.argv;
const { Analytics } = require(name);

const problems = [];
const delivered = [];
const analytics = new Analytics({
  writeKey: process.env.WRITE_KEY,
  host,
  maxEventsInBatch: 10,
  flushAt: 10,
  flushInterval: 100,
  maxRetries: 3,
  httpRequestTimeout: 20000,
});
analytics.on("error", (error) => problems.push(`${error.code}: ${error.reason}`));
const note = (error, context) => {
  if (error || context.failedDelivery()) problems.push(String((error || context.failedDelivery()).reason));
  else delivered.push(context.event.type);
};

analytics.identify({ userId, traits: { email: "ana@example.com", plan: "premium", address: { city: "Bandung" } } }, note);
for (let i = 1; i <= 25; ++i)
  analytics.track({ userId, event: "Order Completed", properties: { number: i, total: 12.5 * i, note: "é \u{1F600}" } }, note);
analytics.page({ userId, name: "Home", properties: { url: "https://shop.example/" } }, note);
analytics.screen({ userId, name: "Cart" }, note);
analytics.group({ userId, groupId: "acme", traits: { employees: 329 } }, note);
analytics.alias({ userId, previousId: "ana-before" }, note);
analytics.track({ anonymousId: `anonymous-${userId}`, event: "Signed Up", timestamp: new Date("2025-01-31T08:30:00Z") }, note);

analytics.closeAndFlush({ timeout: 30000 }).then(() => {
  console.log(JSON.stringify({ delivered: delivered.sort(), problems }));
});
