using System.Net;
using System.Text;
using Mooring.Protocol;

namespace Mooring.Upstreams.Http;

/// <summary>
/// HTTP+SSE of 2024-11-05 as a channel: everything from the server comes on one GET stream, everything to it is POSTed to the address
/// that the stream's first event names. The end of the stream is the end of the session; that version cannot resume.
/// </summary>
internal sealed class SseChannel : IMessageChannel
{
    private readonly HttpExchange _http;
    private readonly HttpResponseMessage _response;
    private readonly SseReader _reader;
    private readonly Uri _messages;

    private SseChannel(HttpExchange http, HttpResponseMessage response, SseReader reader, Uri messages)
    {
        _http = http;
        _response = response;
        _reader = reader;
        _messages = messages;
    }

    public string EndReason { get; private set; } = "its event stream ended";

    /// <summary>Opens the stream and waits for its first event.</summary>
    /// <returns>The channel, or why there is none.</returns>
    public static async Task<(SseChannel? Channel, string Why)> OpenAsync(HttpExchange http, CancellationToken cancel)
    {
        HttpResponseMessage? response = null;
        try
        {
            using var request = http.Request(HttpMethod.Get);
            request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
            response = await http.SendAsync(request, cancel);
            if (!HttpExchange.IsEventStream(response))
            {
                var why = $"it answered HTTP {(int)response.StatusCode}, and no event stream that can be read, to the GET that opens one";
                response.Dispose();
                return (null, why);
            }

            var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), (int)Math.Min(int.MaxValue, http.MaxBytes + 1024));
            var read = await reader.ReadAsync(cancel);
            while (read.Kind is SseReadKind.Comment or SseReadKind.Retry)
            {
                read = await reader.ReadAsync(cancel);
            }

            if (Endpoint(read, http.Endpoint, out var noEndpoint) is { } messages)
            {
                return (new SseChannel(http, response, reader, messages), "");
            }

            response.Dispose();
            return (null, noEndpoint);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            response?.Dispose();
            return (null, e is HttpRequestException http1 ? HttpExchange.Describe(http1) : e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            response?.Dispose();
            return (null, HttpExchange.NotConnected);
        }
    }

    public async ValueTask<Sent> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel, PendingRequest? of = null)
    {
        try
        {
            using var request = _http.Post(new ReadOnlyMemoryContent(json), session: null, version: null, _messages);
            using var response = await _http.SendAsync(request, cancel, of);
            if (response.IsSuccessStatusCode)
            {
                return Sent.Yes;
            }

            EndReason = $"it answered HTTP {(int)response.StatusCode} to a message";
            return (int)response.StatusCode >= 500 ? Sent.Perhaps : Sent.No;
        }
        catch (HttpRequestException e) when (HttpExchange.NeverLeft(e))
        {
            EndReason = HttpExchange.Describe(e);
            return Sent.No;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            EndReason = HttpExchange.NotConnected;
            return Sent.No;
        }
        catch (HttpRequestException)
        {
            // It may have arrived; the answer, if there is one, comes on the stream.
            return Sent.Yes;
        }
    }

    public async ValueTask<ChannelRead> ReadAsync(CancellationToken cancel)
    {
        while (true)
        {
            var read = await _reader.ReadAsync(cancel);
            switch (read.Kind)
            {
                case SseReadKind.End:
                    return default;
                case SseReadKind.CutMidEvent:
                    EndReason = "its event stream was cut";
                    return default;
                case SseReadKind.TooLarge:
                    EndReason = $"it sent a message larger than the limit of {_http.MaxBytes} bytes";
                    return default;
                case SseReadKind.Event when !read.Data.IsEmpty && read.EventType == SseReader.MessageType:
                    var bytes = read.Data.ToArray();
                    if (bytes.Length > FairStream.Turn)
                    {
                        await Task.Yield();
                    }

                    return ChannelRead.Parse(bytes, bytes.Length, pooled: false, _http.FrameLimits);
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _response.Dispose();
        _reader.Dispose();
        return ValueTask.CompletedTask;
    }

    private static Uri? Endpoint(SseRead read, Uri server, out string why)
    {
        why = "its event stream did not begin with an endpoint event";
        if (read.Kind != SseReadKind.Event || read.EventType != SseReader.EndpointType
            || !Uri.TryCreate(server, Encoding.UTF8.GetString(read.Data.Span), out var messages))
        {
            return null;
        }

        // The endpoint must be the server's own (2024-11-05, basic/transports): a foreign one would get our headers.
        why = $"its event stream names an endpoint of another origin, {messages.GetLeftPart(UriPartial.Authority)}";
        return messages.GetLeftPart(UriPartial.Authority) == server.GetLeftPart(UriPartial.Authority) ? messages : null;
    }
}
