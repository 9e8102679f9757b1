using System.Text;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>What <c>server/discover</c> has shown.</summary>
internal enum Discovery
{
    /// <summary>The server speaks the version without sessions; the link is open.</summary>
    Stateless,

    /// <summary>It speaks that version, but does not let the gateway in.</summary>
    Barred,

    /// <summary>It does not: <c>initialize</c> is what it knows.</summary>
    Sessions,

    /// <summary>Nothing: something before it answered, it failed, or it was silent.</summary>
    Undecided,

    /// <summary>It cannot be reached at all.</summary>
    NotReached,
}

/// <content>The first contact: what kind of server it is, and what it would have answered to <c>initialize</c>.</content>
internal sealed partial class StatelessLink
{
    private const string HeaderMismatch = "-32020";
    private const string MissingCapability = "-32021";
    private const string UnsupportedVersion = "-32022";

    /// <summary>Asks the server what it is, and where it speaks this version opens the link.</summary>
    /// <returns>What was found, and where that is no open link why not.</returns>
    public async Task<(Discovery Found, string Why)> DiscoverAsync(CancellationToken cancel)
    {
        var attempt = await RoundAsync("server/discover", [], cancel);
        switch (attempt.Kind)
        {
            case AttemptKind.NotExecuted:
                return (attempt.Status == 0 ? Discovery.NotReached : Discovery.Undecided, attempt.Detail);
            case AttemptKind.Abandoned:
                return (Discovery.Undecided, "it did not answer server/discover in time");
            case AttemptKind.Answered when attempt.Answer!.Kind == FrameKind.Error:
                return (Refusal(attempt.Answer), "it refused server/discover: " + ErrorText(attempt.Answer));
            case AttemptKind.Answered:
                return Accept(attempt.Answer!.Span(attempt.Answer.Envelope.Result));
            default:
                return (IsForeign(attempt) ? Discovery.Sessions : Discovery.Undecided, attempt.Detail);
        }
    }

    private (Discovery, string) Accept(ReadOnlySpan<byte> result)
    {
        if (!Contains(result, "supportedVersions"u8, ProtocolVersions.Stateless))
        {
            return (Discovery.Sessions, "it does not speak 2026-07-28");
        }

        if (JsonFields.Find(result, "capabilities"u8) is not { IsPresent: true } at || result[at.Start] != '{')
        {
            return (Discovery.Barred, "its answer to server/discover has no capabilities");
        }

        _memory.Discovered(result.Slice(at.Start, at.Length));
        var capabilities = CapabilitiesOf(result.Slice(at.Start, at.Length));
        var info = JsonFields.Find(result, "_meta"u8, "io.modelcontextprotocol/serverInfo"u8);
        var instructions = JsonFields.Find(result, "instructions"u8);
        Version = Parameters.Version;
        Said = _time.GetUtcNow();
        InitializeResult = (byte[])
        [
            .. "{\"protocolVersion\":"u8, .. JsonText.Quote(Version.ToWire()), .. ",\"capabilities\":"u8, .. capabilities, .. ",\"serverInfo\":"u8,
            .. info.IsPresent ? result.Slice(info.Start, info.Length) : [.. "{\"name\":"u8, .. JsonText.Quote(Upstream.Name), .. ",\"version\":\"0\"}"u8],
            .. instructions.IsPresent ? [.. ",\"instructions\":"u8, .. result.Slice(instructions.Start, instructions.Length)] : default(ReadOnlySpan<byte>),
            .. CacheHint.Of(result).More(), (byte)'}',
        ];
        _listener.Declare(capabilities);
        return (Discovery.Stateless, "");
    }

    /// <summary>As a client of a version with sessions may take them: without what cannot be had in it, and without promises that nobody keeps.</summary>
    private byte[] CapabilitiesOf(ReadOnlySpan<byte> declared)
    {
        // A leftover of 2025-11-25 promises nothing here; it is the extension that does.
        var capabilities = JsonFields.Without(declared, "tasks"u8);
        if (TasksExtension.IsIn(capabilities))
        {
            capabilities = JsonFields.Prepend(WithoutIn(capabilities, "extensions"u8, "io.modelcontextprotocol/tasks"u8), TasksExtension.OlderCapability);
        }

        // Changes of lists are found by reading them all the same; of resources nobody would be told.
        return _memory.CannotListen ? WithoutIn(capabilities, "resources"u8, "subscribe"u8) : capabilities;
    }

    private static byte[] WithoutIn(byte[] json, ReadOnlySpan<byte> key, ReadOnlySpan<byte> inner)
    {
        var at = JsonFields.Find(json, key);
        return at.IsPresent ? JsonFields.Splice(json, at, JsonFields.Without(json.AsSpan(at.Start, at.Length), inner)) : json;
    }

    private static Discovery Refusal(Frame error)
    {
        var raw = error.Raw(error.Envelope.Error);
        return Code(raw.Span) switch
        {
            HeaderMismatch or MissingCapability => Discovery.Barred,
            UnsupportedVersion when JsonFields.Find(raw.Span, "data"u8) is { IsPresent: true } data
                && ProtocolVersions.WithSessions.All(v => !Contains(raw.Span.Slice(data.Start, data.Length), "supported"u8, v.ToWire())) => Discovery.Barred,

            // Whatever else it says, in whatever words, is what servers say that do not know the request.
            _ => Discovery.Sessions,
        };
    }

    /// <summary>
    /// The server, or something before it, said what one of this version never says: it may have come back as one with sessions. If it has, this link
    /// is of no more use, and the request was not executed.
    /// </summary>
    private async ValueTask<Attempt> LookAgainAsync(Attempt attempt, CancellationToken cancel)
    {
        var why = attempt.Answer is { } error ? ErrorText(error) : attempt.Detail;
        var (found, _) = await DiscoverAsync(cancel);
        if (found != Discovery.Sessions || !Upstream.MayChangeEra)
        {
            return attempt;
        }

        Log.NoMore(_logger, Upstream.Name, why);
        Ended(why);
        return Attempt.NotExecuted(why);
    }

    /// <summary>Whether no server of this version refuses a request like that: it says 400 or 404 too, but with an error and the request's id.</summary>
    private static bool IsForeign(Attempt attempt) => attempt switch
    {
        { Status: 401 or 403 or 408 or 429 } => false,
        { Kind: AttemptKind.Refused, Status: >= 400 and < 500 } => true,
        { Kind: AttemptKind.Answered, Status: >= 400 and < 500, Answer: { Kind: FrameKind.Error } error } => error.Id.IsEmpty && !IsOfThisVersion(Code(error.Span(error.Envelope.Error))),
        { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Error } error } => IsError(attempt, UnsupportedVersion) && Refusal(error) == Discovery.Sessions,
        _ => false,
    };

    private static bool IsOfThisVersion(string code) => code is HeaderMismatch or MissingCapability;

    private static bool IsError(Attempt attempt, string code) =>
        attempt is { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Error } error } && Code(error.Span(error.Envelope.Error)) == code;

    private static string Code(ReadOnlySpan<byte> error)
    {
        var at = JsonFields.Find(error, "code"u8);
        return at.IsPresent ? Encoding.UTF8.GetString(error.Slice(at.Start, at.Length)) : "";
    }

    private static string ErrorText(Frame error) => JsonFields.String(error.Span(error.Envelope.Error), "message"u8) ?? "no reason given";

    private static bool Contains(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key, string text)
    {
        foreach (var at in JsonFields.Elements(json, key))
        {
            if (json[at.Start] == '"' && JsonText.Read(json.Slice(at.Start, at.Length)) == text)
            {
                return true;
            }
        }

        return false;
    }
}
