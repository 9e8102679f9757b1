// An MCP server on standard streams that can be made to fail: stdio-server.mjs [STARTS-FILE [crash]]
// STARTS-FILE gets a line with the time (ms) of each start; with "crash" it then ends at once.
// Tools: echo answers its text; pid the process id; hold never answers; crash ends the process.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [starts, mode] = process.argv.slice(2);
if (starts) {
  appendFileSync(starts, `${Date.now()}\n`);
}
if (mode === 'crash') {
  process.exit(3);
}

const tools = ['echo', 'pid', 'hold', 'crash'].map((name) => ({ name, inputSchema: { type: 'object' } }));
const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (id, value) => say({ id, result: { content: [{ type: 'text', text: String(value) }] } });

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || method === undefined) {
    return;
  }
  switch (method) {
    case 'initialize':
      return say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'stdio', version: '1' } } });
    case 'tools/list':
      return say({ id, result: { tools } });
    case 'tools/call':
      switch (params.name) {
        case 'echo':
          return text(id, params.arguments?.text);
        case 'pid':
          return text(id, process.pid);
        case 'crash':
          return process.exit(7);
        default:
          return undefined;
      }
    default:
      return say({ id, result: {} });
  }
});
