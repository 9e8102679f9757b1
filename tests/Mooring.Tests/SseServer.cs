using System.Collections.Concurrent;
using System.Net;

namespace Mooring.Tests;

/// <summary>A server of 2024-11-05: everything it says comes on the stream of the link.</summary>
internal sealed class SseServer
{
    private readonly ConcurrentDictionary<string, UpstreamExchange> _links = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _clients = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<UpstreamExchange> _called = new();
    private int _refused;
    private int _opened;

    /// <summary>Its capabilities, JSON.</summary>
    public string Capabilities { get; set; } = """{"tools":{}}""";

    /// <summary>Whether no link can be opened.</summary>
    public bool Refuses { get; set; }

    /// <summary>How often one was refused.</summary>
    public int Refused => Volatile.Read(ref _refused);

    /// <summary>The stream of each link on which a call came, in that order; each gateway process has one for lists besides.</summary>
    public IReadOnlyCollection<UpstreamExchange> Streams => [.. _called.Distinct()];

    /// <summary>The streams of links of one client, in any order: the gateway's own are those of <c>mooring</c>.</summary>
    public IReadOnlyList<UpstreamExchange> LinksOf(string client) => [.. _links.Where(link => _clients.GetValueOrDefault(link.Key) == client).Select(link => link.Value)];

    /// <summary>The stream of the link on which a message came.</summary>
    public UpstreamExchange StreamOf(UpstreamExchange message) => _links[message.Query];

    public bool Handle(UpstreamExchange exchange)
    {
        if (exchange.HttpMethod == "GET")
        {
            if (Refuses)
            {
                Interlocked.Increment(ref _refused);
                exchange.Status(HttpStatusCode.ServiceUnavailable);
                return true;
            }

            // Links may be opened at once; two of one name would hear each other's answers.
            var id = $"?link={Interlocked.Increment(ref _opened)}";
            _links[id] = exchange.Stream();
            _ = exchange.RawAsync($"event: endpoint\ndata: /mcp{id}\n\n");
            return true;
        }

        exchange.Status(HttpStatusCode.Accepted);
        if (exchange.Message is { } message && message["id"] is not null && message["method"] is not null && _links.TryGetValue(exchange.Query, out var stream))
        {
            if ((string?)message["method"] == "tools/call")
            {
                _called.Enqueue(stream);
            }
            else if ((string?)message["method"] == "initialize")
            {
                _clients[exchange.Query] = (string)message["params"]!["clientInfo"]!["name"]!;
            }

            var result = (string?)message["method"] switch
            {
                "initialize" => $$$"""{"protocolVersion":"2024-11-05","capabilities":{{{Capabilities}}},"serverInfo":{"name":"one","version":"1"}}""",
                "tools/list" => """{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}""",
                "tools/call" => """{"content":[{"type":"text","text":"done"}]}""",
                _ => "{}",
            };
            _ = stream.SendAsync($$"""{"jsonrpc":"2.0","id":{{exchange.Id}},"result":{{result}}}""");
        }

        return true;
    }
}
