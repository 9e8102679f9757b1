using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mooring.Benchmarks.Load;

/// <summary>
/// One keep-alive HTTP/1.1 connection on a blocking socket: one system call per request, one or two per answer, nothing allocated.
/// A client of HttpClient's weight would cost as much as the gateway and hide it.
/// </summary>
internal sealed class RawConnection : IDisposable
{
    private const int MaxAnswer = 16 << 20;

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private byte[] _buffer = new byte[32 << 10];
    private int _filled;
    private int _bodyStart;
    private int _bodyLength;

    public RawConnection(IPEndPoint server)
    {
        _socket.NoDelay = true;
        _socket.ReceiveTimeout = 30_000;
        _socket.SendTimeout = 30_000;
        _socket.Connect(server);
    }

    public int Status { get; private set; }

    public bool IsEventStream { get; private set; }

    /// <summary>That of the first answer that had one; who opens several sessions clears it in between.</summary>
    public string? SessionId { get; set; }

    /// <summary>The last answer's body without its chunk framing; valid until the next request.</summary>
    public ReadOnlySpan<byte> Body => _buffer.AsSpan(_bodyStart, _bodyLength);

    public void Dispose() => _socket.Dispose();

    /// <summary>Sends a request and waits until its answer is there to the last byte.</summary>
    public void Exchange(ReadOnlySpan<byte> request)
    {
        _socket.Send(request);
        _filled = 0;
        int headEnd;
        while ((headEnd = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8)) < 0)
        {
            Fill();
        }

        _bodyStart = headEnd + 4;
        var (length, chunked) = ReadHead(_buffer.AsSpan(0, headEnd + 2));
        if (chunked)
        {
            ReadChunks();
            return;
        }

        while (_filled < _bodyStart + length)
        {
            Fill();
        }

        _bodyLength = length;
        if (_filled != _bodyStart + length)
        {
            throw new InvalidDataException("More bytes than the answer has.");
        }
    }

    private (int Length, bool Chunked) ReadHead(ReadOnlySpan<byte> head)
    {
        if (!head.StartsWith("HTTP/1.1 "u8) || !Utf8Parser.TryParse(head[9..], out int status, out _))
        {
            throw new InvalidDataException("Not an HTTP/1.1 answer.");
        }

        Status = status;
        IsEventStream = false;
        var length = 0;
        var chunked = false;
        for (var line = head.IndexOf("\r\n"u8) + 2; line < head.Length;)
        {
            var rest = head[line..];
            var end = rest.IndexOf("\r\n"u8);
            var colon = rest[..end].IndexOf((byte)':');
            var name = rest[..colon];
            var value = rest[(colon + 1)..end].Trim((byte)' ');

            // Lengths first: most headers are told apart without a comparison.
            if (name.Length == 14 && Ascii.EqualsIgnoreCase(name, "content-length"u8))
            {
                if (!Utf8Parser.TryParse(value, out length, out _))
                {
                    throw new InvalidDataException("Not a length.");
                }
            }
            else if (name.Length == 17 && Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8))
            {
                chunked = Ascii.EqualsIgnoreCase(value, "chunked"u8);
            }
            else if (name.Length == 12 && Ascii.EqualsIgnoreCase(name, "content-type"u8))
            {
                IsEventStream = value.StartsWith("text/event-stream"u8);
            }
            else if (name.Length == 14 && SessionId is null && Ascii.EqualsIgnoreCase(name, "mcp-session-id"u8))
            {
                SessionId = Encoding.ASCII.GetString(value);
            }

            line += end + 2;
        }

        return (length, chunked);
    }

    /// <summary>Moves the chunks together in place.</summary>
    private void ReadChunks()
    {
        var read = _bodyStart;
        var write = _bodyStart;
        while (true)
        {
            int lineEnd;
            while ((lineEnd = _buffer.AsSpan(read, _filled - read).IndexOf("\r\n"u8)) < 0)
            {
                Fill();
            }

            if (!Utf8Parser.TryParse(_buffer.AsSpan(read, lineEnd), out int size, out _, 'x'))
            {
                throw new InvalidDataException("Not a chunk.");
            }

            read += lineEnd + 2;
            while (_filled < read + size + 2)
            {
                Fill();
            }

            if (size == 0)
            {
                _bodyLength = write - _bodyStart;
                return;
            }

            _buffer.AsSpan(read, size).CopyTo(_buffer.AsSpan(write));
            write += size;
            read += size + 2;
        }
    }

    private void Fill()
    {
        if (_filled == _buffer.Length)
        {
            if (_filled >= MaxAnswer)
            {
                throw new InvalidDataException("The answer is over 16 MB.");
            }

            Array.Resize(ref _buffer, _filled * 2);
        }

        var read = _socket.Receive(_buffer.AsSpan(_filled));
        if (read == 0)
        {
            throw new InvalidDataException("The server closed the connection.");
        }

        _filled += read;
    }
}
