using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// What every request of the version without sessions says in <c>_meta</c> (2026-07-28, basic/index, "_meta"), on behalf of one client of a version
/// with sessions, or of the gateway's own accord; a client that says it itself is not added to. Put into the request's own bytes; the rest of them stays as it is.
/// </summary>
internal sealed class RequestMetadata
{
    private readonly byte[] _version = Property("protocolVersion", JsonText.Quote(ProtocolVersions.Stateless));
    private readonly byte[] _info;
    private readonly byte[] _capabilities;

    /// <param name="initialize">The client's <c>initialize</c> params, raw JSON.</param>
    public RequestMetadata(ReadOnlySpan<byte> initialize)
    {
        var info = JsonFields.Find(initialize, "clientInfo"u8);
        _info = info.IsPresent ? Property("clientInfo", initialize.Slice(info.Start, info.Length)) : [];
        var at = JsonFields.Find(initialize, "capabilities"u8);
        ReadOnlySpan<byte> declared = at.IsPresent && initialize[at.Start] == '{' ? initialize.Slice(at.Start, at.Length) : "{}"u8;

        // Tasks of 2025-11-25 are another thing than those of the extension. What the server makes a task of the link itself waits for, whatever its client knows.
        _capabilities = Property("clientCapabilities", TasksExtension.AddTo(JsonFields.Without(declared, "tasks"u8)));
    }

    /// <summary>The request with what it has to say, and with <paramref name="more"/> among its params.</summary>
    /// <param name="said">The request as it would go to a server with sessions, in the shape of its frame.</param>
    /// <param name="id">The id that it gets.</param>
    /// <param name="level">The log level that is asked for, or null.</param>
    /// <param name="more">Further params, raw properties; empty: none.</param>
    public Message Put(Message said, long id, string? level, byte[] more)
    {
        var request = said.Frame;
        ref readonly var envelope = ref request.Envelope;
        var message = said.Replace(envelope.Id, id);
        var client = request.ClientMeta;
        if (client.ProtocolVersion.IsPresent && client.ClientCapabilities.IsPresent)
        {
            // The client speaks the version itself. What it leaves out is not to be had from the link, which may serve others too.
            return Begin(message, envelope.Params, more);
        }

        var meta = Join(
            client.ProtocolVersion.IsPresent ? [] : _version,
            client.ClientInfo.IsPresent ? [] : _info,
            client.ClientCapabilities.IsPresent ? [] : _capabilities,
            level is null || client.LogLevel.IsPresent ? [] : Property("logLevel", JsonText.Quote(level)));
        if (!envelope.Params.IsPresent)
        {
            return message.Replace(new Slice(envelope.MethodText.End, 0), (byte[])[.. ",\"params\":{"u8, .. Object(more, meta), (byte)'}']);
        }

        if (request.Span(envelope.Params)[0] != '{')
        {
            return message.Replace(envelope.Params, (byte[])[(byte)'{', .. Object(more, meta), (byte)'}']);
        }

        if (!envelope.Meta.IsPresent)
        {
            return Begin(message, envelope.Params, Object(more, meta));
        }

        message = request.Span(envelope.Meta)[0] == '{'
            ? Begin(message, envelope.Meta, meta)
            : message.Replace(envelope.Meta, (byte[])[(byte)'{', .. meta, (byte)'}']);
        return Begin(message, envelope.Params, more);
    }

    private static byte[] Object(byte[] more, byte[] meta) => Join(more, [.. "\"_meta\":{"u8, .. meta, (byte)'}']);

    /// <summary>Properties as the first of an object.</summary>
    private static Message Begin(Message message, Slice at, byte[] properties)
    {
        if (properties.Length == 0)
        {
            return message;
        }

        var isEmpty = message.Frame.Span(at)[1..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..];
        return message.Replace(new Slice(at.Start + 1, 0), isEmpty ? properties : [.. properties, (byte)',']);
    }

    private static byte[] Property(string name, ReadOnlySpan<byte> value) =>
        [.. "\"io.modelcontextprotocol/"u8, .. System.Text.Encoding.ASCII.GetBytes(name), .. "\":"u8, .. value];

    private static byte[] Join(params ReadOnlySpan<byte[]> parts)
    {
        var all = new List<byte>();
        foreach (var part in parts)
        {
            if (part.Length > 0)
            {
                if (all.Count > 0)
                {
                    all.Add((byte)',');
                }

                all.AddRange(part);
            }
        }

        return [.. all];
    }
}
