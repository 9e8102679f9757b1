using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>One block of an event stream as it came over the wire; a comment alone is one too.</summary>
internal sealed record SseBlock(string? Id, string? Event, string? Data, int? Retry, bool IsComment)
{
    public JsonObject Message => JsonNode.Parse(Data ?? "null") as JsonObject ?? throw new InvalidOperationException($"No message: {this}");
}

/// <summary>
/// Reads an event stream block by block, written apart from the code under test. Whoever opened it disposes it, which closes the
/// connection. One reader at a time.
/// </summary>
internal sealed class SseStream(HttpResponseMessage response, Stream body) : IDisposable
{
    /// <summary>Far more than anything here takes; a wait that runs into it is a failure.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly StreamReader _reader = new(body, Encoding.UTF8);

    public HttpResponseMessage Response => response;

    /// <summary>The last event id seen, with which the stream can be resumed.</summary>
    public string? LastEventId { get; private set; }

    /// <summary>The last reconnection time seen.</summary>
    public int? Retry { get; private set; }

    public int Comments { get; private set; }

    public static async Task<SseStream> OfAsync(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync())}");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return new SseStream(response, await response.Content.ReadAsStreamAsync());
    }

    /// <summary>The next block.</summary>
    /// <returns>Null when the stream came to its end as streams should.</returns>
    /// <exception cref="IOException">It was cut.</exception>
    public async Task<SseBlock?> NextAsync()
    {
        string? id = null, name = null, data = null;
        int? retry = null;
        var comment = false;
        while (true)
        {
            var line = await LineAsync();
            if (line is null)
            {
                return null;
            }

            if (line.Length == 0)
            {
                if (id is null && name is null && data is null && retry is null && !comment)
                {
                    continue;
                }

                LastEventId = id ?? LastEventId;
                Retry = retry ?? Retry;
                Comments += comment ? 1 : 0;
                return new SseBlock(id, name, data, retry, comment);
            }

            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var field = colon < 0 ? line : line[..colon];
            var value = colon < 0 ? "" : line[(colon + 1)..].TrimStart(' ');
            switch (field)
            {
                case "":
                    comment = true;
                    break;
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
                    retry = int.Parse(value, CultureInfo.InvariantCulture);
                    break;
                default:
                    Assert.Fail($"Not a line of an event stream: {line}");
                    break;
            }
        }
    }

    /// <summary>The next message, past comments, primers and reconnection times.</summary>
    public async Task<JsonObject> MessageAsync()
    {
        while (await NextAsync() is { } block)
        {
            if (!string.IsNullOrEmpty(block.Data))
            {
                return block.Message;
            }
        }

        throw new InvalidOperationException("The stream ended before a message came.");
    }

    /// <summary>Messages up to the first that is looked for.</summary>
    public async Task<JsonObject> MessageAsync(Func<JsonObject, bool> wanted)
    {
        while (true)
        {
            var message = await MessageAsync();
            if (wanted(message))
            {
                return message;
            }
        }
    }

    public Task<JsonObject> NotificationAsync(string method) => MessageAsync(message => (string?)message["method"] == method);

    public Task<JsonObject> AnswerAsync(int id) => MessageAsync(message => message["method"] is null && (int?)message["id"] == id);

    /// <summary>Reads on until that many comments came in all.</summary>
    public async Task CommentsAsync(int count)
    {
        while (Comments < count)
        {
            Assert.True(await NextAsync() is not null, $"The stream ended after {Comments} comments.");
        }
    }

    /// <summary>Reads the first event id: the stream can be resumed from there.</summary>
    public async Task<string> FirstIdAsync()
    {
        while (LastEventId is null)
        {
            Assert.True(await NextAsync() is not null, "The stream ended before an event id came.");
        }

        return LastEventId;
    }

    /// <summary>Reads to the end, however it comes, and returns the messages on the way.</summary>
    public async Task<List<JsonObject>> RestAsync()
    {
        var messages = new List<JsonObject>();
        try
        {
            while (await NextAsync() is { } block)
            {
                if (!string.IsNullOrEmpty(block.Data))
                {
                    messages.Add(block.Message);
                }
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            // Cut: an end too.
        }

        return messages;
    }

    public void Dispose()
    {
        _reader.Dispose();
        response.Dispose();
    }

    private async Task<string?> LineAsync() => await _reader.ReadLineAsync().WaitAsync(Limit, TimeProvider.System, TestContext.Current.CancellationToken);
}
