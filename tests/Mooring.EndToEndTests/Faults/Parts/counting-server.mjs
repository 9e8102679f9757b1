// An MCP server on standard streams that writes down each execution, and dies of some: counting-server.mjs LEDGER
// LEDGER gets a line of JSON for each call: tool, idempotency key, text. It outlives the process.
// Tools: count answers its text; once ends the process at its first call ever and answers after that; again does the same, and says that
// it may be repeated; hold never answers.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [ledger] = process.argv.slice(2);
const tools = ['count', 'once', 'again', 'hold'].map((name) => ({
  name,
  inputSchema: { type: 'object' },
  annotations: { readOnlyHint: false, idempotentHint: name === 'again' },
}));
const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const known = (tool) => existsSync(ledger) && readFileSync(ledger, 'utf8').includes(`"tool":"${tool}"`);

const call = (id, { name, arguments: given, _meta }) => {
  const dies = ['once', 'again'].includes(name) && !known(name);
  appendFileSync(ledger, `${JSON.stringify({ tool: name, key: _meta?.['io.mooring/idempotencyKey'] ?? null, text: given?.text ?? null })}\n`);
  if (dies) {
    process.exit(7);
  }
  if (name !== 'hold') {
    say({ id, result: { content: [{ type: 'text', text: String(given?.text) }] } });
  }
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || method === undefined) {
    return;
  }
  switch (method) {
    case 'initialize':
      return say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'counting', version: '1' } } });
    case 'tools/list':
      return say({ id, result: { tools } });
    case 'tools/call':
      return call(id, params);
    default:
      return say({ id, result: {} });
  }
});
