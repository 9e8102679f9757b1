using System.Text;
using System.Text.Json.Nodes;

namespace Mooring.Chaos.Clients;

/// <summary>One block of an event stream. A comment alone is one too: it shows that the stream lives.</summary>
internal sealed record EventBlock(string? Id, string? Event, string? Data, int? Retry)
{
    public JsonObject? Message => string.IsNullOrEmpty(Data) || Event is not (null or "message") ? null : JsonNode.Parse(Data) as JsonObject;
}

/// <summary>Reads an event stream, written apart from the code under test. Whoever made it disposes it, which closes the connection.</summary>
internal sealed class EventReader(HttpResponseMessage response, Stream body) : IDisposable
{
    /// <summary>
    /// Five keep-alive intervals of the gateways here, and what a busy machine takes: a stream that is silent for longer is dead, whatever
    /// the socket says.
    /// </summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(10);

    private readonly StreamReader _reader = new(body, Encoding.UTF8);

    public static async Task<EventReader> OfAsync(HttpResponseMessage response) => new(response, await response.Content.ReadAsStreamAsync());

    /// <summary>The next block; null at the end, however it came.</summary>
    public async Task<EventBlock?> NextAsync(CancellationToken cancel)
    {
        try
        {
            return await BlockAsync(cancel);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or TimeoutException or ObjectDisposedException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        // The response first: closing the reader alone would read on to the end.
        response.Dispose();
        _reader.Dispose();
    }

    private async Task<EventBlock?> BlockAsync(CancellationToken cancel)
    {
        string? id = null, name = null, data = null;
        int? retry = null;
        var any = false;
        while (await _reader.ReadLineAsync(cancel).AsTask().WaitAsync(LongestSilence, cancel) is { } line)
        {
            if (line.Length == 0)
            {
                if (any)
                {
                    return new EventBlock(id, name, data, retry);
                }

                continue;
            }

            any = true;
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var value = colon < 0 ? "" : line[(colon + 1)..].TrimStart(' ');
            switch (colon < 0 ? line : line[..colon])
            {
                case "id":
                    id = value;
                    break;
                case "event":
                    name = value;
                    break;
                case "data":
                    data = data is null ? value : $"{data}\n{value}";
                    break;
                case "retry":
                    retry = int.Parse(value);
                    break;
            }
        }

        return null;
    }
}
