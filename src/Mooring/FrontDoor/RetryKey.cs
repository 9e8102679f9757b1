using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mooring.Protocol;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>
/// What a retry must agree in with the request whose call waits for it (2026-07-28, basic/patterns/mrtr, "Server Requirements"): who, where, what
/// method, and every parameter besides those that belong to the round.
/// </summary>
internal readonly record struct RetryKey(Principal Principal, string? Server, string Method, string Digest)
{
    public static RetryKey Of(Session session, Frame request) => Of(session.Principal, session.Server, request);

    public static RetryKey Of(Principal principal, string? server, Frame request) =>
        new(principal, server, request.MethodName, DigestOf(request.Span(request.Envelope.Params)));

    /// <summary>The same for the same values, however they are spaced, ordered and escaped: a client writes them anew.</summary>
    private static string DigestOf(ReadOnlySpan<byte> parameters)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var json = JsonDocument.Parse(parameters.ToArray(), new JsonDocumentOptions { MaxDepth = int.MaxValue });
        var own = json.RootElement.EnumerateObject().Where(p => JsonText.Name(p) is not ("_meta" or "inputResponses" or "requestState"));
        Add(hash, own);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Add(IncrementalHash hash, IEnumerable<JsonProperty> properties)
    {
        Add(hash, "{");
        foreach (var property in properties.OrderBy(JsonText.Name, StringComparer.Ordinal))
        {
            Add(hash, JsonText.Name(property));
            Add(hash, property.Value);
        }

        Add(hash, "}");
    }

    private static void Add(IncrementalHash hash, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                Add(hash, value.EnumerateObject());
                break;
            case JsonValueKind.Array:
                Add(hash, "[");
                foreach (var item in value.EnumerateArray())
                {
                    Add(hash, item);
                }

                Add(hash, "]");
                break;
            case JsonValueKind.String:
                Add(hash, "\"" + JsonText.Read(value));
                break;
            default:
                Add(hash, value.GetRawText());
                break;
        }
    }

    /// <summary>With its length, so that no two sequences of parts are one.</summary>
    private static void Add(IncrementalHash hash, string part)
    {
        var bytes = Encoding.UTF8.GetBytes(part);
        hash.AppendData(BitConverter.GetBytes(bytes.Length));
        hash.AppendData(bytes);
    }
}
