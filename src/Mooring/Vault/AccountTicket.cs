using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Who is about to link which account, on its way through a browser. Sealed, so that it needs no row and any replica reads it; nobody else can
/// make or change one.
/// </summary>
internal sealed record AccountTicket
{
    public required string Issuer { get; init; }

    public required string Subject { get; init; }

    /// <summary>What the person is called where he is shown; null: no more is known than the subject.</summary>
    public string? Name { get; init; }

    public required string Provider { get; init; }

    public required DateTimeOffset Expires { get; init; }

    /// <summary>What the server said that the token has to allow; null: nothing.</summary>
    public string? Scope { get; init; }

    /// <summary>Where the server said that its metadata is.</summary>
    public Uri? Metadata { get; init; }

    // From here on only on the way back from the provider

    /// <summary>Also in a cookie: the browser that comes back is the one that went.</summary>
    public string? Nonce { get; init; }

    public string? Verifier { get; init; }

    public TokenClient? Client { get; init; }

    /// <summary>The authorization server, where it is known by name.</summary>
    public string? From { get; init; }

    /// <summary>Whether its answer has to name it (RFC 9207).</summary>
    public bool NamesItself { get; init; }

    public CredentialKey Key => new(Issuer, Subject, Provider);

    public override string ToString() => $"ticket for {Provider}";

    /// <param name="purpose">A ticket for the way there is none for the way back.</param>
    public string Write(KeyRing keys, string purpose) => Base64Url.EncodeToString(
        keys.SealAlways(NameOf(purpose, Provider), JsonSerializer.SerializeToUtf8Bytes(this, AccountTicketJson.Default.AccountTicket)).Span);

    /// <returns>Null: it is none, or not for this provider.</returns>
    public static async Task<AccountTicket?> ReadAsync(KeyRing keys, string purpose, string provider, string? text, CancellationToken cancel)
    {
        if (text is not { Length: > 0 and <= 8192 } || !Base64Url.IsValid(text))
        {
            return null;
        }

        var body = Base64Url.DecodeFromChars(text);
        return SealedBody.IsSealed(body) && await keys.TryOpenOfStrangerAsync(NameOf(purpose, provider), body, cancel) is { } opened
            ? JsonSerializer.Deserialize(opened.Span, AccountTicketJson.Default.AccountTicket)
            : null;
    }

    private static RowName NameOf(string purpose, string provider) => new("ticket", purpose, provider, 1);
}

[JsonSerializable(typeof(AccountTicket))]
internal sealed partial class AccountTicketJson : JsonSerializerContext;
