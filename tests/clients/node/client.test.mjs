// ZeroEntropy's Node client against a live server. Address and key come from the environment, as in production.

import assert from "node:assert/strict";
import { test } from "node:test";
import ZeroEntropy from "zeroentropy";

const WIDTH = 384;
const client = new ZeroEntropy();

test("embed keeps the order of its input", async () => {
  const input = ["hello world", "", "the train leaves at noon"];
  const { results, usage } = await client.models.embed({ model: "zembed-1", input_type: "document", input });
  assert.deepEqual(results.map((result) => result.embedding.length), [WIDTH, WIDTH, WIDTH]);
  assert.equal(usage.total_bytes, input.reduce((sum, text) => sum + 150 + Buffer.byteLength(text), 0));
  const [alone] = (await client.models.embed({ model: "zembed-1", input_type: "document", input: input[2] })).results;
  assert.deepEqual(results[2].embedding, alone.embedding);
});

test("base64 is the little-endian f32 of the float form", async () => {
  const request = { model: "zembed-1", input_type: "query", input: "hello world" };
  const [plain] = (await client.models.embed(request)).results;
  const [encoded] = (await client.models.embed({ ...request, encoding_format: "base64" })).results;
  const bytes = Buffer.from(encoded.embedding, "base64");
  assert.equal(bytes.length, 4 * WIDTH);
  plain.embedding.forEach((value, at) => assert.equal(bytes.readFloatLE(4 * at), Math.fround(value)));
});

test("rerank sorts and cuts", async () => {
  const request = { model: "zerank-2", query: "where is paris?", documents: ["in france", "", "in germany"] };
  const whole = await client.models.rerank(request);
  assert.deepEqual(whole.results.map((result) => result.index).sort(), [0, 1, 2]);
  const scores = whole.results.map((result) => result.relevance_score);
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a));
  const cut = await client.models.rerank({ ...request, top_n: 2 });
  assert.deepEqual(cut.results, whole.results.slice(0, 2));
  assert.equal(whole.actual_latency_mode, "fast");
});

test("an unknown model is not found", async () => {
  await assert.rejects(
    client.models.rerank({ model: "no-such-model", query: "q", documents: ["d"] }),
    (error) => error instanceof ZeroEntropy.NotFoundError && error.message.includes("no-such-model"),
  );
});

test("a wrong type is unprocessable and named", async () => {
  await assert.rejects(
    client.models.embed({ model: "zembed-1", input_type: "query", input: 3 }),
    (error) => error instanceof ZeroEntropy.UnprocessableEntityError && error.error.detail[0].loc.includes("input"),
  );
});

test("a width the model lacks is refused", async () => {
  await assert.rejects(
    client.models.embed({ model: "zembed-1", input_type: "query", input: "hello", dimensions: 7 }),
    (error) => error instanceof ZeroEntropy.BadRequestError || error instanceof ZeroEntropy.UnprocessableEntityError,
  );
});

test("a wrong key is refused once, without retries", async () => {
  let requests = 0;
  const counting = (url, init) => {
    requests += 1;
    return fetch(url, init);
  };
  const stranger = new ZeroEntropy({ apiKey: "another key", fetch: counting });
  await assert.rejects(
    stranger.models.embed({ model: "zembed-1", input_type: "query", input: "hello" }),
    (error) => error instanceof ZeroEntropy.AuthenticationError,
  );
  assert.equal(requests, 1);
});
