using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mooring.Vault;

/// <summary>What one person has at one provider, as it is sealed into the store. Its text form tells nothing.</summary>
internal sealed record Credential
{
    public required string AccessToken { get; init; }

    /// <summary>Null: it cannot be refreshed.</summary>
    public string? RefreshToken { get; init; }

    /// <summary>Null: the provider said nothing of an end.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>What the provider granted, where it said so.</summary>
    public string? Scope { get; init; }

    public required DateTimeOffset Received { get; init; }

    /// <summary>Where it was registered for this token alone: how to refresh it. Null: as the configuration says of the provider.</summary>
    public TokenClient? Client { get; init; }

    /// <summary>Which linking it comes from; the same through all refreshes. Null: it was linked before that was noted.</summary>
    public string? Link { get; init; }

    /// <summary>Why it is of no use any more, in the provider's word; its person has to link again. Null: it is.</summary>
    public string? Broken { get; init; }

    public override string ToString() => $"credential, expires {Expires:O}{(Broken is null ? "" : ", broken")}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, CredentialJson.Default.Credential);

    public static Credential? Parse(ReadOnlySpan<byte> bytes) => JsonSerializer.Deserialize(bytes, CredentialJson.Default.Credential);

    /// <summary>When it should be refreshed: a fifth of its life before its end, at most five minutes before it; null: never.</summary>
    public DateTimeOffset? Due()
    {
        if (Broken is not null || RefreshToken is null || Expires is not { } end)
        {
            return null;
        }

        var margin = TimeSpan.FromTicks(Math.Clamp((end - Received).Ticks / 5, 0, Longest.Ticks));
        return end - margin;
    }

    /// <summary>As long as earlier deployments took; longer than any refresh takes with its repetitions.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
}

/// <summary>The gateway as a client of one token endpoint.</summary>
/// <param name="TokenUrl">The endpoint.</param>
/// <param name="ClientId">Who the gateway is there.</param>
/// <param name="ClientSecret">Null: a public client.</param>
/// <param name="Resource">What the token is for (RFC 8707); null: nothing is said.</param>
/// <param name="UsesBasic">Whether id and secret go into the Authorization header; else into the body.</param>
internal sealed record TokenClient(string TokenUrl, string ClientId, string? ClientSecret = null, string? Resource = null, bool UsesBasic = false)
{
    /// <summary>The configured server whose documents named the endpoint; null: it stands in the configuration. Not kept: the configuration in force says it.</summary>
    [JsonIgnore]
    public Uri? NamedBy { get; init; }

    public override string ToString() => $"client {ClientId} at {TokenUrl}";
}

[JsonSerializable(typeof(Credential))]
internal sealed partial class CredentialJson : JsonSerializerContext;
