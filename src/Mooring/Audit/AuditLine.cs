using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Audit;

/// <summary>Where a line is built: one for each thread, kept, so that a line costs no memory of its own.</summary>
internal sealed class AuditLine : IDisposable
{
    /// <summary>One that grew beyond, as by arguments in full, is not kept.</summary>
    private const int Kept = 64 * 1024;

    [ThreadStatic]
    private static AuditLine? s_ofThread;

    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _json;

    private AuditLine() => _json = new Utf8JsonWriter(_buffer);

    /// <returns>The line with its end; good until this thread builds the next one.</returns>
    public static ReadOnlySpan<byte> Of(AuditEntry entry, DateTimeOffset now, string replica)
    {
        var line = s_ofThread ?? new AuditLine();
        // Where this is thrown out of, the next one is a fresh one.
        s_ofThread = null;
        var bytes = line.Build(entry, now, replica);
        if (line._buffer.Capacity <= Kept)
        {
            s_ofThread = line;
        }
        else
        {
            line.Dispose();
        }

        return bytes;
    }

    public void Dispose() => _json.Dispose();

    private Span<byte> Build(AuditEntry entry, DateTimeOffset now, string replica)
    {
        _buffer.ResetWrittenCount();
        _json.Reset(_buffer);
        entry.WriteTo(_json, now, replica);
        _json.Flush();
        var end = _buffer.WrittenCount;
        _buffer.Write("\n"u8);
        MemoryMarshal.TryGetArray(_buffer.WrittenMemory, out var bytes);
        Message.Flatten(bytes.AsSpan(0, end));
        return bytes;
    }
}
