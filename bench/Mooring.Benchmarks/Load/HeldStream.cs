using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mooring.Benchmarks.Load;

/// <summary>A client that opens a session and its GET stream on one connection and then only counts what comes.</summary>
internal sealed class HeldStream(HoldOptions options, HoldTally tally) : IDisposable
{
    private readonly Socket _socket = Plain(smallBuffer: false);
    private readonly byte[] _buffer = new byte[512];
    private Socket? _flooded;
    private long _lastComment;
    private bool _lineStart = true;
    private volatile bool _disposed;

    /// <summary>Returns once the stream is open and its first comment or event has arrived.</summary>
    public async Task OpenAsync(bool stalled, CancellationToken cancellation)
    {
        var server = new IPEndPoint(IPAddress.Parse(options.Url.Host), options.Url.Port);
        await _socket.ConnectAsync(server, cancellation);
        string? session = null;
        if (!options.Bare)
        {
            var answer = await ExchangeAsync(Requests.Post(options.Url, null, Requests.Initialize("bench")), cancellation);
            session = Header(answer, "mcp-session-id") ?? throw new InvalidDataException("No session id: " + answer);
            await ExchangeAsync(Requests.Post(options.Url, session, Requests.Initialized), cancellation);
        }

        await _socket.SendAsync(Requests.Get(options.Url, session), cancellation);
        var head = await ReadHeadAsync(cancellation);
        if (!head.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) || !head.Contains("text/event-stream", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidDataException("No event stream: " + head);
        }

        if (stalled && !options.Bare)
        {
            _flooded = Plain(smallBuffer: true);
            await _flooded.ConnectAsync(server, cancellation);
            await _flooded.SendAsync(Requests.Post(options.Url, session,
                $$$$"""{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"{{{{options.FloodTool}}}}","arguments":{"text":"x"}}}"""), cancellation);
        }
    }

    /// <summary>Reads until the server or the caller ends it.</summary>
    public async Task ReadAsync()
    {
        try
        {
            int read;
            while ((read = await _socket.ReceiveAsync(_buffer)) > 0)
            {
                Count(_buffer.AsSpan(0, read));
            }

            tally.Ended("The server ended the stream.");
        }
        catch (Exception error) when (_disposed && error is SocketException or ObjectDisposedException)
        {
            // The run is over.
        }
        catch (SocketException error)
        {
            tally.Ended(error.Message);
        }
    }

    public void Dispose()
    {
        _disposed = true;
        _socket.Dispose();
        _flooded?.Dispose();
    }

    private static Socket Plain(bool smallBuffer)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (smallBuffer)
        {
            // Before connecting, so that the window stays small: the server's buffers must fill, not the kernel's.
            socket.ReceiveBufferSize = 4096;
        }

        return socket;
    }

    /// <summary>A comment is a line that begins with a colon. Chunk sizes are lines too, but never begin with one.</summary>
    private void Count(ReadOnlySpan<byte> bytes)
    {
        foreach (var character in bytes)
        {
            if (character == ':' && _lineStart)
            {
                var now = Stopwatch.GetTimestamp();
                tally.Comment(_lastComment, now);
                _lastComment = now;
            }

            _lineStart = character is (byte)'\n' or (byte)'\r';
        }
    }

    private async Task<string> ExchangeAsync(byte[] request, CancellationToken cancellation)
    {
        await _socket.SendAsync(request, cancellation);
        var answer = await ReadHeadAsync(cancellation);
        if (!answer.StartsWith("HTTP/1.1 20", StringComparison.Ordinal))
        {
            throw new InvalidDataException(answer);
        }

        var bodyStart = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        if (Header(answer, "transfer-encoding") is not null)
        {
            while (!answer.EndsWith("0\r\n\r\n", StringComparison.Ordinal))
            {
                answer += await ReceiveAsync(cancellation);
            }

            return answer;
        }

        var length = int.Parse(Header(answer, "content-length") ?? "0");
        while (Encoding.UTF8.GetByteCount(answer) - bodyStart < length)
        {
            answer += await ReceiveAsync(cancellation);
        }

        return answer;
    }

    private async Task<string> ReadHeadAsync(CancellationToken cancellation)
    {
        var head = "";
        do
        {
            head += await ReceiveAsync(cancellation);
        }
        while (!head.Contains("\r\n\r\n", StringComparison.Ordinal));
        return head;
    }

    private async Task<string> ReceiveAsync(CancellationToken cancellation)
    {
        var read = await _socket.ReceiveAsync(_buffer, cancellation);
        return read > 0 ? Encoding.UTF8.GetString(_buffer, 0, read) : throw new InvalidDataException("The server closed the connection.");
    }

    private static string? Header(string head, string name)
    {
        foreach (var line in head.Split("\r\n"))
        {
            if (line.Length == 0)
            {
                return null;
            }

            if (line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
            {
                return line[(name.Length + 1)..].Trim();
            }
        }

        return null;
    }
}
