using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Mooring.Configuration;

namespace Mooring.Host.Listening;

/// <summary>What the first bytes of a clear-text connection say.</summary>
internal enum Preface
{
    /// <summary>Closed, or silent for too long.</summary>
    None,
    Http1,
    Http2,
}

/// <summary>Tells HTTP/1.1 from HTTP/2 with prior knowledge (RFC 9113, 3.3) by the first bytes, and leaves them unread.</summary>
internal static class PrefaceReader
{
    /// <summary>The first line suffices: no HTTP/1.1 method is called PRI.</summary>
    private static ReadOnlySpan<byte> FirstLine => "PRI * HTTP/2.0\r\n"u8;

    /// <remarks>The web server's own timeouts begin only behind this, so the same ones are kept here.</remarks>
    public static async Task<Preface> ReadAsync(ConnectionContext connection, HttpConfig http, TimeProvider time)
    {
        var input = connection.Transport.Input;
        var begun = false;
        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        try
        {
            // Throws too where the connection was reset meanwhile, as balancers do that only look whether somebody listens.
            if (input.TryRead(out var ready))
            {
                if (Decide(input, ready) is { } known)
                {
                    return known;
                }

                begun = true;
            }

            if (!begun && await ReadOnceAsync(input, http.KeepAlive, time, closing, connection.ConnectionClosed) is { } decided)
            {
                return decided;
            }

            // Begun but not finished, as with a request line that comes byte by byte.
            using var slow = new CancellationTokenSource(http.HeadersTimeout, time);
            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(slow.Token, closing, connection.ConnectionClosed);
            while (true)
            {
                if (Decide(input, await input.ReadAsync(cancel.Token)) is { } late)
                {
                    return late;
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ConnectionResetException or ConnectionAbortedException)
        {
            return Preface.None;
        }
    }

    private static async Task<Preface?> ReadOnceAsync(
        PipeReader input, TimeSpan limit, TimeProvider time, CancellationToken closing, CancellationToken closed)
    {
        using var silence = new CancellationTokenSource(limit, time);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, closing, closed);
        return Decide(input, await input.ReadAsync(cancel.Token));
    }

    /// <summary>Null: more bytes are needed.</summary>
    private static Preface? Decide(PipeReader input, ReadResult result)
    {
        var buffer = result.Buffer;
        Span<byte> start = stackalloc byte[FirstLine.Length];
        var length = (int)Math.Min(buffer.Length, start.Length);
        buffer.Slice(0, length).CopyTo(start);
        if (!FirstLine.StartsWith(start[..length]))
        {
            input.AdvanceTo(buffer.Start);
            return Preface.Http1;
        }

        if (length == FirstLine.Length)
        {
            input.AdvanceTo(buffer.Start);
            return Preface.Http2;
        }

        input.AdvanceTo(buffer.Start, buffer.End);
        return result.IsCompleted ? Preface.None : null;
    }
}
