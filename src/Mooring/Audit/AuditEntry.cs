using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mooring.Audit;

/// <summary>One line of the audit log: who, what, when, how it ended. Nothing in it may be a secret.</summary>
/// <param name="Event">What kind of thing: <c>call</c>, <c>sign_in</c>, <c>token_refused</c> and so on.</param>
/// <param name="Outcome">How it ended.</param>
internal sealed record AuditEntry(string Event, string Outcome)
{
    /// <summary>Clients name themselves, and tools, as they like.</summary>
    private const int LongestText = 256;

    /// <summary>When it began; null: now.</summary>
    public DateTimeOffset? At { get; init; }

    public string? Issuer { get; init; }

    public string? User { get; init; }

    /// <summary>What somebody came in with: its kind, and where it can be told from others a part of a hash of it or of its id, never what would let anybody in.</summary>
    public string? Credential { get; init; }

    /// <summary>Which of the lines of one call belong together; null where there is one.</summary>
    public string? Call { get; init; }

    /// <summary>What the client calls itself; where it asks for access, the id that it registered under.</summary>
    public string? Client { get; init; }

    /// <summary>Of its session, never the id (<see cref="SessionOf"/>).</summary>
    public string? Session { get; init; }

    public string? Server { get; init; }

    public string? Method { get; init; }

    /// <summary>Of a tool or prompt; of a resource its address without what follows a question mark.</summary>
    public string? Name { get; init; }

    public TimeSpan? Duration { get; init; }

    /// <summary>Of a JSON-RPC error.</summary>
    public long? Code { get; init; }

    public bool ClientLeft { get; init; }

    public bool IsTask { get; init; }

    /// <summary>SHA-256 of the arguments as they came.</summary>
    public string? ArgumentsHash { get; init; }

    /// <summary>The arguments, JSON, as they may be written.</summary>
    public ReadOnlyMemory<byte> Arguments { get; init; }

    /// <summary>From where.</summary>
    public string? Address { get; init; }

    /// <summary>What is to be known beside the outcome.</summary>
    public string? Reason { get; init; }

    public static string HashOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>What is written of a session's id: a part of its hash; null where there is no session.</summary>
    public static string? SessionOf(string id) => id.Length == 0 ? null : HashOf(Encoding.UTF8.GetBytes(id))[..16];

    /// <summary>Writes the line, without its end.</summary>
    public void WriteTo(Utf8JsonWriter json, DateTimeOffset now, string replica)
    {
        json.WriteStartObject();
        json.WriteString("time", (At ?? now).UtcDateTime);
        json.WriteString("event", Event);
        json.WriteString("outcome", Outcome);
        Text(json, "call", Call);
        Text(json, "issuer", Issuer);
        Text(json, "user", User);
        Text(json, "credential", Credential);
        Text(json, "client", Client);
        Text(json, "session", Session);
        Text(json, "server", Server);
        Text(json, "method", Method);
        Text(json, "name", Name);
        if (Duration is { } duration)
        {
            json.WriteNumber("durationMs", Math.Round(duration.TotalMilliseconds, 3));
        }

        if (Code is { } code)
        {
            json.WriteNumber("code", code);
        }

        if (ClientLeft)
        {
            json.WriteBoolean("clientLeft", true);
        }

        if (IsTask)
        {
            json.WriteBoolean("task", true);
        }

        Text(json, "argumentsSha256", ArgumentsHash);
        if (!Arguments.IsEmpty)
        {
            json.WritePropertyName("arguments");
            json.WriteRawValue(Arguments.Span, skipInputValidation: true);
        }

        Text(json, "address", Address);
        Text(json, "reason", Reason);
        json.WriteString("replica", replica);
        json.WriteEndObject();
    }

    private static void Text(Utf8JsonWriter json, string name, string? text)
    {
        if (text is null)
        {
            return;
        }

        // By way of UTF-8, which has half a character written as a mark and not thrown over.
        Span<byte> utf8 = stackalloc byte[(LongestText + 1) * 3];
        var length = Encoding.UTF8.GetBytes(text.AsSpan(0, Math.Min(text.Length, LongestText)), utf8);
        if (text.Length > LongestText)
        {
            length += Encoding.UTF8.GetBytes("…", utf8[length..]);
        }

        json.WriteString(name, utf8[..length]);
    }
}
