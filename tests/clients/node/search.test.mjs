// Collections, documents and searches through ZeroEntropy's Node client against a live server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import ZeroEntropy from "zeroentropy";

const client = new ZeroEntropy();
const collection_name = "from node";
const TEXTS = {
  "a.txt": "The lighthouse keeper counts ships at night.",
  "b.txt": "Käse reift in kühlen Kellern. 🧀 Danach wird er gegessen.",
  "c.txt": "Sourdough bread needs flour, water and salt.",
};

async function indexed() {
  for (let looks = 0; looks < 6000; looks += 1) {
    const status = await client.status.getStatus({ collection_name });
    if (status.num_indexed_documents === status.num_documents) return status;
    await sleep(20);
  }
  throw new Error("it was not indexed in time");
}

before(async () => {
  await client.collections.add({ collection_name });
  for (const [path, text] of Object.entries(TEXTS)) {
    const metadata = { first: path[0], "list:tags": ["all", path] };
    await client.documents.add({ collection_name, path, content: { type: "text", text }, metadata });
  }
  await indexed();
});

after(() => client.collections.delete({ collection_name }));

test("collections are listed", async () => {
  const { collection_names } = await client.collections.getList();
  assert.ok(collection_names.includes(collection_name));
});

test("a conflict is told once", async () => {
  let requests = 0;
  const counting = new ZeroEntropy({
    fetch: (url, init) => {
      requests += 1;
      return fetch(url, init);
    },
  });
  await assert.rejects(
    counting.collections.add({ collection_name }),
    (error) => error instanceof ZeroEntropy.ConflictError,
  );
  assert.equal(requests, 1);
});

test("documents tell what they are", async () => {
  const { document } = await client.documents.getInfo({ collection_name, path: "b.txt", include_content: true });
  assert.equal(document.content, TEXTS["b.txt"]);
  assert.equal(document.index_status, "indexed");
  assert.equal(document.size, Buffer.byteLength(TEXTS["b.txt"]));
  assert.equal(await (await fetch(document.file_url)).text(), TEXTS["b.txt"]);
});

test("pages of documents are fetched by hand", async () => {
  const paths = [];
  let path_gt = null;
  for (;;) {
    const page = await client.documents.getInfoList({ collection_name, limit: 2, path_gt });
    if (page.documents.length === 0) break;
    paths.push(...page.documents.map((document) => document.path));
    path_gt = paths.at(-1);
  }
  assert.deepEqual(paths, Object.keys(TEXTS));
});

test("path_gt may stand in the address", async () => {
  const page = await client.documents.getInfoList({ collection_name, limit: 2 }, { query: { path_gt: "a.txt" } });
  assert.deepEqual(page.documents.map((document) => document.path), ["b.txt", "c.txt"]);
});

test("snippets are the characters they say", async () => {
  const { results } = await client.queries.topSnippets({ collection_name, query: "Käse", k: 3, precise_responses: true });
  assert.equal(results[0].path, "b.txt");
  for (const { path, start_index, end_index, content } of results) {
    // Positions count code points, not UTF-16 units.
    assert.equal([...TEXTS[path]].slice(start_index, end_index).join(""), content);
  }
});

test("filters and rerankers", async () => {
  const request = { collection_name, query: "night", k: 10, filter: { "list:tags": { $in: ["a.txt", "c.txt"] } } };
  const { results } = await client.queries.topDocuments({ ...request, reranker: "zerank-2", include_metadata: true });
  assert.deepEqual(results.map((result) => result.metadata.first).sort(), ["a", "c"]);
  await assert.rejects(
    client.queries.topDocuments({ ...request, reranker: "none such" }),
    (error) => error instanceof ZeroEntropy.NotFoundError,
  );
  await assert.rejects(
    client.queries.topPages({ collection_name, query: "x", k: 0 }),
    (error) => error instanceof ZeroEntropy.BadRequestError,
  );
});

test("deleting tells what was there", async () => {
  const content = { type: "auto", base64_data: Buffer.from("some text").toString("base64") };
  await client.documents.add({ collection_name, path: "d.txt", content });
  const { deleted_paths } = await client.documents.delete({ collection_name, path: ["d.txt", "e.txt"] });
  assert.deepEqual(deleted_paths, ["d.txt"]);
});
