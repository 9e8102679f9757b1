using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Mooring.Configuration;
using Mooring.Network;
using Mooring.Protocol;

namespace Mooring.Upstreams.Http;

/// <summary>Builds requests to one HTTP server and reads what comes back, within limits. Shared by all links of that server.</summary>
internal sealed class HttpExchange : IDisposable
{
    /// <summary>Node's HTTP server closes idle connections after 5 s; one that is closed while our request is on its way means an unknown outcome.</summary>
    private static readonly TimeSpan IdleConnection = TimeSpan.FromSeconds(4);

    /// <summary>What a cancellation that nobody asked for says: the handler's own connect timeout is told so.</summary>
    public const string NotConnected = "it could not be connected to in time";

    private readonly HttpMessageInvoker _invoker;
    private readonly Uri _endpoint;
    private readonly KeyValuePair<string, string>[] _headers;
    private readonly Func<LimitsConfig> _limits;
    private readonly LinkAuthorizer? _authorizer;

    /// <param name="limits">Of what the server sends. Asked for each answer: a reload may change it.</param>
    /// <param name="peerTimeout">How long the server's machine may acknowledge nothing; asked for each connection.</param>
    public HttpExchange(
        Uri endpoint, IReadOnlyDictionary<string, string> headers, Func<LimitsConfig> limits, Func<TimeSpan> peerTimeout, Func<HttpMessageHandler>? handler = null)
    {
        _endpoint = endpoint;
        _headers = [.. headers];
        _limits = limits;
        _invoker = new HttpMessageInvoker(handler?.Invoke() ?? new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = true,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            ConnectCallback = (context, cancel) => ConnectAsync(context.DnsEndPoint, peerTimeout(), cancel),
            PooledConnectionIdleTimeout = IdleConnection,
            // Names that move to another address are noticed within this time.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            MaxResponseHeadersLength = 64,
            ActivityHeadersPropagator = null,
        });
    }

    private HttpExchange(HttpExchange other, LinkAuthorizer authorizer)
    {
        (_invoker, _endpoint, _headers, _limits) = (other._invoker, other._endpoint, other._headers, other._limits);
        _authorizer = authorizer;
    }

    /// <summary>The same server and connections, for one person. Not to be disposed.</summary>
    public HttpExchange For(LinkAuthorizer? authorizer) => authorizer is null ? this : new HttpExchange(this, authorizer);

    /// <summary>Largest message accepted from the server.</summary>
    public long MaxBytes => _limits().BodySize;

    /// <summary>What a message of the server may be otherwise.</summary>
    public FrameLimits FrameLimits => new(_limits().JsonDepth);

    public Uri Endpoint => _endpoint;

    public HttpRequestMessage Request(HttpMethod method, Uri? address = null)
    {
        var request = new HttpRequestMessage(method, address ?? _endpoint);

        // Without the header any encoding is welcome (RFC 9110, 12.5.3), and a compressed event stream comes late.
        request.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
        foreach (var (name, value) in _headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }

    public HttpRequestMessage Post(HttpContent content, string? session, string? version, Uri? address = null)
    {
        var request = Request(HttpMethod.Post, address);
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        request.Content = content;
        Identify(request, session, version);
        return request;
    }

    public static void Identify(HttpRequestMessage request, string? session, string? version)
    {
        if (session is not null)
        {
            request.Headers.TryAddWithoutValidation("Mcp-Session-Id", session);
        }

        if (version is not null)
        {
            request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", version);
        }
    }

    /// <param name="request">What is sent.</param>
    /// <param name="cancel">Gives up.</param>
    /// <param name="of">The request that it is sent for; null: none.</param>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel, PendingRequest? of = null) =>
        _authorizer is null ? _invoker.SendAsync(request, cancel) : _authorizer.SendAsync(_invoker, request, of, cancel);

    /// <summary>The encoding of a response that nobody asked to encode; null where it is as it should be.</summary>
    public static string? Encoding(HttpResponseMessage response) =>
        // Asked without parsing first: nearly no server sends the header.
        response.Content.Headers.NonValidated.Contains("Content-Encoding")
            ? response.Content.Headers.ContentEncoding.FirstOrDefault(e => !e.Equals("identity", StringComparison.OrdinalIgnoreCase))
            : null;

    /// <summary>The media type of a body, without its parameters; null where there is none that can be read.</summary>
    public static string? MediaType(HttpResponseMessage response)
    {
        var headers = response.Content.Headers;
        return headers.NonValidated.TryGetValues("Content-Type", out var values) && values.ToString() is var raw && raw is "application/json" or "text/event-stream"
            ? raw
            : headers.ContentType?.MediaType;
    }

    /// <summary>Whether a response is an event stream that can be read.</summary>
    public static bool IsEventStream(HttpResponseMessage response) =>
        response.StatusCode == HttpStatusCode.OK && MediaType(response) == "text/event-stream" && Encoding(response) is null;

    private const int MostAtFirst = 64 * 1024;

    /// <summary>Reads one JSON message from a response body.</summary>
    /// <returns>The message, or what is wrong with what came.</returns>
    public async ValueTask<ChannelRead> ReadFrameAsync(HttpContent content, CancellationToken cancel)
    {
        var expected = content.Headers.ContentLength;
        if (expected > MaxBytes)
        {
            return new ChannelRead(null, $"the answer has {expected} bytes, more than the limit of {MaxBytes}");
        }

        // No more than a little on the server's word: the rest when it is there.
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(expected ?? 4096, MostAtFirst) + 1);
        var length = 0;
        try
        {
            var stream = await content.ReadAsStreamAsync(cancel);
            while (true)
            {
                if (length > MaxBytes)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    return new ChannelRead(null, $"the answer is larger than the limit of {MaxBytes} bytes");
                }

                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(length * 2);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }

                var read = await stream.ReadAsync(buffer.AsMemory(length), cancel);
                if (read == 0)
                {
                    break;
                }

                length += read;
            }
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }

        if (length > FairStream.Turn)
        {
            await Task.Yield();
        }

        return ChannelRead.Parse(buffer, length, pooled: true, FrameLimits);
    }

    /// <summary>Whether a failed send provably never reached the server.</summary>
    public static bool NeverLeft(HttpRequestException e) => e.HttpRequestError
        is HttpRequestError.ConnectionError
        or HttpRequestError.NameResolutionError
        or HttpRequestError.SecureConnectionError
        or HttpRequestError.ProxyTunnelError;

    /// <summary>Whether an exception is the network's or the server's, or a cancellation, as opposed to a bug.</summary>
    public static bool IsFailure(Exception e) => e is HttpRequestException or IOException or OperationCanceledException;

    /// <summary>What such an exception says of a request that was being sent or answered.</summary>
    public static Attempt Failed(Exception failure, CancellationToken cancel) => failure switch
    {
        HttpRequestException e when NeverLeft(e) => Attempt.NotExecuted(Describe(e)),
        HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded } e => Attempt.Unknown(Describe(e)),
        HttpRequestException e => Attempt.Cut(Describe(e)),
        OperationCanceledException when cancel.IsCancellationRequested => Attempt.Abandoned(""),
        OperationCanceledException => Attempt.NotExecuted(NotConnected),
        _ => Attempt.Cut("the connection broke while it answered: " + failure.Message),
    };

    /// <summary>What went wrong, without addresses of the inner layers or header values.</summary>
    public static string Describe(HttpRequestException e) => e.HttpRequestError switch
    {
        HttpRequestError.ConnectionError => $"it could not be connected to ({SocketError(e)})",
        HttpRequestError.NameResolutionError => "its name could not be resolved",
        HttpRequestError.SecureConnectionError => "the TLS handshake with it failed: " + (e.InnerException?.Message ?? e.Message),
        HttpRequestError.ResponseEnded => "it closed the connection without an answer",
        HttpRequestError.InvalidResponse => "it answered with something that is not HTTP",
        _ => e.Message,
    };

    public void Dispose() => _invoker.Dispose();

    /// <summary>As the handler does it, but with a limit: an event stream is silent for hours, and its reader would never learn that the server is gone.</summary>
    private static async ValueTask<Stream> ConnectAsync(DnsEndPoint server, TimeSpan peerTimeout, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            PeerTimeout.Apply(socket, peerTimeout);
            await socket.ConnectAsync(server, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string SocketError(HttpRequestException e) =>
        e.InnerException is SocketException socket ? socket.SocketErrorCode.ToString() : e.InnerException?.Message ?? e.Message;
}

/// <summary>The body of a POST: a frame with its edits, copied once into a pooled buffer on its way out.</summary>
internal sealed class MessageContent(Message message) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var length = message.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            message.CopyTo(buffer);
            await stream.WriteAsync(buffer.AsMemory(0, length), cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = message.Length;
        return true;
    }
}
