// An MCP server on standard streams for one link that many share: shared-server.mjs STARTS-FILE
// STARTS-FILE gets a line for each start; if a file STARTS-FILE.hang exists, the server then reads and never answers.
// Tools: pid the process id; hold answers when release is called with the same text; say sends a log message with its text;
// touch sends tools/list_changed; seen tells with what capabilities it was opened and which held texts were cancelled.
import { appendFileSync, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [starts] = process.argv.slice(2);
const hangs = existsSync(`${starts}.hang`);
appendFileSync(starts, `${process.pid}\n`);

const tools = ['pid', 'hold', 'release', 'say', 'touch', 'seen'].map((name) => ({ name, inputSchema: { type: 'object' } }));
const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (id, value) => say({ id, result: { content: [{ type: 'text', text: String(value) }] } });
const held = new Map();
const cancelled = [];
let capabilities;

function call(id, { name, arguments: { text: word } = {} }) {
  switch (name) {
    case 'pid':
      return text(id, process.pid);
    case 'hold':
      return held.set(id, word);
    case 'release':
      for (const [heldId, heldWord] of held) {
        if (heldWord === word) {
          held.delete(heldId);
          text(heldId, `released ${word}`);
        }
      }
      return text(id, 'done');
    case 'say':
      say({ method: 'notifications/message', params: { level: 'error', data: word } });
      return text(id, 'said');
    case 'touch':
      tools.push({ name: 'touched', inputSchema: { type: 'object' } });
      say({ method: 'notifications/tools/list_changed' });
      return text(id, 'touched');
    default:
      return text(id, JSON.stringify({ capabilities, held: [...held.values()], cancelled }));
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (hangs) {
    return;
  }
  switch (method) {
    case 'initialize':
      capabilities = params.capabilities;
      return say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: { listChanged: true }, logging: {} }, serverInfo: { name: 'shared', version: '1' } } });
    case 'tools/list':
      return say({ id, result: { tools } });
    case 'tools/call':
      return call(id, params);
    case 'notifications/cancelled':
      if (held.has(params.requestId)) {
        cancelled.push(held.get(params.requestId));
        held.delete(params.requestId);
      }
      return undefined;
    default:
      return id === undefined ? undefined : say({ id, result: {} });
  }
});
