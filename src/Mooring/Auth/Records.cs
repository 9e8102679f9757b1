using System.Text.Json;
using System.Text.Json.Serialization;
using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>What the row of an API key says.</summary>
internal sealed record KeyData(Person Person, string? Name, IReadOnlyList<string> Scopes);

/// <summary>What the rows of an access token and a refresh token say.</summary>
/// <param name="Person">Whose it is.</param>
/// <param name="Client">The client it was issued to.</param>
/// <param name="Scopes">What it is for.</param>
/// <param name="Path">The path it was issued for; null: the gateway as a whole.</param>
internal sealed record TokenData(Person Person, string Client, IReadOnlyList<string> Scopes, string? Path);

/// <summary>What the row of an authorization code says beside that.</summary>
internal sealed record CodeData(TokenData Token, string RedirectUri, string Challenge, bool Refreshes);

/// <summary>What the row of a grant says.</summary>
/// <param name="Person">Who allowed it.</param>
/// <param name="Client">To whom.</param>
/// <param name="ClientName">What that one calls itself.</param>
/// <param name="SignedIn">When the person had proved who they are; null: a release before wrote it, and the row's own beginning counts.</param>
internal sealed record GrantData(Person Person, string Client, string? ClientName, DateTimeOffset? SignedIn = null);

/// <summary>A client, as it registered.</summary>
internal sealed record ClientData(string Id, string? Name, IReadOnlyList<string> RedirectUris, bool Refreshes);

/// <summary>A request that waits for its user: of a client that wants tokens, or to be led back to another page once somebody is signed in.</summary>
/// <param name="Browser">The hash of what the browser it came with holds.</param>
/// <param name="Client">Who asks, without its addresses: the one that counts stands beside it.</param>
/// <param name="ClientSource">Where its metadata is from: a host that vouches for it, or null where it registered itself.</param>
/// <param name="RedirectUri">Where the answer goes.</param>
/// <param name="State">Given back as it came.</param>
/// <param name="Challenge">Of PKCE, S256.</param>
/// <param name="Scopes">Asked for.</param>
/// <param name="Path">The path it is for; null: the gateway as a whole.</param>
/// <param name="Prompt">Whether the person must sign in anew.</param>
/// <param name="Account">The provider of the account whose linking waits for the sign-in (<see cref="Server.SignInFirst.Accounts"/>: the page of all), with its ticket as <paramref name="State"/>: then no client asks for anything. Null: one does.</param>
internal sealed record RequestData(
    string Browser, ClientData Client, string? ClientSource, string RedirectUri, string? State, string Challenge, IReadOnlyList<string> Scopes, string? Path, bool Prompt, string? Account = null);

/// <summary>A visit to an identity provider.</summary>
/// <param name="Browser">As in <see cref="RequestData"/>.</param>
/// <param name="Provider">Where to.</param>
/// <param name="RedirectUri">Where the provider sends back to.</param>
/// <param name="Asks">What the provider was to ask the person, as <see cref="Server.Providers.SignInVisit.Asks"/>; null: nothing that it knows by itself.</param>
internal sealed record VisitData(string Browser, string Provider, string RedirectUri, string? Asks = null);

/// <summary>A browser in which somebody is signed in.</summary>
internal sealed record BrowserData(Person Person);

/// <summary>Rows to and from JSON.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(KeyData))]
[JsonSerializable(typeof(TokenData))]
[JsonSerializable(typeof(CodeData))]
[JsonSerializable(typeof(GrantData))]
[JsonSerializable(typeof(ClientData))]
[JsonSerializable(typeof(RequestData))]
[JsonSerializable(typeof(VisitData))]
[JsonSerializable(typeof(BrowserData))]
internal sealed partial class AuthJson : JsonSerializerContext
{
    public static T Read<T>(AuthRecord record) =>
        (T?)JsonSerializer.Deserialize(record.Data.Span, typeof(T), Default) ?? throw new JsonException($"A row of kind {record.Kind} holds nothing.");

    public static byte[] Write<T>(T data)
        where T : notnull => JsonSerializer.SerializeToUtf8Bytes(data, typeof(T), Default);
}
